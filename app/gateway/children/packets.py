"""What a keeper or a minder says to the gateway."""

from __future__ import annotations

import socket
from collections.abc import Iterator

from app.gateway.children.keeper import _wire as wire


def packets(ours: socket.socket) -> Iterator[bytes]:
    """What has come, until nothing more has; an empty one, as the last, where the other end is gone."""
    reset = False
    while True:
        try:
            data = ours.recv(wire.LARGEST)
        except OSError as error:
            if not reset and isinstance(error, BlockingIOError):
                return
            if not reset and isinstance(error, ConnectionResetError):
                reset = True  # it left words of ours unread: that is told before its own last words are
                continue
            data = b""
        yield data
        if not data:
            return
