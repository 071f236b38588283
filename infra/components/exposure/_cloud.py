"""The objects that clouds need beside an Ingress."""

import pulumi
from pulumi_kubernetes.apiextensions import CustomResource
from pulumi_kubernetes.meta.v1 import ObjectMetaArgs

from infra import naming
from infra.components.exposure._ingress import COMPONENT
from infra.components.exposure.args import ExposureArgs


def backend_config(name: str, args: ExposureArgs, opts: pulumi.ResourceOptions) -> CustomResource:
    """How GKE's load balancer treats the Services that name it by an annotation."""
    values = args.wishes.values()
    return CustomResource(
        naming.child(name, "backend"),
        api_version="cloud.google.com/v1",
        kind="BackendConfig",
        metadata=ObjectMetaArgs(name=name, namespace=args.namespace, labels=naming.labels(name, COMPONENT)),
        spec={
            "timeoutSec": int(values["timeout"]),
            "sessionAffinity": {"affinityType": "GENERATED_COOKIE", "affinityCookieTtlSec": int(values["affinity"])},
            "connectionDraining": {"drainingTimeoutSec": int(values["drain"])},
        },
        opts=opts,
    )
