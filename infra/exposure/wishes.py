"""What a stack asks of its exposure profile."""

import math
from dataclasses import dataclass
from typing import Literal

Profile = Literal["nginx", "traefik", "haproxy", "alb", "gce", "appgw", "gatewayApi", "nodePort", "none"]

TIMEOUT_SECONDS = 3600
IDLE_TIMEOUT_SECONDS = 4000
AFFINITY_SECONDS = 86400
DRAIN_SECONDS = 30
BODY_SIZE = "8m"
BURST_FACTOR = 5
AFFINITY_COOKIE = "slipway-affinity"


@dataclass(frozen=True, kw_only=True)
class RateLimit:
    """Requests a client address may make. Without `burst`, five times the rate where the profile can."""

    requests_per_second: int
    burst: int | None = None


@dataclass(frozen=True, kw_only=True)
class Wishes:
    """What a stack asks of its profile.

    None means "the platform's default, as far as the profile can". A value is a demand: `check` refuses it where the
    profile cannot meet it.
    """

    host: str | None = None
    tls: bool = False
    timeout_seconds: int | None = None
    idle_timeout_seconds: int | None = None
    affinity_seconds: int | None = None
    body_size: str | None = None
    rate_limit: RateLimit | None = None
    allow_from: tuple[str, ...] = ()
    admin_host: str | None = None
    admin_allow_from: tuple[str, ...] = ()
    gateway: str | None = None
    # The ARN of a certificate in AWS Certificate Manager.
    certificate: str | None = None
    # The paths other than `/` that servers are put under.
    prefixes: tuple[str, ...] = ()

    def values(self, *, allow_from: tuple[str, ...] = (), prefix: str = "/") -> dict[str, str]:
        """The values that the table's annotations are filled with; defaults where nothing was asked."""
        rate = self.rate_limit or RateLimit(requests_per_second=1)
        burst = rate.burst or rate.requests_per_second * BURST_FACTOR
        return {
            "timeout": str(self.timeout_seconds or TIMEOUT_SECONDS),
            "idle": str(self.idle_timeout_seconds or IDLE_TIMEOUT_SECONDS),
            "affinity": str(self.affinity_seconds or AFFINITY_SECONDS),
            "cookie": AFFINITY_COOKIE,
            "drain": str(DRAIN_SECONDS),
            "body": self.body_size or BODY_SIZE,
            "rps": str(rate.requests_per_second),
            "burst": str(burst),
            "burst_multiplier": str(max(1, math.ceil(burst / rate.requests_per_second))),
            "allow": ",".join(allow_from),
            "prefix": prefix,
            "certificate": self.certificate or "",
        }
