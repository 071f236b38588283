"""Objects for a service mesh that the cluster already runs: Istio or Linkerd."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import pulumi
from pulumi_kubernetes.apiextensions import CustomResource
from pulumi_kubernetes.core.v1 import Service, ServicePortArgs, ServiceSpecArgs
from pulumi_kubernetes.meta.v1 import ObjectMetaArgs

from infra import naming
from infra.component import Component
from infra.ports import SERVICE, Port

ServiceMeshKind = Literal["istio", "linkerd"]
COMPONENT = "service-mesh"
CAPABILITY_HEADER = "x-mcp-capability"
ISTIO_NETWORKING = "networking.istio.io/v1beta1"
ISTIO_SECURITY = "security.istio.io/v1beta1"
LINKERD = "linkerd.io/v1alpha2"


@dataclass(frozen=True, kw_only=True)
class RetryBudget:
    """How much traffic retries may add, so that they never become the outage."""

    retry_ratio: float = 0.2
    min_retries_per_second: int = 10
    ttl: str = "10s"


@dataclass(frozen=True, kw_only=True)
class OutlierDetection:
    """When the mesh stops sending requests to a failing pod."""

    consecutive_errors: int = 5
    interval: str = "10s"
    ejection_time: str = "30s"


@dataclass(frozen=True, kw_only=True)
class ServiceMeshArgs:
    namespace: pulumi.Input[str]
    kind: ServiceMeshKind
    # Names of the Services that get the mesh's policy: agents, registry, servers, gateway.
    services: tuple[str, ...] = ()
    # Which agent's Service answers for a capability: the header `x-mcp-capability` routes by it (Istio).
    capabilities: Mapping[str, str] = field(default_factory=dict[str, str])
    # The host that such calls are sent to.
    agents_host: str = "mcp-agents"
    service_port: Port = SERVICE
    # Istio refuses what is not encrypted by an object here; Linkerd by an annotation of the namespace.
    strict_mtls: bool = True
    timeout: str = "30s"
    retry_budget: RetryBudget = field(default_factory=RetryBudget)
    outlier_detection: OutlierDetection = field(default_factory=OutlierDetection)


class ServiceMesh(Component):
    """Owns the mesh's objects for the platform's Services. It never installs a mesh."""

    def __init__(self, name: str, args: ServiceMeshArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("service_mesh", "ServiceMesh", name, opts)
        if args.kind == "istio":
            self._istio(args)
        else:
            self._linkerd(args)
        self.finish({"kind": args.kind, "services": list(args.services)})

    def _istio(self, args: ServiceMeshArgs) -> None:
        if args.strict_mtls:
            self._object(
                args,
                ISTIO_SECURITY,
                "PeerAuthentication",
                naming.child(self.name, "strict"),
                {"mtls": {"mode": "STRICT"}},
            )
        for service in args.services:
            self._object(args, ISTIO_NETWORKING, "DestinationRule", service, _destination_rule(service, args))
        if args.capabilities:
            self._agents_host(args)
            self._object(args, ISTIO_NETWORKING, "VirtualService", args.agents_host, _capability_routes(args))

    def _linkerd(self, args: ServiceMeshArgs) -> None:
        """A profile must be called after the full DNS name of its Service, which the namespace is part of."""
        for service in args.services:
            host = pulumi.Output.from_input(args.namespace).apply(
                lambda namespace, service=service: naming.service_host(service, namespace)
            )
            self._object(args, LINKERD, "ServiceProfile", service, _service_profile(args), object_name=host)

    def _agents_host(self, args: ServiceMeshArgs) -> None:
        """The name in the cluster's DNS that callers use; the mesh decides by the header which agent answers."""
        Service(
            naming.child(self.name, args.agents_host),
            metadata=ObjectMetaArgs(
                name=args.agents_host, namespace=args.namespace, labels=naming.labels(self.name, COMPONENT)
            ),
            # No selector: nothing answers under this name but by a route of the mesh.
            spec=ServiceSpecArgs(ports=[ServicePortArgs(name=args.service_port.name, port=args.service_port.number)]),
            opts=self.child_options(),
        )

    def _object(
        self,
        args: ServiceMeshArgs,
        api_version: str,
        kind: str,
        name: str,
        spec: Mapping[str, object],
        *,
        object_name: pulumi.Input[str] | None = None,
    ) -> None:
        CustomResource(
            naming.child(self.name, kind.lower(), name),
            api_version=api_version,
            kind=kind,
            metadata=ObjectMetaArgs(
                name=object_name or name, namespace=args.namespace, labels=naming.labels(self.name, COMPONENT)
            ),
            spec=dict(spec),
            opts=self.child_options(),
        )


def _destination_rule(service: str, args: ServiceMeshArgs) -> dict[str, object]:
    outliers = args.outlier_detection
    return {
        "host": service,
        "trafficPolicy": {
            "loadBalancer": {"simple": "LEAST_REQUEST"},
            "outlierDetection": {
                "consecutive5xxErrors": outliers.consecutive_errors,
                "interval": outliers.interval,
                "baseEjectionTime": outliers.ejection_time,
                # With every pod set aside there would be nobody left to ask.
                "maxEjectionPercent": 50,
            },
        },
    }


def _capability_routes(args: ServiceMeshArgs) -> dict[str, object]:
    return {
        "hosts": [args.agents_host],
        "http": [
            {
                "name": capability,
                "match": [{"headers": {CAPABILITY_HEADER: {"exact": capability}}}],
                "route": [{"destination": {"host": service, "port": {"number": args.service_port.number}}}],
                "timeout": args.timeout,
            }
            for capability, service in sorted(args.capabilities.items())
        ],
    }


def _service_profile(args: ServiceMeshArgs) -> dict[str, object]:
    budget = args.retry_budget
    return {
        "routes": [
            {
                "name": "mcp-call",
                "condition": {"method": "POST", "pathRegex": "/mcp"},
                "timeout": args.timeout,
                # A tool call may have happened although its answer was lost: only its caller may try it again.
                "isRetryable": False,
            },
            {
                "name": "mcp-stream",
                "condition": {"method": "GET", "pathRegex": "/(mcp|sse|events)"},
                # A stream lives for as long as its client does.
                "timeout": "0s",
            },
            {"name": "discovery", "condition": {"method": "GET", "pathRegex": "/.*"}, "isRetryable": True},
        ],
        "retryBudget": {
            "retryRatio": budget.retry_ratio,
            "minRetriesPerSecond": budget.min_retries_per_second,
            "ttl": budget.ttl,
        },
    }
