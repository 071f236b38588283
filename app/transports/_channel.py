"""The way back to a client of the older era: through its session's event log, from and to any replica."""

from __future__ import annotations

import asyncio
import itertools
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress

import msgspec

from app.protocol.calls import ClientRefused
from app.protocol.errors import INVALID_REQUEST, ProtocolError
from app.protocol.messages import ErrorObject, Message, RequestId, encode_notification, encode_request
from app.sessions.store import SessionStore, StoredEvent, StoreUnavailable
from app.sessions.tasks import stop

MAIN_STREAM = "main"
"""A session's stream for all that is not part of one answer: what a GET, an SSE or a WebSocket connection follows."""

DEFAULT_REQUEST_TIMEOUT = 120.0
LINGER = 60.0
"""Seconds for which news is gathered for a client that is away."""

_RETRY_DELAY = 0.5
_SESSIONS = "sessions"

Deliver = Callable[[StoredEvent], Awaitable[None]]


class RunningCall:
    """A request of a session that this process is answering."""

    __slots__ = ("cancelled", "task")

    def __init__(self, task: asyncio.Task[object] | None) -> None:
        self.task = task
        self.cancelled = False
        """Set before the task is cancelled when it was the client that asked for it: it gets no answer."""


class _Reply(msgspec.Struct, tag="reply"):
    session_id: str
    request_id: str
    result: bytes | None
    error: bytes | None


class _Cancellation(msgspec.Struct, tag="cancel"):
    session_id: str
    request_id: RequestId | None  # None: every call of the session


class _Held(msgspec.Struct, tag="held"):
    session_id: str
    replica: str


_Letter = _Reply | _Cancellation | _Held
_decode_letter: Callable[[bytes], _Letter] = msgspec.msgpack.Decoder(_Letter).decode
_encode_letter = msgspec.msgpack.Encoder().encode
_decode_error = msgspec.json.Decoder(ErrorObject).decode


class Switchboard:
    """One a process: knows which calls run here, and brings clients' replies and cancellations to the right replica."""

    def __init__(self, store: SessionStore) -> None:
        self.store = store
        self.replica = secrets.token_hex(8)
        self._numbers = itertools.count(1)
        self._running: dict[tuple[str, RequestId], RunningCall] = {}
        self._waiting: dict[tuple[str, str], asyncio.Future[msgspec.Raw]] = {}
        self._holders: dict[str, Callable[[], None]] = {}
        self._lingering: dict[str, tuple[asyncio.TimerHandle, Callable[[], None]]] = {}
        self._listening = asyncio.Event()
        self.when_ended: list[Callable[[str], None]] = []
        """Told of each session that its client ended, on whichever replica."""
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Begin to listen for what other replicas send here; a store that is gone is tried again until it is back."""
        self._tasks = [
            asyncio.create_task(self._listen(f"replica.{self.replica}", self._listening), name="replies"),
            asyncio.create_task(self._listen(_SESSIONS, asyncio.Event()), name="sessions"),
        ]

    async def close(self) -> None:
        """Stop listening; requests to clients that are still open fail."""
        await stop(self._tasks)
        for future in self._waiting.values():
            future.cancel()
        for session_id in tuple(self._lingering):
            self._finish(session_id)

    def channel(self, session_id: str, stream: str = MAIN_STREAM, deliver: Deliver | None = None) -> SessionChannel:
        """The way back for one call; `deliver` is told of each event once it is in the log."""
        return SessionChannel(self, session_id, stream, deliver)

    def begin(self, session_id: str, request_id: RequestId, task: asyncio.Task[object] | None = None) -> RunningCall:
        """Note that a call runs, in `task` or the current one. Raises `ProtocolError` while another has its id."""
        key = (session_id, request_id)
        if key in self._running:
            raise ProtocolError(
                INVALID_REQUEST,
                f"The id {request_id!r} is that of a request that still runs: give every request of a session its own.",
            )
        running = self._running[key] = RunningCall(task or asyncio.current_task())
        return running

    def finish(self, session_id: str, request_id: RequestId) -> None:
        """Note that the call ended."""
        self._running.pop((session_id, request_id), None)

    async def cancel(self, session_id: str, request_id: RequestId) -> None:
        """Cancel a call of the session wherever it runs; one that does not run is ignored."""
        if not self.cancel_here(session_id, request_id):
            await self.store.publish(_SESSIONS, _encode_letter(_Cancellation(session_id, request_id)))

    async def cancel_all(self, session_id: str) -> None:
        """Cancel every call of a session that ended, wherever they run."""
        self.cancel_here(session_id, None)
        await self.store.publish(_SESSIONS, _encode_letter(_Cancellation(session_id, None)))

    async def reply(self, session_id: str, message: Message) -> None:
        """Bring a client's response to the call that waits for it. One that nobody waits for is ignored."""
        if not isinstance(message.id, str):
            return
        letter = _Reply(
            session_id,
            message.id,
            None if message.result is msgspec.UNSET else bytes(message.result),
            None if message.error is msgspec.UNSET else bytes(message.error),
        )
        replica = message.id.partition("-")[0]
        if replica == self.replica:
            self._resolve(letter)
        elif len(replica) == len(self.replica) and replica.isalnum():
            await self.store.publish(f"replica.{replica}", _encode_letter(letter))

    async def ask(
        self, session_id: str, send: Callable[[bytes], Awaitable[None]], method: str, params: object, patience: float
    ) -> msgspec.Raw:
        """Send the client a request and wait for its result, which may come in at any replica."""
        request_id = f"{self.replica}-{next(self._numbers)}"
        key = (session_id, request_id)
        future = self._waiting[key] = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(patience):
                await self._listening.wait()
                await send(encode_request(request_id, method, msgspec.UNSET if params is None else params))
                return await future
        except TimeoutError:
            with suppress(StoreUnavailable):
                await send(
                    encode_notification("notifications/cancelled", {"requestId": request_id, "reason": "timeout"})
                )
            raise TimeoutError(f"the client did not answer {method} within {patience:g} s") from None
        finally:
            del self._waiting[key]

    async def hold(self, session_id: str, release: Callable[[], None], *, new: bool = False) -> None:
        """Hold a session's main stream here: whoever held it, on any replica, is told to release it.

        With `new`, the session has just begun and nobody can hold its stream.
        """
        self._release(session_id)
        self._holders[session_id] = release
        if not new:
            with suppress(StoreUnavailable):
                await self.store.publish(_SESSIONS, _encode_letter(_Held(session_id, self.replica)))

    def let_go(self, session_id: str, release: Callable[[], None], finish: Callable[[], None]) -> None:
        """Hold a session's main stream no longer.

        `finish` is called when someone, here or elsewhere, holds it again, or when its client has been away for long:
        until then what is news for the session is to be put on its stream, so that a client that comes back has it.
        """
        if self._holders.get(session_id) != release:
            finish()
            return
        del self._holders[session_id]
        timer = asyncio.get_running_loop().call_later(LINGER, self._finish, session_id)
        self._lingering[session_id] = timer, finish

    def is_held(self, session_id: str) -> bool:
        """Whether the session's main stream is held in this process."""
        return session_id in self._holders

    def cancel_here(self, session_id: str, request_id: RequestId | None) -> bool:
        """Cancel a call, or with None all of the session, where they run in this process. False when none does."""
        if request_id is None:
            for listener in self.when_ended:
                listener(session_id)
            keys = [key for key in self._running if key[0] == session_id]
        else:
            keys = [(session_id, request_id)]
        found = False
        for key in keys:
            running = self._running.get(key)
            if running is not None:
                found = True
                running.cancelled = True
                if running.task is not None:
                    running.task.cancel()
        return found

    def _finish(self, session_id: str) -> None:
        timer, finish = self._lingering.pop(session_id, (None, None))
        if timer is not None and finish is not None:
            timer.cancel()
            finish()

    def _release(self, session_id: str) -> None:
        self._finish(session_id)
        holder = self._holders.pop(session_id, None)
        if holder is not None:
            holder()

    def _resolve(self, letter: _Reply) -> None:
        future = self._waiting.get((letter.session_id, letter.request_id))
        if future is None or future.done():
            return
        if letter.result is not None:
            future.set_result(msgspec.Raw(letter.result))
            return
        try:
            error = _decode_error(letter.error or b"{}")
        except msgspec.DecodeError:
            error = ErrorObject(INVALID_REQUEST, "The client's response has neither a result nor a valid error.")
        future.set_exception(ClientRefused(error.code, error.message))

    async def _listen(self, channel: str, listening: asyncio.Event) -> None:
        while True:
            with suppress(StoreUnavailable):
                async with self.store.follow(channel) as letters:
                    listening.set()
                    await self._read(letters)
            listening.clear()
            await asyncio.sleep(_RETRY_DELAY)

    async def _read(self, letters: AsyncIterator[bytes]) -> None:
        async for letter in letters:
            match _decode_letter(letter):
                case _Reply() as reply:
                    self._resolve(reply)
                case _Cancellation() as cancellation:
                    self.cancel_here(cancellation.session_id, cancellation.request_id)
                case _Held() as held:
                    if held.replica != self.replica:
                        self._release(held.session_id)


class SessionChannel:
    """A `ClientChannel` that writes to one stream of a session's event log."""

    __slots__ = ("_board", "_deliver", "_stream", "session_id")

    def __init__(self, board: Switchboard, session_id: str, stream: str, deliver: Deliver | None) -> None:
        self._board = board
        self.session_id = session_id
        self._stream = stream
        self._deliver = deliver

    @property
    def store(self) -> SessionStore:
        """Where the session lives."""
        return self._board.store

    async def notify(self, method: str, params: object) -> None:
        await self.send(encode_notification(method, msgspec.UNSET if params is None else params))

    async def request(self, method: str, params: object, *, timeout: float | None = None) -> msgspec.Raw:
        return await self._board.ask(
            self.session_id, self.send, method, params, DEFAULT_REQUEST_TIMEOUT if timeout is None else timeout
        )

    async def send(self, data: bytes, *, last: bool = False) -> None:
        """Put an encoded message on the stream."""
        event = await self._board.store.append(self.session_id, self._stream, data, last=last)
        if self._deliver is not None:
            await self._deliver(event)
