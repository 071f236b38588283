"""What the stores and the mesh make alike: pods, disruption budgets, volumes for copies, the job that copies."""

from collections.abc import Mapping, Sequence

import pulumi
from pulumi_kubernetes.apps.v1 import StatefulSetPersistentVolumeClaimRetentionPolicyArgs
from pulumi_kubernetes.batch.v1 import CronJob, CronJobSpecArgs, JobSpecArgs, JobTemplateSpecArgs
from pulumi_kubernetes.core.v1 import (
    ContainerArgs,
    PersistentVolumeClaim,
    PersistentVolumeClaimArgs,
    PersistentVolumeClaimVolumeSourceArgs,
    PodSpecArgs,
    PodTemplateSpecArgs,
    VolumeArgs,
    VolumeMountArgs,
)
from pulumi_kubernetes.meta.v1 import LabelSelectorArgs, ObjectMetaArgs
from pulumi_kubernetes.policy.v1 import PodDisruptionBudget, PodDisruptionBudgetSpecArgs

from infra import naming, scheduling
from infra.component import Component, object_name
from infra.pods import restricted_pod, scratch_volume
from infra.storage import Backup, Storage

BACKUP_DIR = "/backups"
_BACKUP_VOLUME = "backups"
_BACKUP_SECONDS = 3600


def disruption_budget(
    owner: Component, name: str, component: str, namespace: pulumi.Input[str], *, max_unavailable: int = 1
) -> None:
    """At most so many pods are taken away at once by drains. It never forbids them all: one pod can still move."""
    PodDisruptionBudget(
        naming.child(name, "pdb"),
        metadata=ObjectMetaArgs(name=name, namespace=namespace, labels=naming.labels(name, component)),
        spec=PodDisruptionBudgetSpecArgs(
            max_unavailable=max_unavailable,
            # A pod that never became ready must not hold up a drain.
            unhealthy_pod_eviction_policy="AlwaysAllow",
            selector=LabelSelectorArgs(match_labels=naming.selector(name, component)),
        ),
        opts=owner.child_options(),
    )


def pod_template(
    name: str,
    component: str,
    container: ContainerArgs,
    volumes: Sequence[VolumeArgs],
    *,
    user: int,
    grace_seconds: int | None = None,
    per_revision: bool = False,
    annotations: Mapping[str, pulumi.Input[str]] | None = None,
) -> PodTemplateSpecArgs:
    """Pods of others' programs, apart from each other as far as can be, with a folder to write to beside `volumes`."""
    selector = naming.selector(name, component)
    return PodTemplateSpecArgs(
        metadata=ObjectMetaArgs(labels=naming.labels(name, component), annotations=annotations),
        spec=PodSpecArgs(
            containers=[container],
            automount_service_account_token=False,
            enable_service_links=False,
            security_context=restricted_pod(user),
            affinity=scheduling.apart(selector),
            topology_spread_constraints=scheduling.evenly(selector, per_revision=per_revision),
            termination_grace_period_seconds=grace_seconds,
            volumes=[*volumes, scratch_volume()],
        ),
    )


def volume_claim(
    owner: Component, name: str, component: str, namespace: pulumi.Input[str], storage: Storage, *, protect: bool
) -> pulumi.Output[str]:
    """A volume of its own, which is not waited for: most classes make one only when a pod wants it."""
    claim = PersistentVolumeClaim(
        name,
        metadata=ObjectMetaArgs(
            name=name,
            namespace=namespace,
            labels=naming.labels(name, component),
            annotations={"pulumi.com/skipAwait": "true"},
        ),
        spec=storage.claim(),
        opts=owner.stateful_options(protect=protect),
    )
    return object_name(claim.metadata)


def claim_template(volume: str, name: str, component: str, storage: Storage) -> PersistentVolumeClaimArgs:
    """The volume that a StatefulSet claims for each of its pods."""
    return PersistentVolumeClaimArgs(
        metadata=ObjectMetaArgs(name=volume, labels=naming.selector(name, component)), spec=storage.claim()
    )


def claim_retention(*, protect: bool) -> StatefulSetPersistentVolumeClaimRetentionPolicyArgs:
    """Protected data outlives its StatefulSet; other data goes with it, so that a destroyed stack leaves nothing."""
    return StatefulSetPersistentVolumeClaimRetentionPolicyArgs(
        when_deleted="Retain" if protect else "Delete", when_scaled="Retain"
    )


def backup_mount() -> VolumeMountArgs:
    return VolumeMountArgs(name=_BACKUP_VOLUME, mount_path=BACKUP_DIR)


def backup_job(
    owner: Component,
    namespace: pulumi.Input[str],
    backup: Backup,
    *,
    container: ContainerArgs,
    volumes: list[VolumeArgs],
    user: int,
    protect: bool,
) -> None:
    """A CronJob that runs `container` with the volume for copies at `BACKUP_DIR`: one at a time, never for ever."""
    name = naming.child(owner.name, "backup")
    labels = naming.labels(name, "backup")
    claim = volume_claim(
        owner, naming.child(owner.name, "backups"), "backup", namespace, backup.storage, protect=protect
    )
    pod = PodSpecArgs(
        restart_policy="Never",
        automount_service_account_token=False,
        enable_service_links=False,
        security_context=restricted_pod(user),
        containers=[container],
        volumes=[
            *volumes,
            VolumeArgs(
                name=_BACKUP_VOLUME, persistent_volume_claim=PersistentVolumeClaimVolumeSourceArgs(claim_name=claim)
            ),
        ],
    )
    CronJob(
        name,
        metadata=ObjectMetaArgs(name=name, namespace=namespace, labels=labels),
        spec=CronJobSpecArgs(
            schedule=backup.schedule,
            concurrency_policy="Forbid",
            starting_deadline_seconds=600,
            successful_jobs_history_limit=1,
            failed_jobs_history_limit=3,
            job_template=JobTemplateSpecArgs(
                metadata=ObjectMetaArgs(labels=labels),
                spec=JobSpecArgs(
                    active_deadline_seconds=_BACKUP_SECONDS,
                    backoff_limit=2,
                    template=PodTemplateSpecArgs(metadata=ObjectMetaArgs(labels=labels), spec=pod),
                ),
            ),
        ),
        opts=owner.child_options(),
    )
