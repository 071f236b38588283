"""uvicorn's WebSocket protocol, with bounds for clients that do not read, ping too much or split hairs."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import Frame

WRITE_PATIENCE = 20.0
"""Seconds for which the client may leave the connection's buffer full."""

CLOSE_PATIENCE = 5.0
"""Seconds in which a connection that is to be closed must have taken what was written."""

PINGS_A_SECOND = 20
FRAMES_A_MESSAGE = 1_000

_TOO_MANY = 1008


class WebSocketProtocol(WebSocketsSansIOProtocol):
    """Give it to uvicorn as `ws`."""

    _full: asyncio.TimerHandle | None = None
    _pings = 0
    _pings_since = 0.0

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        self.logger = logging.getLogger("slipway.websocket")  # uvicorn's tells of addresses with session ids in them

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_watching()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._full = self.loop.call_later(WRITE_PATIENCE, self.transport.abort)

    def resume_writing(self) -> None:
        self._stop_watching()
        super().resume_writing()

    def handle_ping(self) -> None:
        now = self.loop.time()
        if now - self._pings_since > 1.0:
            self._pings, self._pings_since = 0, now
        self._pings += 1
        # A pong is written at once, however full the buffer is: a flood must not fill it.
        if self._pings > PINGS_A_SECOND or not self.writable.is_set():
            self._refuse("too many pings")
        else:
            super().handle_ping()

    def handle_cont(self, event: Frame) -> None:
        if len(self.frames) >= FRAMES_A_MESSAGE:
            self._refuse("too many fragments")
        else:
            super().handle_cont(event)

    def keepalive_timeout(self) -> None:
        super().keepalive_timeout()
        self._close_for_good()

    def on_task_complete(self, task: asyncio.Task[None]) -> None:
        super().on_task_complete(task)
        self._close_for_good()

    def shutdown(self) -> None:
        super().shutdown()
        self._close_for_good()

    def handle_parser_exception(self) -> None:
        super().handle_parser_exception()
        self._close_for_good()

    def _refuse(self, reason: str) -> None:
        if not self.close_sent:
            self.queue.put_nowait({"type": "websocket.disconnect", "code": _TOO_MANY, "reason": reason})
            self.conn.fail(_TOO_MANY, reason)
            self.transport.write(b"".join(self.conn.data_to_send()))
            self.close_sent = True
            self.transport.close()
            self._close_for_good()

    def _close_for_good(self) -> None:
        """Closing waits for the client to take what was written: not for ever."""
        if not self.disconnected:
            self._stop_watching()
            self._full = self.loop.call_later(CLOSE_PATIENCE, self.transport.abort)

    def _stop_watching(self) -> None:
        if self._full is not None:
            self._full.cancel()
            self._full = None
