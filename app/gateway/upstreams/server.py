"""One server that is reached again when it was lost, asked no more than it bears, and not while it only fails."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from msgspec import Raw

from app.gateway.upstream import About, Downstream, ListName, News, UpstreamFailure, UpstreamUnavailable
from app.gateway.upstreams.gate import Gate, GateFull
from app.gateway.upstreams.keeping import KeptLink, MakeLink
from app.gateway.upstreams.link import NotSpoken, Refused, SessionEnded
from app.gateway.upstreams.listing import LISTS, all_items
from app.gateway.upstreams.options import UpstreamOptions
from app.gateway.upstreams.rounds import answered_by, asks_for_input
from app.gateway.upstreams.wire import EMPTY, named_in
from app.protocol.errors import HEADER_MISMATCH
from app.resilience.breaker import CircuitBreaker, CircuitOpen
from app.sessions.tasks import stop

_REPEATABLE = frozenset(
    (
        "ping",
        "server/discover",
        "tools/list",
        "prompts/list",
        "prompts/get",
        "resources/list",
        "resources/templates/list",
        "resources/read",
        "resources/subscribe",
        "resources/unsubscribe",
        "completion/complete",
        "logging/setLevel",
        "tasks/get",
        "tasks/list",
    )
)
_OF_THE_ERA = frozenset(("ping", "resources/subscribe", "resources/unsubscribe", "logging/setLevel"))
"""What the eras have differently."""


class ServerUpstream:
    """The `Upstream` of every transport."""

    def __init__(self, server_id: str, make: MakeLink, options: UpstreamOptions) -> None:
        self._id = server_id
        self._options = options
        self._kept = KeptLink(server_id, make, options)
        self._link = self._kept.link
        self._loop = asyncio.get_running_loop()
        self._gate = Gate(options.max_running, options.max_waiting)
        self._breaker = CircuitBreaker(
            (UpstreamUnavailable, TimeoutError), failures=options.failures, seconds=options.open_seconds
        )
        self._doubting: asyncio.Task[None] | None = None

    @property
    def about(self) -> About | None:
        return self._kept.about

    @property
    def available(self) -> bool:
        return self._kept.up and not self._breaker.refuses

    async def open(self) -> None:
        await self._kept.open()

    async def request(
        self,
        method: str,
        params: Raw,
        *,
        downstream: Downstream | None = None,
        timeout: float | None = None,
        repeatable: bool = False,
    ) -> Raw:
        patience = self._options.timeout if timeout is None else timeout
        if method in _OF_THE_ERA:
            return await self._of_the_era(method, params, downstream, patience)
        if self._kept.level is not None and downstream is not None:
            self._kept.level.want(downstream.log_level)
        once = not repeatable and method not in _REPEATABLE
        result = await self._send(method, params, downstream, patience, once=once)
        if (
            downstream is not None
            and self._link.dialect.stateless
            and not downstream.stateless
            and asks_for_input(result)
        ):

            async def resend(again: Raw) -> Raw:
                return await self._send(method, again, downstream, patience, once=once)

            return await answered_by(downstream, params, result, resend)
        return result

    async def list(self, name: ListName) -> list[Raw]:
        self._check()
        about = self._kept.about
        if about is None or LISTS[name].capability not in about.capabilities:
            return []

        async def ask(method: str, params: Raw) -> Raw:
            return await self._send(method, params, None, self._options.timeout, once=False)

        options = self._options
        items = await all_items(ask, name, self._id, max_pages=options.max_pages, max_items=options.max_items)
        return self._link.learn(items) if name == "tools" else items

    def follow(self, listener: Callable[[News], None]) -> Callable[[], None]:
        return self._kept.follow(listener)

    async def close(self) -> None:
        if self._doubting is not None:
            await stop([self._doubting])
        await self._kept.close()

    async def _of_the_era(self, method: str, params: Raw, downstream: Downstream | None, patience: float) -> Raw:
        if method == "ping":
            method = "server/discover" if self._link.dialect.stateless else method
            await self._send(method, EMPTY, None, patience, once=False)
            return EMPTY
        if not self._link.dialect.stateless:
            result = await self._send(method, params, downstream, patience, once=False)
        else:
            self._check()
            result = EMPTY
        if method == "resources/subscribe":
            self._kept.subscriptions.add(named_in(params, "uri"))
        elif method == "resources/unsubscribe":
            self._kept.subscriptions.remove(named_in(params, "uri"))
        return result

    async def _send(
        self, method: str, params: Raw, downstream: Downstream | None, patience: float, *, once: bool
    ) -> Raw:
        """One request, within its time: again where that is safe, and the server is there again soon."""
        self._check()
        end = self._loop.time() + patience
        failed = 0
        while True:
            epoch = self._kept.epoch
            try:
                return await self._attempt(method, params, downstream, end - self._loop.time(), once=once)
            except SessionEnded:
                if failed >= self._options.backoff.attempts:
                    raise
                failed += 1
                await self._kept.renew(epoch)
            except UpstreamFailure as error:
                if error.code != HEADER_MISMATCH or method != "tools/call" or failed:
                    raise
                failed += 1
                await self.list("tools")  # some of its arguments are repeated in headers: the list says which
            except Refused:
                raise
            except UpstreamUnavailable as error:
                failed += 1
                if (once and not error.unsent) or failed >= self._options.backoff.attempts:
                    raise
                if not await self._soon(self._options.backoff.wait(failed), end):
                    raise

    async def _attempt(
        self, method: str, params: Raw, downstream: Downstream | None, left: float, *, once: bool
    ) -> Raw:
        gate = self._gate
        if gate.full:
            left = await self._wait_for_a_place(method, left)
        else:
            gate.running += 1
        try:
            trial = self._breaker.enter()
        except CircuitOpen as error:
            gate.leave()
            raise Refused(f"Server {self._id!r} is {error}.") from None
        failed: bool | None = None
        try:
            result = await self._link.request(method, params, downstream, left, once=once)
            failed = False
        except UpstreamFailure:
            failed = False
            raise
        except SessionEnded:
            raise
        except UpstreamUnavailable as error:
            failed = self._kept.tells()
            if isinstance(error, NotSpoken) and error.another:
                self._kept.lose(str(error))
            told = f"Server {self._id!r}: {error}."
            raise (
                Refused(told) if isinstance(error, Refused) else UpstreamUnavailable(told, unsent=error.unsent)
            ) from None
        except TimeoutError:
            failed = True
            raise TimeoutError(f"Server {self._id!r} did not answer {method} in time.") from None
        finally:
            self._breaker.leave(trial, failed=failed)
            gate.leave()
            if failed and self._kept.up and self._breaker.refuses:
                self._doubt()
        return result

    def _doubt(self) -> None:
        if self._doubting is None or self._doubting.done():
            self._doubting = asyncio.create_task(self._find_out(), name=f"is server {self._id} there")

    async def _find_out(self) -> None:
        """Who does not even answer a harmless question hangs: it is let go of, and a new process or session begun."""
        method = "server/discover" if self._link.dialect.stateless else "ping"
        try:
            await self._link.request(method, EMPTY, None, self._options.doubt_seconds, once=False)
        except (UpstreamUnavailable, TimeoutError):
            self._kept.lose("it hangs: it answers nothing, not even whether it is there")
            if await self._kept.there_within(self._options.handshake_timeout):
                self._breaker.reset()
        except UpstreamFailure:
            return

    async def _wait_for_a_place(self, method: str, left: float) -> float:
        """Enter the gate; what is left of the time."""
        began = self._loop.time()
        try:
            async with asyncio.timeout(left):
                await self._gate.enter()
        except TimeoutError:
            raise TimeoutError(f"Server {self._id!r} had no room for {method} in time.") from None
        except GateFull as error:
            raise Refused(f"Server {self._id!r} is busy: {error}. Try again later.") from None
        return left - (self._loop.time() - began)

    def _check(self) -> None:
        if not self._kept.up:
            raise Refused(f"Server {self._id!r} is not there: {self._kept.reason}.")

    async def _soon(self, wait: float, end: float) -> bool:
        """Wait before another attempt; whether there is a server and time for it."""
        left = end - self._loop.time()
        if wait >= left:
            return False
        await asyncio.sleep(wait)
        return await self._kept.there_within(min(self._options.backoff.most, end - self._loop.time()))
