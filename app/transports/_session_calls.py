"""Calls of a session whose answers go to its main stream: how SSE and WebSocket connections of the older era work."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

from msgspec import UNSET

from app.protocol.calls import Call, Caller, TraceContext
from app.protocol.dispatcher import Dispatcher
from app.protocol.errors import INVALID_REQUEST, LIMIT_REACHED, UNAVAILABLE, ProtocolError
from app.protocol.messages import InvalidMessage, Message, RequestId, decode_batch, encode_error
from app.protocol.revisions import NEWEST_WITH_HANDSHAKE, REVISIONS, Revision
from app.sessions.store import (
    LimitExceeded,
    Session,
    SessionStore,
    StoreUnavailable,
    TooManySessions,
    UnknownSession,
)
from app.transports._channel import SessionChannel, Switchboard

logger = logging.getLogger("slipway.transports")

MOST_RUNNING = 100
"""Calls of one session, or of one connection without a session, that run at the same time."""

_RETRY_DELAY = 0.25
PATIENCE = 4.0
"""Seconds for which an answer waits for a store that is gone, before its client is told to ask again."""


class Calls:
    """The calls that one transport runs in this process."""

    def __init__(self, dispatcher: Dispatcher, store: SessionStore, board: Switchboard) -> None:
        self.dispatcher = dispatcher
        self.store = store
        self.board = board
        self.draining = False
        self._tasks: set[asyncio.Task[Any]] = set()
        self._running: dict[str, int] = {}

    def start(self, owner: str, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Run a call for a session or a connection, beside what else runs. Raises `ProtocolError` at the limit."""
        count = self._running.get(owner, 0)
        if self.draining:
            raise ProtocolError(UNAVAILABLE, "This server is shutting down: connect again, then send this again.")
        if count >= MOST_RUNNING:
            raise ProtocolError(
                LIMIT_REACHED, f"{MOST_RUNNING} requests are running already: send the next when one has been answered."
            )
        self._running[owner] = count + 1
        self._tasks.add(asyncio.create_task(self._run(owner, work())))

    async def drain(self) -> None:
        """Take no more calls, and return when those that run have ended."""
        self.draining = True
        if self._tasks:
            await asyncio.wait(tuple(self._tasks))

    async def handshake(
        self, message: Message, session: Session, caller: Caller, trace: TraceContext | None, channel: SessionChannel
    ) -> tuple[bytes, bool]:
        """Answer `initialize`, and fill the session in as agreed. False when it was refused."""
        call = call_of(message, None, NEWEST_WITH_HANDSHAKE, caller, trace, channel)
        answer = await self.dispatcher.answer(call)
        if call.handshake is None:
            return answer, False
        session.revision = call.handshake.revision.name
        session.client_info = call.handshake.client_info
        session.client_capabilities = call.handshake.client_capabilities
        return answer, True

    async def answer(
        self,
        message: Message,
        session: Session,
        caller: Caller,
        trace: TraceContext | None,
        channel: SessionChannel,
        patience: float = PATIENCE,
    ) -> None:
        """Answer one request of the session, onto the channel. A call that its client cancels gets no answer."""
        call = call_of(message, session, REVISIONS[session.revision], caller, trace, channel)
        try:
            running = self.board.begin(session.id, call.id)
        except ProtocolError as error:
            await put(channel, encode_error(call.id, error), patience)
            return
        try:
            answer = await self.dispatcher.answer(call)
            if call.session_changed:
                await self.store.save(session)
        except asyncio.CancelledError:
            if not running.cancelled:
                raise
            return
        except (UnknownSession, LimitExceeded) as error:
            answer = encode_error(call.id, ProtocolError(LIMIT_REACHED, str(error)))
        except StoreUnavailable as error:
            answer = unavailable_answer(error, call.id)
        finally:
            self.board.finish(session.id, call.id)
        await put(channel, answer, patience)

    async def take_in(self, message: Message, session: Session) -> None:
        """Take in a notification or a response of the session's client."""
        if message.method is UNSET:
            await self.board.reply(session.id, message)
            return
        notice = self.dispatcher.notice(message.method, None if message.params is UNSET else message.params, session)
        if notice.save_session:
            with suppress(UnknownSession):
                await self.store.save(session)
        if notice.cancel is not None:
            await self.board.cancel(session.id, notice.cancel)

    async def _run(self, owner: str, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except Exception:
            logger.exception("a call ended without an answer")
        finally:
            task = asyncio.current_task()
            if task is not None:
                self._tasks.discard(task)
            left = self._running[owner] - 1
            if left:
                self._running[owner] = left
            else:
                del self._running[owner]


def call_of(
    message: Message,
    session: Session | None,
    revision: Revision,
    caller: Caller,
    trace: TraceContext | None,
    channel: Any,
) -> Call:
    """The call that a request asks for."""
    return Call(
        id=0 if message.id is UNSET else message.id,
        method="" if message.method is UNSET else message.method,
        params=None if message.params is UNSET else message.params,
        revision=revision,
        session=session,
        caller=caller,
        channel=channel,
        trace=trace,
    )


async def put(channel: SessionChannel, answer: bytes, patience: float = PATIENCE) -> None:
    """Put an answer on its stream, waiting for a store that is gone; a session that ended meanwhile needs none.

    Raises `StoreUnavailable` when patience ends.
    """
    with suppress(UnknownSession):
        try:
            await channel.send(answer)
        except StoreUnavailable:
            await _put_later(channel, answer, patience)


async def _put_later(channel: SessionChannel, answer: bytes, patience: float) -> None:
    loop = asyncio.get_running_loop()
    deadline = loop.time() + patience
    while True:
        await asyncio.sleep(_RETRY_DELAY)
        try:
            await channel.send(answer)
        except StoreUnavailable:
            if loop.time() > deadline:
                raise
        else:
            return


def messages_of(body: bytes, revision: Revision | None) -> list[Message | InvalidMessage]:
    """The messages of a batch. Raises `ProtocolError` where the revision has none."""
    if revision is None or not revision.batches:
        name = "This connection" if revision is None else revision.name
        raise ProtocolError(INVALID_REQUEST, f"{name} has no batches: send each message by itself.")
    return decode_batch(body)


def unavailable(error: StoreUnavailable) -> ProtocolError:
    """What a client is told when sessions cannot be reached."""
    what = "too many sessions are open" if isinstance(error, TooManySessions) else "sessions cannot be reached"
    return ProtocolError(
        UNAVAILABLE,
        f"For the moment {what}: send the same request again in {error.retry_after} s.",
        {"retryAfter": error.retry_after},
    )


def unavailable_answer(error: StoreUnavailable, request_id: RequestId | None) -> bytes:
    """The same as an encoded answer."""
    return encode_error(request_id, unavailable(error))
