"""A load tester: so many connections, so many calls a second, for so long; what they took and what went wrong."""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Protocol

MAX_CONNECTIONS = 20_000
MAX_SECONDS = 3_600.0
_PER_DECADE = 100  # buckets: latencies are kept to within 2.4 percent, in fixed memory
_LEAST = 1e-6
_BREATHER = 0.05  # seconds between a failure and the next attempt


class CallFailed(Exception):
    """One call did not succeed; `kind` is one of a few words, to be counted."""

    def __init__(self, kind: str) -> None:
        super().__init__(kind)
        self.kind = kind


class Caller(Protocol):
    """One connection that calls one tool again and again."""

    async def open(self) -> None:
        """Connect and, where the era has it, shake hands; raises CallFailed."""
        ...

    async def call(self) -> None:
        """One call, to its answer; raises CallFailed."""
        ...

    async def close(self) -> None:
        """Disconnect."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadPlan:
    """How hard, and for how long. A rate of 0 means as fast as the connections allow."""

    connections: int = 10
    rate: float = 0.0
    seconds: float = 10.0
    patience: float = 30.0  # seconds after which a call counts as lost


class Latencies:
    """How long calls took, in buckets that grow with the latency."""

    def __init__(self) -> None:
        self._counts: Counter[int] = Counter()
        self.total = 0
        self.longest = 0.0

    def add(self, seconds: float) -> None:
        self._counts[int(math.log10(max(seconds, _LEAST) / _LEAST) * _PER_DECADE)] += 1
        self.total += 1
        self.longest = max(self.longest, seconds)

    def quantile(self, share: float) -> float:
        """The latency that this share of the calls did not exceed; 0 when there were none."""
        wanted = math.ceil(self.total * share)
        seen = 0
        for bucket in sorted(self._counts):
            seen += self._counts[bucket]
            if seen >= wanted:
                return min(self.longest, _LEAST * 10 ** ((bucket + 1) / _PER_DECADE))
        return self.longest


@dataclass(slots=True)
class LoadReport:
    """What came of it."""

    seconds: float = 0.0
    connected: int = 0
    latencies: Latencies = field(default_factory=Latencies)
    errors: Counter[str] = field(default_factory=Counter[str])

    @property
    def per_second(self) -> float:
        """Answers a second."""
        return self.latencies.total / self.seconds if self.seconds else 0.0


async def run_load(plan: LoadPlan, make: Callable[[], Caller]) -> LoadReport:
    """Open every connection first, then call until the time is over."""
    report = LoadReport()
    opened = await _open_all(plan, make, report)
    loop = asyncio.get_running_loop()
    began = loop.time()
    interval = len(opened) / plan.rate if plan.rate else 0.0
    try:
        await asyncio.gather(
            *(
                _work(caller, plan, report, began, interval, began + interval * number / max(1, len(opened)))
                for number, caller in enumerate(opened)
            )
        )
        report.seconds = loop.time() - began
    finally:
        await asyncio.gather(*(caller.close() for caller in opened), return_exceptions=True)
    return report


async def _open_all(plan: LoadPlan, make: Callable[[], Caller], report: LoadReport) -> list[Caller]:
    gate = asyncio.Semaphore(200)

    async def open_one() -> Caller | None:
        caller = make()
        async with gate:
            try:
                await _within(plan.patience, caller.open)
            except CallFailed as error:
                report.errors[f"connect: {error.kind}"] += 1
                await caller.close()
                return None
        return caller

    opened = [caller for caller in await asyncio.gather(*(open_one() for _ in range(plan.connections))) if caller]
    report.connected = len(opened)
    return opened


async def _work(caller: Caller, plan: LoadPlan, report: LoadReport, began: float, interval: float, due: float) -> None:
    """Call after call. At a fixed rate a call counts from when it was due, so that a slow server cannot hide."""
    loop = asyncio.get_running_loop()
    deadline = began + plan.seconds
    while (now := loop.time()) < deadline:
        if interval:
            if due >= deadline:
                return
            if due > now:
                await asyncio.sleep(due - now)
            since, due = due, due + interval
        else:
            since = now
        try:
            await _within(plan.patience, caller.call)
            report.latencies.add(loop.time() - since)
        except CallFailed as error:
            report.errors[error.kind] += 1
            if not await _again(caller, plan, report):
                return


async def _again(caller: Caller, plan: LoadPlan, report: LoadReport) -> bool:
    """A connection on which a call failed is not trusted any more: open it anew."""
    await caller.close()
    await asyncio.sleep(_BREATHER)
    try:
        await _within(plan.patience, caller.open)
    except CallFailed as error:
        report.errors[f"reconnect: {error.kind}"] += 1
        return False
    return True


async def _within(seconds: float, step: Callable[[], Awaitable[None]]) -> None:
    try:
        async with asyncio.timeout(seconds):
            await step()
    except TimeoutError:
        raise CallFailed("timed out") from None
    except OSError as error:
        raise CallFailed(error.strerror or type(error).__name__) from None
