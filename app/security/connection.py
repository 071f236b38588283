"""One HTTP connection, with patience that ends: slow, oversize and ambiguous requests are answered and closed."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol
from uvicorn.server import ServerState

from app.protocol.errors import INVALID_REQUEST
from app.security.corked import CorkedTransport

# What a connection waits for. Plain numbers: they are compared several times a request.
_WAITING: Final = 0  # a request
_HEADERS: Final = 1
_BODY: Final = 2
_COMPLETE: Final = 3  # the answer
_ENDED: Final = 4  # refused, or no longer HTTP

_LINGER = 2.0  # seconds in which a refused client may finish sending, so that it can read why
_MAX_HEADER_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionLimits:
    header_timeout: float = 10.0
    body_timeout: float = 30.0
    write_timeout: float = 20.0
    """Seconds for which a client may leave what is written to it unread."""
    max_body_bytes: int = 4 * 1024 * 1024


class ConnectionWatch:
    """The connections whose request is incomplete. Complete requests, nearly all of them, never get here."""

    def __init__(self) -> None:
        self.closing = False  # set while draining: an answer is then the last one on its connection
        self._deadlines: dict[GuardedConnection, float] = {}

    def watch(self, connection: GuardedConnection, deadline: float) -> None:
        self._deadlines[connection] = deadline

    def forget(self, connection: GuardedConnection) -> None:
        self._deadlines.pop(connection, None)

    def sweep(self, now: float) -> None:
        """Time out whoever is late; the server calls this a few times a second."""
        for connection in [late for late, deadline in self._deadlines.items() if deadline <= now]:
            self.forget(connection)
            connection.run_out_of_time()


class _Refused(Exception):
    """Stops the parser; the answer is in the connection."""


class GuardedConnection(HttpToolsProtocol):
    """uvicorn's connection, with limits in time and size."""

    _unread: asyncio.TimerHandle | None = None

    def __init__(
        self,
        limits: ConnectionLimits,
        watch: ConnectionWatch,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._limits = limits
        self._connections = watch
        self._phase = _WAITING
        self._watched: int | None = None
        self._body_bytes = 0
        self._header_bytes = 0
        self._refusal: tuple[int, str] | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(CorkedTransport(transport, self.loop))
        self._watch(_WAITING, self._limits.header_timeout)

    def connection_lost(self, exc: Exception | None) -> None:
        self._unwatch()
        self._stop_waiting_for_reader()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._unread = self.loop.call_later(self._limits.write_timeout, self.transport.abort)

    def resume_writing(self) -> None:
        self._stop_waiting_for_reader()
        super().resume_writing()

    def _stop_waiting_for_reader(self) -> None:
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None

    def data_received(self, data: bytes) -> None:
        if self._phase == _ENDED:
            return
        super().data_received(data)
        phase = self._current_phase()
        if phase == _COMPLETE and self.cycle.response_complete:
            phase = self._phase = _WAITING  # stray bytes after an answer do not keep a connection for ever
        if phase == _COMPLETE:
            if self._watched is not None:
                self._unwatch()
        elif phase == _BODY:
            if self._watched != _BODY and self._declared_length() > self._limits.max_body_bytes:
                self._refuse(*self._too_large())
            else:
                self._watch(phase, self._limits.body_timeout)
        elif phase != _ENDED:
            self._header_bytes += len(data)
            if self._header_bytes > _MAX_HEADER_BYTES:
                self._refuse(431, f"the headers are longer than {_MAX_HEADER_BYTES} bytes: send fewer")
            else:
                self._watch(phase, self._limits.header_timeout)

    def _current_phase(self) -> int:
        return self._phase  # a call, since the parser's callbacks change it in between

    def on_message_begin(self) -> None:
        self._phase = _HEADERS
        self._body_bytes = 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._phase = _BODY
        self._header_bytes = 0
        super().on_headers_complete()
        cycle: Any = self.cycle  # None until the first request
        if self._connections.closing and cycle is not None:
            cycle.keep_alive = False

    def on_body(self, body: bytes) -> None:
        self._body_bytes += len(body)
        if self._body_bytes > self._limits.max_body_bytes:
            self._refusal = self._too_large()
            raise _Refused
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._phase = _COMPLETE
        super().on_message_complete()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self._phase == _COMPLETE and self.cycle.response_complete:
            self._phase = _WAITING
            idle: Any = self  # as before its first request: nothing of the one that was answered is kept
            idle.cycle = idle.scope = idle.headers = None

    def handle_websocket_upgrade(self) -> None:
        self._unwatch()
        self._phase = _ENDED
        super().handle_websocket_upgrade()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 (the parser's words; ours name the remedy)
        status, message = self._refusal or (400, "this is not a well-formed HTTP/1.1 request")
        self._refuse(status, message)

    def run_out_of_time(self) -> None:
        """The deadline passed: say so, where a request has begun, and close."""
        if self._phase != _ENDED and self._answering():
            self._watched = None
            self._watch(self._phase, self._limits.header_timeout)  # an earlier request is not paid for by a later one
        elif self._phase == _ENDED or (self._phase == _WAITING and not self._header_bytes):
            self.transport.close()
        elif self._phase == _BODY:
            self._refuse(408, f"the body did not arrive within {self._limits.body_timeout:g} seconds: send it again")
        else:
            self._refuse(408, f"the headers did not arrive within {self._limits.header_timeout:g} seconds")

    def _answering(self) -> bool:
        """Whether a request before the one that is being read still waits for its answer."""
        cycle: Any = self.cycle
        return bool(self.pipeline) or (cycle is not None and not cycle.response_complete and self._phase != _BODY)

    def _declared_length(self) -> int:
        """What Content-Length says; llhttp has checked that it is a number, and that there is one only."""
        return next((int(value) for name, value in self.headers if name == b"content-length"), 0)

    def _too_large(self) -> tuple[int, str]:
        return 413, (
            f"the body is larger than {self._limits.max_body_bytes} bytes: send less, or raise MCP_MAX_BODY_BYTES"
        )

    def _refuse(self, status: int, message: str) -> None:
        """Answer in the protocol's form, read on for a moment so that the answer arrives, then close."""
        self._phase = _ENDED
        cycle: Any = self.cycle  # None until the first request
        answered = cycle is not None and not cycle.response_complete and cycle.response_started
        if cycle is not None and not cycle.response_complete:
            cycle.disconnected = True
            cycle.message_event.set()
        if self.transport.is_closing():
            return
        if not answered:
            self.transport.write(_error_response(status, message, self.server_state.default_headers))
        if self.transport.can_write_eof():
            self.transport.write_eof()
            self._watch(_ENDED, _LINGER)
        else:
            self.transport.close()

    def _watch(self, phase: int, patience: float) -> None:
        if self._watched != phase:
            self._watched = phase
            self._connections.watch(self, self.loop.time() + patience)

    def _unwatch(self) -> None:
        self._watched = None
        self._connections.forget(self)


def _error_response(status: int, message: str, headers: list[tuple[bytes, bytes]]) -> bytes:
    error = {"jsonrpc": "2.0", "id": None, "error": {"code": INVALID_REQUEST, "message": message}}
    body = msgspec.json.encode(error)
    lines = b"".join(name + b": " + value + b"\r\n" for name, value in headers)
    return b"%scontent-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n%s\r\n%s" % (
        STATUS_LINE[status],
        len(body),
        lines,
        body,
    )
