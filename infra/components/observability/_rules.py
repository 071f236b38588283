"""The alerts: one for every failure that somebody should be told of, each with its runbook."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Watched:
    """What the stack has, so that no alert waits for something that does not exist. Names are those in the cluster."""

    # Deployments and StatefulSets that must always have a ready pod.
    workloads: tuple[str, ...] = ()
    autoscalers: tuple[str, ...] = ()
    redis: str | None = None
    registry: str | None = None
    certificates: bool = False
    # Part of all calls that may fail, and seconds within which 99 of 100 must be answered.
    error_ratio: float = 0.05
    latency_seconds: float = 2.5
