"""The way in: whatever the profile's table row says, made from one list of routes."""

import pulumi

from infra.component import Component
from infra.components.exposure._cloud import backend_config
from infra.components.exposure._gateway_api import http_routes, secret_grant
from infra.components.exposure._ingress import Group, groups, ingress
from infra.components.exposure._traefik import middlewares, servers_transport
from infra.components.exposure._urls import urls
from infra.components.exposure.args import ExposureArgs
from infra.exposure import TABLE, check, prerequisites


class Exposure(Component):
    """Makes the servers reachable from outside the cluster.

    Outputs: `urls`, by route and by endpoint (`http`, `websocket`, `sse`). Raises ValueError with every wish that the
    profile cannot meet. The Services of its routes must carry `infra.exposure.service_annotations`.
    """

    def __init__(self, name: str, args: ExposureArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("exposure", "Exposure", name, opts)
        problems = check(args.profile, args.wishes)
        if problems:
            raise ValueError("\n".join(problems))
        for text in prerequisites(args.profile, args.wishes):
            pulumi.log.info(f"Profile {args.profile}: {text}.", self)
        kind = TABLE[args.profile].kind
        if kind == "ingress":
            self._ingresses(name, args)
        elif kind == "httpRoute":
            self._routes(name, args)
        self.urls: pulumi.Output[dict[str, dict[str, str]]] = urls(args)
        self.finish({"urls": self.urls})

    def _ingresses(self, name: str, args: ExposureArgs) -> None:
        if args.profile == "traefik":
            servers_transport(name, args, self.child_options())
        if args.profile == "gce":
            backend_config(name, args, self.child_options())
        for group in groups(name, args):
            self._ingress(name, group, args)

    def _ingress(self, name: str, group: Group, args: ExposureArgs) -> None:
        if args.profile != "traefik":
            ingress(name, group, args, {}, self.child_options())
            return
        made, annotation = middlewares(name, group, args, self.child_options())
        ingress(name, group, args, annotation, self.child_options(depends_on=made))

    def _routes(self, name: str, args: ExposureArgs) -> None:
        gateway = args.gateway
        if gateway is None:  # `check` has refused this already
            return
        list(http_routes(name, args, gateway, self.child_options()))
        if args.tls_secret is not None:
            secret_grant(name, args, gateway, args.tls_secret, self.child_options())
