"""Sockets of a client that is closed for good: a TLS connection that was let go of takes its time to end."""

from __future__ import annotations

import asyncio
import socket
import weakref
from contextlib import suppress

_PATIENCE = 5.0
_PAUSE = 0.005

AddressInfo = tuple[int | socket.AddressFamily, int | socket.SocketKind, int, str, tuple[object, ...]]


class Sockets:
    """Makes the sockets of one `aiohttp.TCPConnector` (its `socket_factory`), and knows when all of them are closed.

    A connector forgets a connection that it closes, and TLS says goodbye and waits for an answer: up to half a minute,
    in which the event loop may end and leave the socket open.
    """

    def __init__(self) -> None:
        self._made: weakref.WeakSet[socket.socket] = weakref.WeakSet()

    def make(self, address: AddressInfo) -> socket.socket:
        """One for that address."""
        family, kind, protocol, _, _ = address
        made = socket.socket(family, kind, protocol)
        self._made.add(made)
        return made

    async def closed(self, patience: float = _PATIENCE) -> None:
        """Hang up on what is still open, after its session was closed; returns when nothing is, or patience ends."""
        for each in self._open():
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        for _ in range(round(patience / _PAUSE)):
            if not self._open():
                return
            await asyncio.sleep(_PAUSE)

    def _open(self) -> list[socket.socket]:
        return [each for each in self._made if each.fileno() >= 0]
