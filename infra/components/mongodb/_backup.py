"""Copies of MongoDB: a CronJob that dumps all databases, of one moment where there is a set, and keeps the newest."""

import pulumi
from pulumi_kubernetes.core.v1 import ContainerArgs, SecretVolumeSourceArgs, VolumeArgs, VolumeMountArgs

from infra import pods
from infra.component import Component
from infra.components._files import file_mount, file_volume
from infra.components._workloads import BACKUP_DIR, backup_job, backup_mount
from infra.components.mongodb._args import MongodbArgs
from infra.components.mongodb._credentials import DUMP_KEY
from infra.components.mongodb._members import MONGODB_USER, SCRIPTS
from infra.pods import Resources
from infra.storage import Backup

_CONFIG = "/etc/mongodump"
_RESOURCES = Resources(cpu_request="50m", memory_request="128Mi", cpu_limit="500m", memory_limit="512Mi")


def make(
    owner: Component, args: MongodbArgs, backup: Backup, *, dump: pulumi.Input[str], scripts: pulumi.Input[str]
) -> None:
    container = ContainerArgs(
        name="backup",
        image=args.image if backup.image is None else backup.image,
        command=["sh", f"{SCRIPTS}/backup.sh"],
        env=[
            pods.env("BACKUP_DIR", BACKUP_DIR),
            pods.env("RETENTION", str(backup.retention)),
            pods.env("DUMP_CONFIG", f"{_CONFIG}/{DUMP_KEY}"),
            pods.env("REPLICA_SET", "" if args.replica_set is None else args.replica_set.name),
        ],
        resources=_RESOURCES.args(),
        security_context=pods.restricted_container(),
        volume_mounts=[
            backup_mount(),
            file_mount("scripts", SCRIPTS),
            VolumeMountArgs(name="dump", mount_path=_CONFIG, read_only=True),
            pods.scratch_mount(),
        ],
    )
    backup_job(
        owner,
        args.namespace,
        backup,
        container=container,
        volumes=[
            file_volume("scripts", scripts),
            VolumeArgs(name="dump", secret=SecretVolumeSourceArgs(secret_name=dump, default_mode=0o440)),
            pods.scratch_volume(),
        ],
        user=MONGODB_USER,
        protect=args.protect,
    )
