"""Copies of Redis: a CronJob that takes an RDB file from a replica in sync, checks it and keeps the newest."""

from pulumi_kubernetes.core.v1 import ContainerArgs

from infra import pods
from infra.component import Component
from infra.components._files import file_mount, file_volume
from infra.components._workloads import BACKUP_DIR, backup_job, backup_mount
from infra.components.redis._pods import REDIS_USER, SCRIPTS, Parts, environment
from infra.pods import Resources
from infra.storage import Backup

_RESOURCES = Resources(cpu_request="50m", memory_request="64Mi", cpu_limit="500m", memory_limit="256Mi")


def make(owner: Component, parts: Parts, backup: Backup) -> None:
    container = ContainerArgs(
        name="backup",
        image=parts.args.image if backup.image is None else backup.image,
        command=["sh", f"{SCRIPTS}/backup.sh"],
        env=[
            *environment(parts),
            pods.env("BACKUP_DIR", BACKUP_DIR),
            pods.env("RETENTION", str(backup.retention)),
        ],
        resources=_RESOURCES.args(),
        security_context=pods.restricted_container(),
        volume_mounts=[backup_mount(), file_mount("scripts", SCRIPTS), pods.scratch_mount()],
    )
    backup_job(
        owner,
        parts.args.namespace,
        backup,
        container=container,
        volumes=[file_volume("scripts", parts.scripts), pods.scratch_volume()],
        user=REDIS_USER,
        protect=parts.args.protect,
    )
