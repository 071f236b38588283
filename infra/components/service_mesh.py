"""Objects for a service mesh that the cluster already runs: Istio or Linkerd."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import pulumi
from pulumi_kubernetes.apiextensions import CustomResource
from pulumi_kubernetes.core.v1 import Service, ServicePortArgs, ServiceSpecArgs
from pulumi_kubernetes.meta.v1 import ObjectMetaArgs

from infra import naming
from infra.component import Component
from infra.ports import AGENT, SERVICE

ServiceMeshKind = Literal["istio", "linkerd"]
CAPABILITY_HEADER = "x-mcp-capability"
_COMPONENT = "service-mesh"
_ISTIO_ROUTING = "networking.istio.io/v1"
_ISTIO_SECURITY = "security.istio.io/v1"
_LINKERD_PROFILE = "linkerd.io/v1alpha2"


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
    # Refuse what the mesh has not encrypted (Istio; Linkerd takes it as an annotation of the namespace).
    strict_mtls: bool = True
    timeout: str = "30s"
    retry_budget: RetryBudget = field(default_factory=RetryBudget)
    outlier_detection: OutlierDetection = field(default_factory=OutlierDetection)


class ServiceMesh(Component):
    """Owns the mesh's objects for the platform's Services. It never installs a mesh."""

    agents_url: pulumi.Output[str] | None
    """Where a call with the header goes, whichever agent answers it; None where nothing routes by capability."""

    def __init__(self, name: str, args: ServiceMeshArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("service_mesh", "ServiceMesh", name, opts)
        self.agents_url = None
        if args.kind == "istio":
            self._istio(args)
        else:
            self._linkerd(args)
        self.finish({"agents_url": self.agents_url})

    def _istio(self, args: ServiceMeshArgs) -> None:
        if args.strict_mtls:
            # Without a selector it holds for every workload of the namespace.
            self._object(args, "PeerAuthentication", _ISTIO_SECURITY, "mtls", {"mtls": {"mode": "STRICT"}})
        for service in args.services:
            self._object(
                args, "DestinationRule", _ISTIO_ROUTING, service, _destination_rule(service, args.outlier_detection)
            )
        if args.capabilities:
            self._agents_service(args)
            self._object(args, "VirtualService", _ISTIO_ROUTING, args.agents_host, _capability_routes(args))
            self.agents_url = pulumi.Output.from_input(args.namespace).apply(
                lambda namespace: f"http://{naming.service_host(args.agents_host, namespace)}/mcp"
            )

    def _linkerd(self, args: ServiceMeshArgs) -> None:
        for service in args.services:
            host = pulumi.Output.from_input(args.namespace).apply(
                lambda namespace, service=service: naming.service_host(service, namespace)
            )
            # A profile applies to the Service whose full DNS name is its own name.
            self._object(args, "ServiceProfile", _LINKERD_PROFILE, service, _service_profile(args), object_name=host)

    def _agents_service(self, args: ServiceMeshArgs) -> None:
        """The host that callers name. It finds every agent; the mesh then chooses by the header."""
        Service(
            naming.child(self.name, "agents-service"),
            metadata=ObjectMetaArgs(
                name=args.agents_host, namespace=args.namespace, labels=naming.labels(args.agents_host, _COMPONENT)
            ),
            spec=ServiceSpecArgs(
                selector={"app.kubernetes.io/component": "agent", "app.kubernetes.io/part-of": naming.PART_OF},
                ports=[ServicePortArgs(name=AGENT.name, port=SERVICE.number, target_port=AGENT.name)],
            ),
            opts=self.child_options(),
        )

    def _named(self, part: str) -> str:
        return naming.child(self.name, part)

    def _object(
        self,
        args: ServiceMeshArgs,
        kind: str,
        api_version: str,
        part: str,
        spec: dict[str, Any],
        *,
        object_name: pulumi.Input[str] | None = None,
    ) -> None:
        CustomResource(
            naming.child(self.name, kind.lower(), part),
            api_version=api_version,
            kind=kind,
            metadata=ObjectMetaArgs(
                name=self._named(part) if object_name is None else object_name,
                namespace=args.namespace,
                labels=naming.labels(self.name, _COMPONENT),
            ),
            spec=spec,
            opts=self.child_options(),
        )


def _destination_rule(service: str, outliers: OutlierDetection) -> dict[str, Any]:
    return {
        "host": service,
        "trafficPolicy": {
            "loadBalancer": {"simple": "LEAST_REQUEST"},
            "outlierDetection": {
                "consecutive5xxErrors": outliers.consecutive_errors,
                "interval": outliers.interval,
                "baseEjectionTime": outliers.ejection_time,
                # The last pods are kept: a failing answer is better than none.
                "maxEjectionPercent": 50,
            },
        },
    }


def _capability_routes(args: ServiceMeshArgs) -> dict[str, Any]:
    """One route a capability. A call for one that nobody has is answered 404 by the mesh."""
    return {
        "hosts": [args.agents_host],
        "http": [
            {
                "name": capability,
                "match": [{"headers": {CAPABILITY_HEADER: {"exact": capability}}}],
                "route": [{"destination": {"host": service, "port": {"number": SERVICE.number}}}],
                "timeout": args.timeout,
                # Only what never reached the agent is sent again: a tool may have done its work.
                "retries": {"attempts": 2, "perTryTimeout": args.timeout, "retryOn": "connect-failure,refused-stream"},
            }
            for capability, service in sorted(args.capabilities.items())
        ],
    }


def _service_profile(args: ServiceMeshArgs) -> dict[str, Any]:
    budget = args.retry_budget
    return {
        "routes": [
            {
                "name": "mcp-call",
                "condition": {"method": "POST", "pathRegex": "/mcp"},
                "timeout": args.timeout,
            },
            # Reading what an agent offers changes nothing, so it may be asked again.
            {
                "name": "health",
                "condition": {"method": "GET", "pathRegex": "/(health|livez|ready)"},
                "isRetryable": True,
            },
        ],
        "retryBudget": {
            "retryRatio": budget.retry_ratio,
            "minRetriesPerSecond": budget.min_retries_per_second,
            "ttl": budget.ttl,
        },
    }
