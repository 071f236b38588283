"""What the exposure component is given."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import pulumi

from infra.exposure import Profile, RateLimit, Wishes
from infra.ports import SERVICE

Endpoint = Literal["http", "websocket", "sse"]


@dataclass(frozen=True, kw_only=True)
class Route:
    """One backend that clients reach. Its name is its key in the URLs.

    A route with `allow_from` gets an Ingress of its own, so that the list holds for nothing else; so does one under a
    path, which is taken off before the backend sees the request.
    """

    name: str
    service: pulumi.Input[str]
    port: int = SERVICE.number
    # The exposure's host when absent.
    host: str | None = None
    path: str = "/"
    node_port: int | None = None
    endpoints: tuple[Endpoint, ...] = ("http", "websocket", "sse")
    allow_from: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class GatewayRef:
    """The Gateway that routes attach to."""

    name: str
    namespace: str
    section: str | None = None


@dataclass(frozen=True, kw_only=True)
class ExposureArgs:
    """What clients reach, and how. None means the default as far as the profile can; see `infra.exposure`."""

    namespace: pulumi.Input[str]
    profile: Profile
    routes: tuple[Route, ...]
    host: str | None = None
    class_name: str | None = None
    # The Secret with the certificate: `Tls.secret_name`.
    tls_secret: pulumi.Input[str] | None = None
    timeout_seconds: int | None = None
    idle_timeout_seconds: int | None = None
    affinity_seconds: int | None = None
    body_size: str | None = None
    rate_limit: RateLimit | None = None
    allow_from: tuple[str, ...] = ()
    gateway: GatewayRef | None = None
    # Only the profile alb: the certificate in AWS Certificate Manager.
    certificate_arn: str | None = None
    # Added to every Ingress, after the profile's own.
    annotations: Mapping[str, pulumi.Input[str]] = field(default_factory=dict[str, pulumi.Input[str]])
    # Only the profile nodePort: an address of a node, for the URLs.
    node_address: str = "<node-ip>"
    # Whether the update waits until the controller has given the Ingress an address.
    wait_for_address: bool = True

    @property
    def ends_tls(self) -> bool:
        """Whether clients speak TLS to what stands in front."""
        return self.tls_secret is not None or self.certificate_arn is not None

    @property
    def wishes(self) -> Wishes:
        """The same, as the table is asked."""
        admin = next((route for route in self.routes if route.allow_from), None)
        return Wishes(
            host=self.host,
            tls=self.tls_secret is not None,
            timeout_seconds=self.timeout_seconds,
            idle_timeout_seconds=self.idle_timeout_seconds,
            affinity_seconds=self.affinity_seconds,
            body_size=self.body_size,
            rate_limit=self.rate_limit,
            allow_from=self.allow_from,
            admin_host=admin.host if admin else None,
            admin_allow_from=admin.allow_from if admin else (),
            gateway=self.gateway.name if self.gateway else None,
            certificate=self.certificate_arn,
            prefixes=tuple(route.path for route in self.routes if route.path != "/"),
        )
