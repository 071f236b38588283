"""Ingresses, one for every set of routes that share their annotations."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import pulumi
from pulumi_kubernetes.meta.v1 import ObjectMetaArgs
from pulumi_kubernetes.networking.v1 import (
    HTTPIngressPathArgs,
    HTTPIngressRuleValueArgs,
    Ingress,
    IngressBackendArgs,
    IngressRuleArgs,
    IngressServiceBackendArgs,
    IngressSpecArgs,
    IngressTLSArgs,
    ServiceBackendPortArgs,
)

from infra import naming
from infra.components.exposure.args import ExposureArgs, Route
from infra.exposure import TABLE, ingress_annotations

COMPONENT = "exposure"


@dataclass(frozen=True, kw_only=True)
class Group:
    """Routes that one Ingress serves."""

    name: str
    routes: tuple[Route, ...]
    allow_from: tuple[str, ...]
    prefix: str = "/"


def groups(name: str, args: ExposureArgs) -> Iterator[Group]:
    """The shared Ingress first, then one for every route with an allow list or a path of its own."""
    shared = tuple(route for route in args.routes if not route.allow_from and route.path == "/")
    if shared:
        yield Group(name=name, routes=shared, allow_from=args.allow_from)
    for route in args.routes:
        if route not in shared:
            yield Group(
                name=naming.child(name, route.name),
                routes=(route,),
                allow_from=route.allow_from or args.allow_from,
                prefix=route.path,
            )


def ingress(
    name: str,
    group: Group,
    args: ExposureArgs,
    extra: Mapping[str, pulumi.Input[str]],
    opts: pulumi.ResourceOptions,
) -> Ingress:
    """The Ingress of a group; `extra` are annotations that only the component knows."""
    row = TABLE[args.profile]
    annotations: dict[str, pulumi.Input[str]] = {
        **ingress_annotations(args.profile, args.wishes, allow_from=group.allow_from, prefix=group.prefix),
        **extra,
        **args.annotations,
    }
    if not args.wait_for_address:
        annotations["pulumi.com/skipAwait"] = "true"
    hosts = dict.fromkeys(route.host or args.host for route in group.routes)
    named = [host for host in hosts if host is not None]
    return Ingress(
        group.name,
        metadata=ObjectMetaArgs(
            name=group.name,
            namespace=args.namespace,
            labels=naming.labels(name, COMPONENT),
            annotations=annotations,
        ),
        spec=IngressSpecArgs(
            ingress_class_name=None if row.class_by_annotation else args.class_name or row.class_name,
            tls=[IngressTLSArgs(hosts=named, secret_name=args.tls_secret)] if args.tls_secret is not None else None,
            rules=[_rule(host, group, args) for host in hosts],
        ),
        opts=opts,
    )


def _rule(host: str | None, group: Group, args: ExposureArgs) -> IngressRuleArgs:
    routes = [route for route in group.routes if (route.host or args.host) == host]
    return IngressRuleArgs(host=host, http=HTTPIngressRuleValueArgs(paths=[_path(route, args) for route in routes]))


def _path(route: Route, args: ExposureArgs) -> HTTPIngressPathArgs:
    backend = IngressBackendArgs(
        service=IngressServiceBackendArgs(name=route.service, port=ServiceBackendPortArgs(number=route.port))
    )
    if args.profile == "nginx" and route.path != "/":
        # The second group is what follows the prefix: the annotation rewrite-target names it.
        return HTTPIngressPathArgs(
            path=f"{route.path.rstrip('/')}(/|$)(.*)", path_type="ImplementationSpecific", backend=backend
        )
    return HTTPIngressPathArgs(path=route.path, path_type="Prefix", backend=backend)
