"""Which addresses a remote server may not have: those that lead back into the gateway's own machine or its cloud."""

from __future__ import annotations

import asyncio
import socket
from ipaddress import IPv4Address, IPv6Address, ip_address
from urllib.parse import urlsplit

_SCHEMES = ("http", "https", "ws", "wss")
# Where clouds tell machines their secrets, beside the link-local 169.254.169.254.
_METADATA = frozenset({"100.100.100.200", "168.63.129.16", "192.0.0.192", "fd00:ec2::254", "fd20:ce::254"})
_METADATA_NAMES = ("metadata.google.internal", "metadata", "instance-data", "metadata.azure.internal")


class AddressRefused(ValueError):
    """An address that no server may have; the message says why."""


async def checked_url(url: str, *, own_machine: bool, seconds: float = 2.0) -> str:
    """The address of a remote server, if it may be one. A name is looked up, so that it hides nothing.

    What it means may change until somebody connects: this refuses mistakes, a network policy everything else.
    """
    host = _host_of(url)
    if own_machine:
        return url
    for address in await _addresses(host, seconds):
        if why := _refused(address):
            raise AddressRefused(f"leads to {address}, {why}. MCP_GATEWAY_ALLOW_LOCAL_URLS=true allows it")
    return url


def _host_of(url: str) -> str:
    if any(character <= " " or character > "~" or character in '\\"<>^`{|}' for character in url):
        raise AddressRefused("has a character that no address has: write it percent-encoded")
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise AddressRefused("is not an address: write it like https://mcp.example.com/mcp") from None
    if parts.scheme not in _SCHEMES or not host:
        raise AddressRefused("is not an address that is spoken to: begin it with http://, https://, ws:// or wss://")
    if parts.username is not None or parts.password is not None:
        raise AddressRefused("has a user name or a password in it: give a header in secretEnvironment instead")
    if parts.fragment:
        raise AddressRefused("has a '#', which is not sent: leave it out")
    return host.rstrip(".").lower()


async def _addresses(host: str, seconds: float) -> list[IPv4Address | IPv6Address | str]:
    if host in _METADATA_NAMES or host == "localhost" or host.endswith(".localhost"):
        return [host]
    try:
        return [ip_address(host)]
    except ValueError:
        pass
    try:
        async with asyncio.timeout(seconds):
            found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, TimeoutError, UnicodeError):
        return []  # it may come up later; there is nothing to refuse yet
    return [ip_address(str(entry[4][0]).partition("%")[0]) for entry in found]


def _refused(address: IPv4Address | IPv6Address | str) -> str:
    if isinstance(address, str):
        return "which is this machine" if address.endswith("localhost") else "where a cloud tells its machines secrets"
    if isinstance(address, IPv6Address):
        address = address.ipv4_mapped or address
    if str(address) in _METADATA:
        return "where a cloud tells its machines secrets"
    if address.is_loopback or address.is_unspecified:
        return "which is this machine"
    if address.is_link_local:
        return "which is link-local: clouds tell their machines secrets there"
    if address.is_multicast or (isinstance(address, IPv4Address) and address == IPv4Address("255.255.255.255")):
        return "which is no single machine"
    return ""
