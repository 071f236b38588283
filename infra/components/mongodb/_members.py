"""The members: a StatefulSet of one or several, their Service, and what makes several a set."""

from pathlib import Path

import pulumi
from pulumi_kubernetes.apps.v1 import StatefulSet, StatefulSetSpecArgs
from pulumi_kubernetes.batch.v1 import Job, JobSpecArgs
from pulumi_kubernetes.core.v1 import (
    ContainerArgs,
    EnvVarArgs,
    KeyToPathArgs,
    PodSpecArgs,
    PodTemplateSpecArgs,
    SecretVolumeSourceArgs,
    Service,
    ServicePortArgs,
    ServiceSpecArgs,
    VolumeArgs,
    VolumeMountArgs,
)
from pulumi_kubernetes.meta.v1 import LabelSelectorArgs, ObjectMetaArgs

from infra import annotations, naming, pods
from infra.component import Component, object_name
from infra.components._files import file_mount, file_volume
from infra.components._workloads import claim_retention, claim_template, pod_template
from infra.components.mongodb import _credentials as secrets
from infra.components.mongodb._args import MongodbArgs
from infra.pods import Resources
from infra.ports import MONGODB

COMPONENT = "mongodb"
MONGODB_USER = 999
SCRIPTS = "/scripts"
_SECRETS = "/secrets"
# The image's own folder for what runs once.
_INIT = "/docker-entrypoint-initdb.d"
_GRACE_SECONDS = 60
_INITIATION_SECONDS = 600
_INITIATOR_RESOURCES = Resources(cpu_request="50m", memory_request="128Mi", cpu_limit="500m", memory_limit="256Mi")


def init_scripts(folder: Path | None) -> dict[str, str]:
    """The default folder's users, and what else runs once: from `folder`, or from the default. By name, in order."""
    default = Path(__file__).parents[2] / "mongodb-init"
    chosen = default if folder is None else folder
    if not chosen.is_dir():
        raise ValueError(f"init_scripts={str(folder)!r} is no directory: name one with .js or .sh files")
    paths = [default / "00-users.js", *sorted(chosen.iterdir())]
    found = {path.name: path.read_text("utf-8") for path in paths if path.suffix in {".js", ".sh"}}
    return dict(sorted(found.items()))


def service(owner: Component, args: MongodbArgs) -> pulumi.Output[str]:
    """One address for a single member; for a set, a DNS name for each."""
    several = args.replica_set is not None
    name = secrets.headless(owner.name) if several else owner.name
    made = Service(
        naming.child(owner.name, "service"),
        metadata=ObjectMetaArgs(name=name, namespace=args.namespace, labels=naming.labels(owner.name, COMPONENT)),
        spec=ServiceSpecArgs(
            cluster_ip="None" if several else None,
            # Members find one another before any of them is ready.
            publish_not_ready_addresses=True if several else None,
            selector=naming.selector(owner.name, COMPONENT),
            ports=[ServicePortArgs(name=MONGODB.name, port=MONGODB.number, target_port=MONGODB.name)],
        ),
        opts=owner.child_options(),
    )
    return object_name(made.metadata)


def workload(
    owner: Component,
    args: MongodbArgs,
    *,
    server_secret: pulumi.Input[str],
    scripts: pulumi.Input[str],
    init: pulumi.Input[str],
) -> StatefulSet:
    name = owner.name
    labels, selector = naming.labels(name, COMPONENT), naming.selector(name, COMPONENT)
    several = args.replica_set is not None
    container = ContainerArgs(
        name="mongodb",
        image=args.image,
        command=["sh", f"{SCRIPTS}/start.sh"],
        ports=[pods.container_port(MONGODB)],
        env=[*pods.pod_identity(), *_server_environment(args, server_secret)],
        resources=args.resources.args(),
        security_context=pods.restricted_container(),
        volume_mounts=[
            VolumeMountArgs(name="data", mount_path="/data/db"),
            file_mount("scripts", SCRIPTS),
            file_mount("init", _INIT),
            *([VolumeMountArgs(name="keyfile", mount_path=_SECRETS, read_only=True)] if several else []),
            pods.scratch_mount(),
        ],
        # The first start runs the scripts, and a start after a crash recovers the journal: ten minutes at most.
        startup_probe=pods.tcp_probe(MONGODB, period=5, failures=120),
        liveness_probe=pods.tcp_probe(MONGODB, period=10, failures=6),
        # mongod listens when it can serve; only a member of a set may listen and still be copying.
        readiness_probe=pods.exec_probe(["sh", f"{SCRIPTS}/ready.sh"], period=20, timeout=15)
        if several
        else pods.tcp_probe(MONGODB, period=5),
    )
    return StatefulSet(
        naming.child(name, "statefulset"),
        metadata=ObjectMetaArgs(name=name, namespace=args.namespace, labels=labels),
        spec=StatefulSetSpecArgs(
            replicas=1 if args.replica_set is None else args.replica_set.members,
            service_name=secrets.headless(name) if several else name,
            pod_management_policy="Parallel" if several else None,
            selector=LabelSelectorArgs(match_labels=selector),
            template=pod_template(
                name,
                COMPONENT,
                container,
                [
                    file_volume("scripts", scripts),
                    file_volume("init", init),
                    *([_key_file(server_secret)] if several else []),
                ],
                user=MONGODB_USER,
                grace_seconds=_GRACE_SECONDS,
                annotations={annotations.CONFIG_CHECKSUM: annotations.checksum(init_scripts(args.init_scripts))},
            ),
            volume_claim_templates=[claim_template("data", name, COMPONENT, args.storage)],
            persistent_volume_claim_retention_policy=claim_retention(protect=args.protect),
        ),
        opts=owner.stateful_options(protect=args.protect),
    )


def initiator(name: str) -> str:
    return naming.child(name, "initiate")


def initiation(
    owner: Component,
    args: MongodbArgs,
    *,
    server_secret: pulumi.Input[str],
    scripts: pulumi.Input[str],
    after: StatefulSet,
) -> None:
    """A Job with a generated name, for a Job cannot be changed: another number of members makes another one."""
    replica_set = args.replica_set
    if replica_set is None:
        return
    name = initiator(owner.name)
    labels = naming.labels(name, "initiate")
    addresses = pulumi.Output.from_input(args.namespace).apply(
        lambda known: " ".join(secrets.members(owner.name, args, known))
    )
    container = ContainerArgs(
        name="initiate",
        image=args.image,
        command=["mongosh", "--quiet", "--norc", "--nodb", "--file", f"{SCRIPTS}/initiate.js"],
        env=[
            pods.env("MEMBERS", addresses),
            pods.env("REPLICA_SET", replica_set.name),
            pods.env("ROOT_USERNAME", secrets.ROOT),
            pods.env_from_secret("ROOT_PASSWORD", server_secret, secrets.ROOT_PASSWORD),
            pods.env("WAIT_SECONDS", "120"),
            pods.env("HOME", "/tmp"),  # noqa: S108 - a path inside the container
        ],
        resources=_INITIATOR_RESOURCES.args(),
        security_context=pods.restricted_container(),
        volume_mounts=[file_mount("scripts", SCRIPTS), pods.scratch_mount()],
    )
    Job(
        name,
        metadata=ObjectMetaArgs(namespace=args.namespace, labels=labels),
        spec=JobSpecArgs(
            backoff_limit=4,
            active_deadline_seconds=_INITIATION_SECONDS,
            template=PodTemplateSpecArgs(
                metadata=ObjectMetaArgs(labels=labels),
                spec=PodSpecArgs(
                    restart_policy="Never",
                    containers=[container],
                    automount_service_account_token=False,
                    enable_service_links=False,
                    security_context=pods.restricted_pod(MONGODB_USER),
                    volumes=[file_volume("scripts", scripts), pods.scratch_volume()],
                ),
            ),
        ),
        opts=owner.child_options(depends_on=[after]),
    )


def _server_environment(args: MongodbArgs, secret: pulumi.Input[str]) -> list[EnvVarArgs]:
    return [
        pods.env("REPLICA_SET", "" if args.replica_set is None else args.replica_set.name),
        pods.env("KEY_FILE", f"{_SECRETS}/{secrets.KEY_FILE}"),
        pods.env("HOME", "/tmp"),  # noqa: S108 - a path inside the container
        pods.env("MONGO_INITDB_DATABASE", args.database),
        pods.env("MONGO_INITDB_ROOT_USERNAME", secrets.ROOT),
        pods.env_from_secret("MONGO_INITDB_ROOT_PASSWORD", secret, secrets.ROOT_PASSWORD),
        pods.env("APP_DATABASE", args.database),
        pods.env("APP_USERNAME", args.username),
        pods.env_from_secret("APP_PASSWORD", secret, secrets.APP_PASSWORD),
        pods.env("BACKUP_USERNAME", secrets.BACKUP),
        pods.env_from_secret("BACKUP_PASSWORD", secret, secrets.BACKUP_PASSWORD),
    ]


def _key_file(secret: pulumi.Input[str]) -> VolumeArgs:
    return VolumeArgs(
        name="keyfile",
        secret=SecretVolumeSourceArgs(
            secret_name=secret,
            default_mode=0o440,
            items=[KeyToPathArgs(key=secrets.KEY_FILE, path=secrets.KEY_FILE)],
        ),
    )
