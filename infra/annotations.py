"""Every annotation of the platform, once: who writes one and who reads it back cannot disagree."""

from collections.abc import Mapping
from hashlib import sha256

from infra.ports import Port

# A change of the program's configuration changes this, and with it the pods.
CONFIG_CHECKSUM = "slipway.dev/config-checksum"
# How long running calls have after the drain; the grace period must exceed both together.
REQUEST_BUDGET = "slipway.dev/request-budget-seconds"
# The edge that a NetworkPolicy is one end of, and why the edge is there.
EDGE = "slipway.dev/edge"
REASON = "slipway.dev/reason"


def prometheus(port: Port, path: str = "/metrics") -> dict[str, str]:
    """What a Prometheus that discovers pods by annotation reads."""
    return {
        "prometheus.io/scrape": "true",
        "prometheus.io/port": str(port.number),
        "prometheus.io/path": path,
    }


def checksum(data: Mapping[str, str]) -> str:
    """A digest of configuration, the same whatever its order."""
    lines = "".join(f"{len(key)}:{key}={len(data[key])}:{data[key]}\n" for key in sorted(data))
    return sha256(lines.encode()).hexdigest()
