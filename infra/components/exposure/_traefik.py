"""The objects of its own that Traefik needs beside an Ingress."""

import pulumi
from pulumi_kubernetes.apiextensions import CustomResource
from pulumi_kubernetes.meta.v1 import ObjectMetaArgs

from infra import naming
from infra.components.exposure._ingress import COMPONENT, Group
from infra.components.exposure.args import ExposureArgs

API = "traefik.io/v1alpha1"
MIDDLEWARES = "traefik.ingress.kubernetes.io/router.middlewares"


def servers_transport(name: str, args: ExposureArgs, opts: pulumi.ResourceOptions) -> CustomResource:
    """How Traefik connects to the pods. The Services name it by an annotation."""
    timeout = args.wishes.values()["timeout"]
    return CustomResource(
        naming.child(name, "transport"),
        api_version=API,
        kind="ServersTransport",
        metadata=_metadata(name, name, args),
        spec={"forwardingTimeouts": {"responseHeaderTimeout": f"{timeout}s"}},
        opts=opts,
    )


def middlewares(
    name: str, group: Group, args: ExposureArgs, opts: pulumi.ResourceOptions
) -> tuple[list[CustomResource], dict[str, pulumi.Input[str]]]:
    """The middlewares of an Ingress, and the annotation that puts them in its way, in this order."""
    specs: dict[str, dict[str, object]] = {}
    if group.allow_from:
        specs["allow"] = {"ipAllowList": {"sourceRange": list(group.allow_from)}}
    if args.rate_limit is not None:
        values = args.wishes.values()
        specs["rate"] = {"rateLimit": {"average": int(values["rps"]), "burst": int(values["burst"])}}
    if group.prefix != "/":
        specs["strip"] = {"stripPrefix": {"prefixes": [group.prefix.rstrip("/")]}}
    made = [
        CustomResource(
            naming.child(group.name, part),
            api_version=API,
            kind="Middleware",
            metadata=_metadata(naming.child(group.name, part), name, args),
            spec=spec,
            opts=opts,
        )
        for part, spec in specs.items()
    ]
    if not made:
        return [], {}
    names = [naming.child(group.name, part) for part in specs]
    references = pulumi.Output.from_input(args.namespace).apply(
        lambda namespace: ",".join(f"{namespace}-{middleware}@kubernetescrd" for middleware in names)
    )
    return made, {MIDDLEWARES: references}


def _metadata(object_name: str, name: str, args: ExposureArgs) -> ObjectMetaArgs:
    return ObjectMetaArgs(name=object_name, namespace=args.namespace, labels=naming.labels(name, COMPONENT))
