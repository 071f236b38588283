"""HTTPRoutes of Gateway API: the standard channel, nothing of an implementation's own."""

from collections.abc import Iterator, Mapping

import pulumi
from pulumi_kubernetes.apiextensions import CustomResource
from pulumi_kubernetes.meta.v1 import ObjectMetaArgs

from infra import naming
from infra.components.exposure._ingress import COMPONENT
from infra.components.exposure.args import ExposureArgs, GatewayRef, Route

_GROUP = "gateway.networking.k8s.io"


def http_routes(
    name: str, args: ExposureArgs, gateway: GatewayRef, opts: pulumi.ResourceOptions
) -> Iterator[CustomResource]:
    """One HTTPRoute for every host."""
    parent = {"name": gateway.name, "namespace": gateway.namespace}
    if gateway.section is not None:
        parent["sectionName"] = gateway.section
    by_host: dict[str | None, list[Route]] = {}
    for route in args.routes:
        by_host.setdefault(route.host or args.host, []).append(route)
    for host, routes in by_host.items():
        object_name = name if host in {None, args.host} else naming.child(name, routes[0].name)
        spec: dict[str, object] = {"parentRefs": [parent], "rules": [_rule(route, args) for route in routes]}
        if host is not None:
            spec["hostnames"] = [host]
        yield CustomResource(
            object_name,
            api_version=f"{_GROUP}/v1",
            kind="HTTPRoute",
            metadata=ObjectMetaArgs(name=object_name, namespace=args.namespace, labels=naming.labels(name, COMPONENT)),
            spec=spec,
            opts=opts,
        )


def secret_grant(
    name: str, args: ExposureArgs, gateway: GatewayRef, secret: pulumi.Input[str], opts: pulumi.ResourceOptions
) -> CustomResource:
    """Lets the Gateway, which lives in a namespace of its own, read the certificate's Secret."""
    return CustomResource(
        naming.child(name, "certificate"),
        api_version=f"{_GROUP}/v1beta1",
        kind="ReferenceGrant",
        metadata=ObjectMetaArgs(
            name=naming.child(name, "certificate"), namespace=args.namespace, labels=naming.labels(name, COMPONENT)
        ),
        spec={
            "from": [{"group": _GROUP, "kind": "Gateway", "namespace": gateway.namespace}],
            "to": [{"group": "", "kind": "Secret", "name": secret}],
        },
        opts=opts,
    )


def _rule(route: Route, args: ExposureArgs) -> Mapping[str, object]:
    timeout = f"{args.wishes.values()['timeout']}s"
    rule: dict[str, object] = {
        "matches": [{"path": {"type": "PathPrefix", "value": route.path}}],
        "backendRefs": [{"name": route.service, "port": route.port}],
        "timeouts": {"request": timeout, "backendRequest": timeout},
    }
    if route.path != "/":
        rewrite = {"path": {"type": "ReplacePrefixMatch", "replacePrefixMatch": "/"}}
        rule["filters"] = [{"type": "URLRewrite", "urlRewrite": rewrite}]
    return rule
