"""Rules about what the namespace allows its pods."""

from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from infra.config.errors import Problem
from infra.config.quantities import amount
from infra.config.rules.parts import Workload, workloads
from infra.config.rules.registry import rule

if TYPE_CHECKING:
    from infra.config.cluster import QuotaConfig
    from infra.config.stack import StackConfig

_MEBIBYTE: Final = 2**20


def _cores(value: Decimal) -> str:
    return f"{value.normalize():f}"


def _mebibytes(value: Decimal) -> str:
    return f"{value / _MEBIBYTE:.0f}Mi"


_SUMS: Final[tuple[tuple[str, str, Callable[[Workload], str], Callable[[Decimal], str]], ...]] = (
    ("cpu_requests", "cpuRequests", lambda pods: pods.resources.requests.cpu, _cores),
    ("memory_requests", "memoryRequests", lambda pods: pods.resources.requests.memory, _mebibytes),
    ("cpu_limits", "cpuLimits", lambda pods: pods.resources.limits.cpu, _cores),
    ("memory_limits", "memoryLimits", lambda pods: pods.resources.limits.memory, _mebibytes),
)


@rule("namespace", "servers", "redis", "mongodb", "gateway", "mesh")
def the_quota_holds_the_fewest_pods(config: "StackConfig") -> Iterator[Problem]:
    quota = config.namespace.quota
    if quota is None:
        return
    running = list(workloads(config))
    yield from _sums(quota, running)
    counts = (
        ("pods", "pods", quota.pods, sum(pods.least_pods for pods in running)),
        (
            "persistentVolumeClaims",
            "volume claims",
            quota.persistent_volume_claims,
            sum(pods.volumes for pods in running),
        ),
    )
    for key, noun, most, needed in counts:
        if most is not None and needed > most:
            yield Problem(
                f"namespace.quota.{key}", f"{most} is less than the {needed} {noun} that this stack needs; raise it"
            )


def _sums(quota: "QuotaConfig", running: list[Workload]) -> Iterator[Problem]:
    for attribute, key, of_one, render in _SUMS:
        most: str | None = getattr(quota, attribute)
        needed = sum((amount(of_one(pods)) * pods.least_pods for pods in running), Decimal(0))
        if most is not None and needed > amount(most):
            yield Problem(
                f"namespace.quota.{key}",
                f"'{most}' is less than the {render(needed)} that this stack's fewest pods need; raise it",
            )


@rule("namespace")
def container_defaults_are_ordered(config: "StackConfig") -> Iterator[Problem]:
    limits = config.namespace.limits
    if limits is None:
        return
    ordered = (
        ("defaultCpuRequest", limits.default_cpu_request, "defaultCpu", limits.default_cpu),
        ("defaultMemoryRequest", limits.default_memory_request, "defaultMemory", limits.default_memory),
        ("defaultCpu", limits.default_cpu, "maxCpu", limits.max_cpu),
        ("defaultMemory", limits.default_memory, "maxMemory", limits.max_memory),
    )
    for low_key, low, high_key, high in ordered:
        if high is not None and amount(low) > amount(high):
            yield Problem(
                f"namespace.limits.{low_key}", f"'{low}' is above {high_key} '{high}'; lower it, or raise that"
            )


@rule("namespace", "servers", "redis", "mongodb", "gateway", "mesh")
def containers_fit_the_limit_range(config: "StackConfig") -> Iterator[Problem]:
    limits = config.namespace.limits
    if limits is None:
        return
    for pods in workloads(config):
        for kind, most in (("cpu", limits.max_cpu), ("memory", limits.max_memory)):
            limit: str = getattr(pods.resources.limits, kind)
            if most is not None and amount(limit) > amount(most):
                yield Problem(
                    f"{pods.path}.resources.limits.{kind}",
                    f"'{limit}' is above namespace.limits.max{kind.capitalize()} '{most}'; lower it, or raise that",
                )
