"""One WebSocket: its client, the session it may have, and what is sent to it in order and once."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any

import msgspec
from msgspec import UNSET

from app.asgi import Send
from app.protocol.calls import Call, Caller, TraceContext
from app.protocol.envelope import required_meta, speaks_stateless, stateless_revision
from app.protocol.errors import INVALID_REQUEST, PARSE_ERROR, ProtocolError
from app.protocol.messages import (
    InvalidMessage,
    Message,
    decode_message,
    encode_error,
    encode_notification,
    is_batch,
)
from app.protocol.revisions import NEWEST, NEWEST_WITH_HANDSHAKE, REVISIONS
from app.sessions.store import Session, StoreUnavailable, UnknownEvent, UnknownSession
from app.transports._channel import MAIN_STREAM, SessionChannel
from app.transports._news import SessionNews
from app.transports._session_calls import Calls, call_of, messages_of, put, unavailable_answer

NORMAL, GOING_AWAY, POLICY, RESTART = 1000, 1001, 1008, 1012


class Connection:
    """Takes in what the client sends, and sends what its calls and its session's main stream bring.

    Before a session is open, answers are written as they come. From `initialize` on everything goes through the
    session's event log, and what follows the log writes it.
    """

    __slots__ = (
        "_alone",
        "_caller",
        "_calls",
        "_follower",
        "_gone",
        "_news",
        "_releasing",
        "_send",
        "_session",
        "_trace",
        "id",
    )

    def __init__(
        self, calls: Calls, connection_id: str, caller: Caller, trace: TraceContext | None, send: Send
    ) -> None:
        self.id = connection_id
        """Of the connection, and of its session once there is one."""
        self._alone = f"{connection_id}+"  # requests that stand alone have ids of their own, beside the session's
        self._calls = calls
        self._caller = caller
        self._trace = trace
        self._send = send
        self._session: Session | None = None
        self._gone = False
        self._follower: asyncio.Task[None] | None = None
        self._news: SessionNews | None = None
        self._releasing: asyncio.Task[None] | None = None

    @property
    def has_session(self) -> bool:
        """Whether something of this client outlives the connection."""
        return self._session is not None

    async def attach(self, session: Session, after: int | None, *, new: bool = False) -> None:
        """Bring what the session's main stream has after that event (None: from now on), and what comes."""
        self._session = session
        await self._calls.board.hold(session.id, self._release, new=new)
        self._news = SessionNews(self._channel(session))
        self._calls.dispatcher.changes.attach(self._news)
        following = asyncio.get_running_loop().create_future()
        self._follower = asyncio.create_task(self._follow(session, after, following))
        if after is None:
            await asyncio.wait({following})

    async def take(self, data: bytes) -> None:
        """Take in one text frame."""
        try:
            if is_batch(data):
                for message in messages_of(data, self._session and REVISIONS[self._session.revision]):
                    await self._take_one(message)
            else:
                await self._take_one(decode_message(data))
        except InvalidMessage as error:
            await self.say(encode_error(error.request_id, error))
        except ProtocolError as error:
            await self.say(encode_error(None, error))
        except StoreUnavailable as error:
            await self.write(unavailable_answer(error, None))

    async def refuse_binary(self) -> None:
        """Answer a binary frame."""
        error = ProtocolError(PARSE_ERROR, "Messages are text frames: this one was binary and is ignored.")
        await self.say(encode_error(None, error))

    async def say(self, answer: bytes) -> None:
        """Send an answer that no call made."""
        if self._session is None:
            await self.write(answer)
        else:
            await put(self._channel(self._session), answer)

    async def write(self, data: bytes) -> None:
        """Write one text frame, beside the session's event log."""
        if not self._gone:
            try:
                await self._send({"type": "websocket.send", "text": data.decode()})
            except (OSError, RuntimeError):
                self._gone = True  # it closed: the receiver hears of it

    async def close(self, code: int, reason: str) -> None:
        """Begin to close the connection."""
        if not self._gone:
            self._gone = True
            with suppress(OSError, RuntimeError):
                await self._send({"type": "websocket.close", "code": code, "reason": reason})

    async def leave(self) -> None:
        """The connection is gone: nothing more is written. Calls of a session go on; its client may come back."""
        self._gone = True
        news = self._news
        if news is not None:
            self._calls.board.let_go(self.id, self._release, lambda: self._calls.dispatcher.changes.detach(news))
        if self._follower is not None:
            self._follower.cancel()
            await asyncio.wait({self._follower})
        self._calls.board.cancel_here(self._alone, None)

    def _release(self) -> None:
        """Another connection, here or at another replica, has taken the session up."""
        self._releasing = asyncio.create_task(self.close(GOING_AWAY, "the session was taken up by another connection"))

    async def _take_one(self, message: Message | InvalidMessage) -> None:
        if isinstance(message, InvalidMessage):
            await self.say(encode_error(message.request_id, message))
        elif message.is_request:
            await self._request(message)
        elif not self._cancel_alone(message) and self._session is not None:
            session = await self._load(self._session)
            if session is not None:
                await self._calls.take_in(message, session)

    async def _request(self, message: Message) -> None:
        request_id = None if message.id is UNSET else message.id
        method = "" if message.method is UNSET else message.method
        try:
            if speaks_stateless(method, None if message.params is UNSET else message.params):
                self._calls.start(self.id, lambda: self._or_tell(self._answer_alone(message), message))
            elif self._session is not None:
                await self._request_of_session(message, self._session)
            elif method == "initialize":
                await self._initialize(message)
            elif method == "ping":
                call = call_of(message, None, NEWEST_WITH_HANDSHAKE, self._caller, self._trace, _Direct(self))
                await self.write(await self._calls.dispatcher.answer(call))
            else:
                shown = method[:128]
                raise ProtocolError(
                    INVALID_REQUEST, f"'{shown}' came before 'initialize', and without the _meta of {NEWEST.name}."
                )
        except StoreUnavailable as error:
            await self.write(unavailable_answer(error, request_id))
        except ProtocolError as error:
            await self.say(encode_error(request_id, error))

    async def _request_of_session(self, message: Message, held: Session) -> None:
        session = await self._load(held)
        if session is None:
            return
        told = self._caller, self._trace, self._channel(session)
        self._calls.start(self.id, lambda: self._or_tell(self._calls.answer(message, session, *told), message))

    async def _or_tell(self, answering: Coroutine[Any, Any, None], message: Message) -> None:
        """Answer, or tell the client to ask again, beside the log that cannot be reached."""
        try:
            await answering
        except StoreUnavailable as error:
            await self.write(unavailable_answer(error, None if message.id is UNSET else message.id))

    async def _load(self, held: Session) -> Session | None:
        session = await self._calls.store.load(held.id)
        if session is None:
            await self.close(NORMAL, "the session ended")
        else:
            self._calls.store.touch(session.id)
        return session

    async def _initialize(self, message: Message) -> None:
        session = Session(id=self.id, revision=NEWEST_WITH_HANDSHAKE.name, owner=self._caller.subject)
        channel = self._channel(session)
        answer, accepted = await self._calls.handshake(message, session, self._caller, self._trace, channel)
        if not accepted:
            await self.write(answer)
            return
        await self._calls.store.create(session)
        await self.attach(session, 0, new=True)
        await put(channel, answer)

    async def _answer_alone(self, message: Message) -> None:
        """Answer a request that stands alone (2026-07-28)."""
        request_id = 0 if message.id is UNSET else message.id
        channel = _Direct(self)
        try:
            call = self._call_alone(message, channel)
            running = self._calls.board.begin(self._alone, request_id)
        except ProtocolError as error:
            await self.say(encode_error(request_id, error))
            return
        try:
            answer = await self._calls.dispatcher.answer(call)
        except asyncio.CancelledError:
            if not running.cancelled:
                raise
            return
        finally:
            self._calls.board.finish(self._alone, request_id)
        await self.say(answer)

    def _call_alone(self, message: Message, channel: _Direct) -> Call:
        call = call_of(message, None, NEWEST, self._caller, self._trace, channel)
        call.decoded = self._calls.dispatcher.decode(call.method, call.params, NEWEST)
        call.revision = stateless_revision(required_meta(call.decoded).version or "")
        return call

    def _cancel_alone(self, message: Message) -> bool:
        if message.method != "notifications/cancelled":
            return False
        params = None if message.params is UNSET else message.params
        notice = self._calls.dispatcher.notice("notifications/cancelled", params, None)
        return notice.cancel is not None and self._calls.board.cancel_here(self._alone, notice.cancel)

    def _channel(self, session: Session) -> SessionChannel:
        return self._calls.board.channel(session.id)

    async def _follow(self, session: Session, last: int | None, following: asyncio.Future[None]) -> None:
        after = None if last is None else f"{MAIN_STREAM}:{last}"
        try:
            async with self._calls.store.follow_events(session.id, MAIN_STREAM, after=after) as events:
                following.set_result(None)
                async for event in events:
                    await self.write(event.data)
        except StoreUnavailable:
            await self.close(RESTART, "sessions cannot be reached: connect again with the session id")
        except UnknownEvent:
            await self.close(POLICY, "too slow: messages were dropped before they were read")
        except UnknownSession:
            await self.close(NORMAL, "the session ended")
        else:
            await self.close(NORMAL, "the session ended")
        finally:
            following.cancel()


class _Direct:
    """The way back to the client of a request that stands alone."""

    __slots__ = ("_connection",)

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def notify(self, method: str, params: object) -> None:
        await self._connection.say(encode_notification(method, UNSET if params is None else params))

    async def request(self, method: str, params: object, *, timeout: float | None = None) -> msgspec.Raw:  # noqa: ARG002
        raise ProtocolError(INVALID_REQUEST, f"'{method}' cannot be asked of the client in {NEWEST.name}.")
