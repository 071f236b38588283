"""One Redis: a StatefulSet or a Deployment behind one Service."""

import pulumi
from pulumi_kubernetes.apps.v1 import (
    Deployment,
    DeploymentSpecArgs,
    DeploymentStrategyArgs,
    StatefulSet,
    StatefulSetSpecArgs,
)
from pulumi_kubernetes.core.v1 import (
    EmptyDirVolumeSourceArgs,
    PersistentVolumeClaimVolumeSourceArgs,
    Service,
    ServicePortArgs,
    ServiceSpecArgs,
    VolumeArgs,
)
from pulumi_kubernetes.meta.v1 import LabelSelectorArgs, ObjectMetaArgs

from infra import naming
from infra.component import Component, object_name
from infra.components._workloads import claim_retention, claim_template, volume_claim
from infra.components.redis import _pods
from infra.components.redis._pods import Parts
from infra.ports import REDIS

COMPONENT = "redis"


def make(owner: Component, parts: Parts) -> pulumi.Output[str]:
    """The workload and its Service; returns the Service's name, known once the workload is up."""
    args, name = parts.args, owner.name
    metadata = ObjectMetaArgs(name=name, namespace=args.namespace, labels=naming.labels(name, COMPONENT))
    selector = LabelSelectorArgs(match_labels=naming.selector(name, COMPONENT))
    own_address = f"localhost:{REDIS.number}"
    scratch = None if args.persistence else VolumeArgs(name="data", empty_dir=EmptyDirVolumeSourceArgs())
    service = redis_service(owner, parts)
    if args.workload == "statefulset":
        StatefulSet(
            naming.child(name, "statefulset"),
            metadata=metadata,
            spec=StatefulSetSpecArgs(
                replicas=1,
                service_name=name,
                selector=selector,
                template=_pods.redis_template(name, parts, own_address=own_address, data=scratch),
                volume_claim_templates=[claim_template("data", name, COMPONENT, args.storage)]
                if args.persistence
                else None,
                persistent_volume_claim_retention_policy=claim_retention(protect=args.protect),
            ),
            opts=owner.stateful_options(protect=args.protect),
        )
        return service
    data = scratch or VolumeArgs(
        name="data",
        persistent_volume_claim=PersistentVolumeClaimVolumeSourceArgs(
            claim_name=volume_claim(
                owner, naming.child(name, "data"), COMPONENT, args.namespace, args.storage, protect=args.protect
            )
        ),
    )
    Deployment(
        naming.child(name, "deployment"),
        metadata=metadata,
        spec=DeploymentSpecArgs(
            replicas=1,
            selector=selector,
            # Two pods must never write to one volume.
            strategy=DeploymentStrategyArgs(type="Recreate"),
            template=_pods.redis_template(name, parts, own_address=own_address, data=data),
        ),
        opts=owner.child_options(),
    )
    return service


def redis_service(owner: Component, parts: Parts) -> pulumi.Output[str]:
    name = owner.name
    service = Service(
        naming.child(name, "service"),
        metadata=ObjectMetaArgs(name=name, namespace=parts.args.namespace, labels=naming.labels(name, COMPONENT)),
        spec=ServiceSpecArgs(
            selector=naming.selector(name, COMPONENT),
            ports=[ServicePortArgs(name=REDIS.name, port=REDIS.number, target_port=REDIS.name)],
        ),
        opts=owner.child_options(),
    )
    return object_name(service.metadata)
