"""Calls that wait for their client: a server of the older era asks in the middle of a call, but its client speaks
2026-07-28, where it is asked by the call's result and answers by sending the call again.

Meanwhile the call goes on here, so only here can it be continued. Both how many wait and for how long is bounded.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Coroutine, Mapping
from typing import Any

import msgspec
from msgspec import Raw

from app.gateway.catalogue.downstream import ASKABLE, Client
from app.protocol.calls import ClientRefused
from app.protocol.context import CallContext, InputRequest, InputRequired
from app.protocol.errors import INVALID_PARAMS, LIMIT_REACHED, ProtocolError

logger = logging.getLogger("slipway.gateway")

MOST_PARKED = 1_000
PARKED_SECONDS = 300.0


class ParkedCall:
    """One call of a server's that outlives the request it began with. To the server, it is the client."""

    def __init__(self, car_park: CarPark, context: CallContext) -> None:
        self.id = secrets.token_urlsafe(12)
        self.running: asyncio.Task[Raw] | None = None
        self.expiry: asyncio.TimerHandle | None = None
        self.attended = True
        """A request of the client's waits for it now."""
        self._car_park = car_park
        self._client = Client(context)
        self._asked: dict[str, tuple[InputRequest, asyncio.Future[Raw]]] = {}
        self._numbers = 0
        self._waker: asyncio.Future[None] | None = None

    @property
    def stateless(self) -> bool:
        """See `Downstream`: to the server, that the client is asked by results is no concern."""
        return True

    @property
    def capabilities(self) -> Mapping[str, Any]:
        """See `Downstream`."""
        return self._client.capabilities

    @property
    def progress_token(self) -> str | int | None:
        """See `Downstream`."""
        return self._client.progress_token

    @property
    def log_level(self) -> str | None:
        """See `Downstream`."""
        return self._client.log_level

    @property
    def session_id(self) -> str | None:
        """See `Downstream`."""
        return None

    async def notify(self, method: str, params: Raw) -> None:
        """See `Downstream`. While nobody listens, it is not said."""
        if self.attended:
            await self._client.notify(method, params)

    async def ask(self, method: str, params: Raw) -> Raw:
        """See `Downstream`: returns when the client has come back with the answer."""
        request = self._client.check(method, params)
        self._car_park.keep(self)
        self._numbers += 1
        key = f"{ASKABLE[method]}-{self._numbers}"
        answer: asyncio.Future[Raw] = asyncio.get_running_loop().create_future()
        self._asked[key] = (request, answer)
        self._wake()
        try:
            return await answer
        finally:
            self._asked.pop(key, None)

    def attend(self, context: CallContext) -> None:
        """The client came back: what it answered is passed on."""
        self.attended = True
        self._client = Client(context)
        for key, answer in context.answers.items():
            waiting = self._asked.pop(key, None)
            if waiting is not None and not waiting[1].done():
                waiting[1].set_result(Raw(msgspec.json.encode(answer)))

    async def wait(self, context: CallContext) -> Raw:
        """The result; raises `InputRequired` where the client is asked for something first."""
        running = self.running
        assert running is not None  # noqa: S101 (it is set before anybody waits)
        try:
            while not running.done():
                await asyncio.sleep(0)  # what is asked at the same time is asked together
                if self._asked:
                    break
                await self._next(running)
        except asyncio.CancelledError:
            await self._car_park.cancel(self)
            raise
        if running.done():
            self._car_park.release(self)
            return running.result()
        self.attended = False
        context.restore({}, {"parked": self.id, "replica": self._car_park.replica})
        raise InputRequired({key: request for key, (request, _) in self._asked.items()})

    async def _next(self, running: asyncio.Task[Raw]) -> None:
        """Until the server answers, or asks."""
        self._waker = waker = asyncio.get_running_loop().create_future()
        running.add_done_callback(self._wake)
        try:
            await waker
        finally:
            running.remove_done_callback(self._wake)

    def _wake(self, _: object = None) -> None:
        if self._waker is not None and not self._waker.done():
            self._waker.set_result(None)


class CarPark:
    """The calls that wait in this process."""

    def __init__(self, *, most: int = MOST_PARKED, seconds: float = PARKED_SECONDS) -> None:
        self.replica = secrets.token_hex(8)
        self._most = most
        self._seconds = seconds
        self._parked: dict[str, ParkedCall] = {}
        self._cancelled: set[asyncio.Task[Raw]] = set()

    @property
    def waiting(self) -> int:
        """How many calls wait now."""
        return len(self._parked)

    async def begin(self, context: CallContext, call: Any) -> Raw:
        """Run `call(downstream)` so that it can outlive this request; its result, or `InputRequired`."""
        parked = ParkedCall(self, context)
        running: Coroutine[Any, Any, Raw] = call(parked)
        parked.running = asyncio.create_task(running)
        parked.running.add_done_callback(_take_note)
        return await parked.wait(context)

    async def resume(self, context: CallContext, parked_id: str, replica: str) -> Raw:
        """Go on with a call that the client has come back for."""
        if replica != self.replica:
            raise ProtocolError(
                INVALID_PARAMS,
                "This call waits at another replica of the gateway, or was lost with it: "
                "send the call again without requestState.",
            )
        parked = self._parked.get(parked_id)
        if parked is None:
            raise ProtocolError(
                INVALID_PARAMS,
                f"This call no longer waits: it ended, or nobody answered within {self._seconds:g} s. "
                "Send the call again without requestState.",
            )
        if parked.attended:
            raise ProtocolError(INVALID_PARAMS, "This call is being continued already: wait for that answer.")
        parked.attend(context)
        return await parked.wait(context)

    def keep(self, parked: ParkedCall) -> None:
        """Let a call wait from now on; raises `ClientRefused` where too many do."""
        if parked.id not in self._parked and len(self._parked) >= self._most:
            raise ClientRefused(LIMIT_REACHED, f"{self._most} calls wait for their clients already: try again later.")
        self._parked[parked.id] = parked
        if parked.expiry is not None:
            parked.expiry.cancel()
        parked.expiry = asyncio.get_running_loop().call_later(self._seconds, self._expire, parked)

    def release(self, parked: ParkedCall) -> None:
        """A call ended."""
        self._parked.pop(parked.id, None)
        if parked.expiry is not None:
            parked.expiry.cancel()

    async def cancel(self, parked: ParkedCall) -> None:
        """End a call that nobody waits for any more, at its server too."""
        self.release(parked)
        running = parked.running
        if running is not None and not running.done():
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

    async def close(self) -> None:
        """End all that wait."""
        for parked in tuple(self._parked.values()):
            await self.cancel(parked)
        await asyncio.gather(*self._cancelled, return_exceptions=True)

    def _expire(self, parked: ParkedCall) -> None:
        if parked.attended:  # its client is there: only what nobody attends to is given up
            self.keep(parked)
            return
        logger.info("a call was given up: its client did not come back within %g s", self._seconds)
        self.release(parked)
        running = parked.running
        if running is not None and not running.done():
            running.cancel()
            self._cancelled.add(running)
            running.add_done_callback(self._cancelled.discard)


def _take_note(running: asyncio.Task[Raw]) -> None:
    """A failure that nobody comes back for is no failure of ours."""
    if not running.cancelled():
        running.exception()
