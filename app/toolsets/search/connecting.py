"""Connections to public addresses only: a name is resolved once, and what was checked is what is connected to."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterable

import httpcore
from httpcore import AnyIOBackend, AsyncNetworkBackend, AsyncNetworkStream

from app.toolsets.search.addresses import Address, is_public, parsed

Resolve = Callable[[str, int], Awaitable[list[str]]]
SocketOption = tuple[int, int, int] | tuple[int, int, bytes | bytearray] | tuple[int, int, None, int]


class AddressRefused(Exception):
    """The name leads to an address that is not of the public internet."""


async def resolve(host: str, port: int) -> list[str]:
    """All addresses of a host."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


class CheckedBackend(AsyncNetworkBackend):
    """Opens connections for httpcore, which does TLS on them with the name of the URL."""

    def __init__(self, resolver: Resolve = resolve, permit: Callable[[Address], bool] = is_public) -> None:
        self._resolve = resolver
        self._permit = permit
        self._inner = AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[SocketOption] | None = None,
    ) -> AsyncNetworkStream:
        """Connect to the first address that answers. Raises `AddressRefused` if any of them is not public."""
        try:
            async with asyncio.timeout(timeout):
                texts = await self._resolve(host, port)
        except TimeoutError:
            raise httpcore.ConnectTimeout from None
        except (OSError, UnicodeError):
            raise httpcore.ConnectError(f"there is no address for {host}") from None
        addresses = [parsed(text) for text in texts]
        # One address of somebody's own network among public ones is how names are rebound: none is used then.
        if not addresses or any(address is None or not self._permit(address) for address in addresses):
            raise AddressRefused
        failed: Exception = httpcore.ConnectError()
        for address in addresses[:4]:
            try:
                return await self._inner.connect_tcp(str(address), port, timeout, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failed = error
        raise failed
