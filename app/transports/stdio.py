"""stdio: one JSON-RPC message a line, in both eras, and nothing else on stdout."""

import asyncio
import os
import sys
import threading
from collections.abc import Coroutine, Generator
from contextlib import contextmanager
from typing import BinaryIO

import msgspec
from msgspec import UNSET

from app.protocol.calls import ANONYMOUS, Call, Caller
from app.protocol.dispatcher import Dispatcher
from app.protocol.envelope import required_meta, speaks_stateless, stateless_revision
from app.protocol.errors import INVALID_REQUEST, ProtocolError
from app.protocol.messages import (
    InvalidMessage,
    Message,
    decode_batch,
    decode_message,
    encode_error,
    encode_notification,
    is_batch,
)
from app.protocol.params import Params
from app.protocol.revisions import NEWEST, NEWEST_WITH_HANDSHAKE, REVISIONS, Revision
from app.sessions.memory import MemoryStore
from app.sessions.store import Session
from app.transports._channel import DEFAULT_REQUEST_TIMEOUT, Switchboard

MAX_LINE = 4 * 1024 * 1024
_PIPE = "stdio"


@contextmanager
def protocol_streams() -> Generator[tuple[BinaryIO, BinaryIO]]:
    """The process's stdin and stdout, taken away from all other code: what it prints goes to stderr."""
    sys.stdout.flush()
    stdin, stdout = os.dup(0), os.dup(1)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    os.dup2(2, 1)
    with os.fdopen(stdin, "rb", buffering=64 * 1024) as reader, os.fdopen(stdout, "wb", buffering=0) as writer:
        yield reader, writer


class StdioServer:
    """Serves one client over a pair of byte streams."""

    def __init__(
        self,
        dispatcher: Dispatcher,
        reader: BinaryIO,
        writer: BinaryIO,
        *,
        caller: Caller = ANONYMOUS,
        max_line: int = MAX_LINE,
        drain: float = 25.0,
    ) -> None:
        self._dispatcher = dispatcher
        self._reader = reader
        self._writer = writer
        self._caller = caller
        self._max_line = max_line
        self._drain = drain
        self._board = Switchboard(MemoryStore())
        self._session: Session | None = None
        self._lines: asyncio.Queue[bytes | None] = asyncio.Queue(maxsize=64)
        self._writing = asyncio.Lock()
        self._closed = False
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Serve until the client closes its end; then finish what runs, within the budget."""
        loop = asyncio.get_running_loop()
        threading.Thread(target=self._read, args=(loop,), name="stdin", daemon=True).start()
        await self._board.start()
        try:
            while (line := await self._lines.get()) is not None:
                await self._take(line)
            self._dispatcher.close_listeners()
            if self._tasks:
                _, late = await asyncio.wait(self._tasks, timeout=self._drain)
                for task in late:
                    task.cancel()
        finally:
            await self._dispatcher.close()
            await self._board.close()

    def stop(self) -> None:
        """End as if the client had closed its end."""
        self._lines.put_nowait(None)

    def _read(self, loop: asyncio.AbstractEventLoop) -> None:
        """Runs in a thread of its own, since stdin may be a file, a pipe or a terminal."""
        try:
            while line := self._reader.readline(self._max_line + 2):
                if not line.endswith(b"\n") and len(line) > self._max_line:
                    self._skip_line()
                    asyncio.run_coroutine_threadsafe(self._too_long(), loop).result()
                    continue
                asyncio.run_coroutine_threadsafe(self._lines.put(line), loop).result()
        finally:
            asyncio.run_coroutine_threadsafe(self._lines.put(None), loop)

    def _skip_line(self) -> None:
        while (chunk := self._reader.readline(64 * 1024)) and not chunk.endswith(b"\n"):
            pass

    async def _too_long(self) -> None:
        error = ProtocolError(INVALID_REQUEST, f"The message is longer than {self._max_line} bytes: send less.")
        await self.write(encode_error(None, error))

    async def _take(self, line: bytes) -> None:
        line = line.strip()
        if not line:
            return
        try:
            if is_batch(line):
                self._start(self._serve_batch(decode_batch(self._batch(line))))
                return
            message = decode_message(line)
        except InvalidMessage as error:
            await self.write(encode_error(error.request_id, error))
            return
        if message.is_request:
            if message.method == "initialize":
                await self._serve(message)  # what follows may depend on it
            else:
                self._start(self._serve(message))
        else:
            await self._take_in(message)

    def _batch(self, line: bytes) -> bytes:
        if self._session is None or not REVISIONS[self._session.revision].batches:
            raise InvalidMessage(INVALID_REQUEST, "This protocol revision has no batches: send single messages.")
        return line

    async def _take_in(self, message: Message) -> None:
        if message.method is UNSET:
            await self._board.reply(_PIPE, message)
            return
        params = None if message.params is UNSET else message.params
        notice = self._dispatcher.notice(message.method, params, self._session)
        if notice.cancel is not None:
            await self._board.cancel(_PIPE, notice.cancel)

    def _start(self, serving: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(serving)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, message: Message) -> None:
        answer = await self._answer(message)
        if answer is not None:
            await self.write(answer)

    async def _serve_batch(self, messages: list[Message | InvalidMessage]) -> None:
        answers: list[bytes | None] = []
        for message in messages:
            if isinstance(message, InvalidMessage):
                answers.append(encode_error(message.request_id, message))
            elif not message.is_request:
                await self._take_in(message)
        answers += await asyncio.gather(*(self._answer(m) for m in messages if isinstance(m, Message) and m.is_request))
        told = [answer for answer in answers if answer is not None]
        if told:
            await self.write(b"[" + b",".join(told) + b"]")

    async def _answer(self, message: Message) -> bytes | None:
        """The answer, or None for a request that the client cancelled."""
        request_id = message.id if message.id is not UNSET else 0
        try:
            call = self._call(message)
            running = self._board.begin(_PIPE, call.id)
        except ProtocolError as error:
            return encode_error(request_id, error)
        try:
            answer = await self._dispatcher.answer(call)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if not running.cancelled or task is None:
                raise
            task.uncancel()
            return None
        finally:
            self._board.finish(_PIPE, call.id)
        if call.handshake is not None:
            self._session = Session(
                id=_PIPE,
                revision=call.handshake.revision.name,
                client_info=call.handshake.client_info,
                client_capabilities=call.handshake.client_capabilities,
            )
        return answer

    def _call(self, message: Message) -> Call:
        method = message.method if message.method is not UNSET else ""
        params = None if message.params is UNSET else message.params
        revision, session, decoded = self._revision(method, params)
        return Call(
            id=message.id if message.id is not UNSET else 0,
            method=method,
            params=params,
            revision=revision,
            session=session,
            caller=self._caller,
            channel=_Pipe(self, self._board, revision),
            decoded=decoded,
        )

    def _revision(self, method: str, params: msgspec.Raw | None) -> tuple[Revision, Session | None, Params | None]:
        if speaks_stateless(method, params):
            decoded = self._dispatcher.decode(method, params, NEWEST)
            return stateless_revision(required_meta(decoded).version or ""), None, decoded
        if self._session is not None:
            return REVISIONS[self._session.revision], self._session, None
        if method not in ("initialize", "ping"):
            raise ProtocolError(
                INVALID_REQUEST, f"'{method[:128]}' came before 'initialize', and without the _meta of {NEWEST.name}."
            )
        return NEWEST_WITH_HANDSHAKE, None, None

    async def write(self, data: bytes) -> None:
        """Write one message. A client that does not read slows the server down, and nothing else."""
        async with self._writing:
            if not self._closed:
                try:
                    await asyncio.to_thread(_write_all, self._writer, data + b"\n")
                except (BrokenPipeError, ValueError):
                    self._closed = True


class _Pipe:
    """The way back to the client while one of its requests runs."""

    __slots__ = ("_board", "_revision", "_server")

    def __init__(self, server: StdioServer, board: Switchboard, revision: Revision) -> None:
        self._server = server
        self._board = board
        self._revision = revision

    async def notify(self, method: str, params: object) -> None:
        await self._server.write(encode_notification(method, UNSET if params is None else params))

    async def request(self, method: str, params: object, *, timeout: float | None = None) -> msgspec.Raw:
        if self._revision.stateless:
            raise ProtocolError(INVALID_REQUEST, f"'{method}' cannot be asked of the client in {self._revision.name}.")
        patience = DEFAULT_REQUEST_TIMEOUT if timeout is None else timeout
        return await self._board.ask(_PIPE, self._server.write, method, params, patience)


def _write_all(writer: BinaryIO, data: bytes) -> None:
    left = memoryview(data)
    while left:
        left = left[writer.write(left) :]
