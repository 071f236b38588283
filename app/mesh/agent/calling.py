"""Calling what others can do: found, balanced, bounded in time, and tried again where that is safe."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from msgspec import Raw

from app.gateway.upstream import UpstreamFailure, UpstreamUnavailable
from app.mesh.agent.budget import RetryBudget
from app.mesh.agent.finding import Candidate, Finder
from app.mesh.agent.metrics import AgentMetrics
from app.mesh.agent.peers import Peer, Peers
from app.mesh.model import Dependency
from app.protocol.calls import TraceContext
from app.protocol.handlers import ToolFailure
from app.resilience.retry import Backoff

logger = logging.getLogger("slipway.agent")
_TIDY_SECONDS = 10.0
_BACKOFF = Backoff()
"""Between two attempts at one agent; another agent is asked at once."""


class MeshError(ToolFailure):
    """A call to another agent did not succeed; the message says why. Who called this agent is told it, too."""


class NobodyThere(MeshError):
    """Nobody who can do it can be reached now."""


class TookTooLong(MeshError):
    """There was no answer within the call's time."""


class CallFailed(MeshError):
    """The other agent answered that it failed."""


class _Block(msgspec.Struct):
    type: str = ""
    text: str = ""


class _Result(msgspec.Struct, rename="camel"):
    content: list[_Block] = []
    structured_content: Any = None
    is_error: bool = False


_decode = msgspec.json.Decoder(_Result).decode


class Mesh:
    """The way to other agents. `retries` is read at each call, for it can change while the agent runs."""

    def __init__(
        self,
        finder: Finder,
        peers: Peers,
        *,
        retries: Callable[[], int],
        metrics: AgentMetrics,
        trace: Callable[[], TraceContext | None] = lambda: None,
        budget: RetryBudget | None = None,
    ) -> None:
        self._finder = finder
        self._peers = peers
        self._retries = retries
        self._metrics = metrics
        self._trace = trace
        self._budget = budget or RetryBudget()
        self._tidied = time.monotonic()

    async def call(
        self,
        capability: str,
        arguments: Mapping[str, Any] | None = None,
        *,
        version: str | None = None,
        tags: tuple[str, ...] = (),
        timeout: float | None = None,
        repeatable: bool = False,
    ) -> Any:
        """What a capability of others answers: its structured content, or else its text.

        `version` is a range. `timeout` is in seconds and covers everything; without one, the capability's own holds.
        A call that may have reached an agent is tried again elsewhere only if it is `repeatable`. Raises `MeshError`.
        """
        need = Dependency(capability, version, tags)
        params = msgspec.Raw(msgspec.json.encode({"name": capability, "arguments": arguments or {}, **self._carried()}))
        self._budget.called()
        began = time.monotonic()
        outcome = "failed"
        try:
            result = await self._try(need, params, timeout, repeatable=repeatable)
        except NobodyThere:
            outcome = "nobody"
            raise
        except TookTooLong:
            outcome = "late"
            raise
        else:
            outcome = "answered"
            return result
        finally:
            self._metrics.called(capability, outcome, time.monotonic() - began)

    async def _try(self, need: Dependency, params: Raw, timeout: float | None, *, repeatable: bool) -> Any:
        end = None if timeout is None else time.monotonic() + timeout
        tried: set[str] = set()
        failed = 0
        while True:
            candidates = await self._candidates(need, end, anew=bool(tried))
            chosen = self._peers.choose(candidates, tried) or self._peers.choose(candidates, ())
            if chosen is None:
                raise NobodyThere(
                    f"nobody in the mesh can do '{need.capability}'{_wanted(need)} now: is an agent with it running?"
                )
            candidate, peer = chosen
            end = time.monotonic() + candidate.timeout if end is None else end
            if candidate.endpoint in tried:
                await asyncio.sleep(min(_BACKOFF.wait(failed), max(end - time.monotonic(), 0.0)))
            try:
                return await _ask(peer, params, end)
            except UpstreamUnavailable as error:
                trouble = str(error)
                safe = error.unsent or repeatable
            except TimeoutError:
                raise TookTooLong(
                    f"'{need.capability}' did not answer in time: {candidate.agent} at {candidate.endpoint}"
                ) from None
            except UpstreamFailure as error:
                raise CallFailed(f"{candidate.agent} refuses '{need.capability}': {error.message}") from None
            tried.add(candidate.endpoint)
            failed += 1
            if not safe or failed > self._retries() or not self._budget.retry():
                raise NobodyThere(f"'{need.capability}' could not be asked of {candidate.agent}: {trouble}")
            self._metrics.retried(need.capability)

    async def _candidates(self, need: Dependency, end: float | None, *, anew: bool) -> list[Candidate]:
        try:
            async with asyncio.timeout(None if end is None else max(end - time.monotonic(), 0.0)):
                found = await self._finder.candidates(need, anew=anew)
        except TimeoutError:
            raise TookTooLong(f"'{need.capability}' could not be found in time") from None
        now = time.monotonic()
        if now - self._tidied > _TIDY_SECONDS:
            self._tidied = now
            self._peers.tidy({candidate.endpoint for candidate in found})
        return found

    def _carried(self) -> dict[str, Any]:
        trace = self._trace()
        if trace is None:
            return {}
        carried = {"traceparent": trace.traceparent, "tracestate": trace.tracestate, "baggage": trace.baggage}
        return {"_meta": {name: value for name, value in carried.items() if value}}


async def _ask(peer: Peer, params: Raw, end: float) -> Any:
    """One attempt at one agent."""
    peer.running += 1
    failed = False
    try:
        async with asyncio.timeout(max(end - time.monotonic(), 0.0)):
            upstream = await peer.upstream()
        raw = await upstream.request("tools/call", params, timeout=max(end - time.monotonic(), 0.001))
    except (UpstreamUnavailable, TimeoutError):
        failed = True
        raise
    finally:
        peer.left(failed=failed)
    result = _decode(raw)
    text = "\n".join(block.text for block in result.content if block.type == "text")
    if result.is_error:
        raise CallFailed(text or "the other agent failed without saying why")
    return text if result.structured_content is None else result.structured_content


def _wanted(need: Dependency) -> str:
    said = [f"in {need.version}"] if need.version else []
    if need.tags:
        said.append(f"tagged {', '.join(need.tags)}")
    return f" ({' and '.join(said)})" if said else ""


_mesh: Mesh | None = None


def use(mesh: Mesh | None) -> None:
    """Make `call` go through this mesh: one agent is one process."""
    global _mesh  # noqa: PLW0603 (capabilities are plain functions: they have nowhere else to find it)
    _mesh = mesh


async def call(
    capability: str,
    arguments: Mapping[str, Any] | None = None,
    *,
    version: str | None = None,
    tags: tuple[str, ...] = (),
    timeout: float | None = None,
    repeatable: bool = False,
) -> Any:
    """Call a capability of another agent from within one of this agent's own; see `Mesh.call`."""
    if _mesh is None:
        raise MeshError("there is no mesh here: run this module with `slipway agent --module …`")
    return await _mesh.call(capability, arguments, version=version, tags=tags, timeout=timeout, repeatable=repeatable)
