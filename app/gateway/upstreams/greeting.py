"""How a server's era is found: it is asked what the newer era asks, and greeted as in the older if it cannot tell."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Literal

import msgspec
from msgspec import Raw

from app.gateway.upstream import About, UpstreamFailure, UpstreamUnavailable
from app.gateway.upstreams.dialect import ASKABLE, client_info
from app.gateway.upstreams.wire import encode
from app.protocol.errors import UNSUPPORTED_PROTOCOL_VERSION
from app.protocol.params import META_SERVER_INFO
from app.protocol.revisions import NEWEST, NEWEST_WITH_HANDSHAKE, REVISIONS, STATELESS_REVISIONS, Revision

Era = Literal["stateless", "handshake"]
Ask = Callable[[Revision, str, bytes], Awaitable[Raw]]
"""Sends a request as that revision has it."""


class _Info(msgspec.Struct):
    name: str = ""
    version: str = ""


class _Initialized(msgspec.Struct):
    protocol_version: str = msgspec.field(name="protocolVersion")
    capabilities: dict[str, Any] = {}
    server_info: _Info = msgspec.field(name="serverInfo", default_factory=_Info)
    instructions: str | None = None


class _DiscoveredMeta(msgspec.Struct):
    server_info: _Info | None = msgspec.field(name=META_SERVER_INFO, default=None)


class _Discovered(msgspec.Struct):
    supported: list[str] = msgspec.field(name="supportedVersions")
    capabilities: dict[str, Any] = {}
    server_info: _Info | None = msgspec.field(name="serverInfo", default=None)
    instructions: str | None = None
    meta: _DiscoveredMeta | None = msgspec.field(name="_meta", default=None)


class _Unsupported(msgspec.Struct):
    supported: list[str]


_decode_initialized = msgspec.json.Decoder(_Initialized).decode
_decode_discovered = msgspec.json.Decoder(_Discovered).decode
_decode_unsupported = msgspec.json.Decoder(_Unsupported).decode


async def greet(ask: Ask, known: Era | None, *, patience: float) -> About:
    """Agree with a server on one stream; raises `UpstreamUnavailable`.

    One that does not answer the newer era's question within the `patience` is also greeted as in the older one:
    whichever it answers is what it speaks.
    """
    if known == "handshake":
        return await initialize(ask)
    discovering = asyncio.ensure_future(discover(ask))
    initializing: asyncio.Future[About] | None = None
    try:
        await asyncio.wait({discovering}, timeout=patience)
        if not discovering.done():
            initializing = asyncio.ensure_future(initialize(ask))
            await asyncio.wait({discovering, initializing}, return_when=asyncio.FIRST_COMPLETED)
        # An answer to the newer era's question counts, whatever the other greeting came to.
        if initializing is not None and not discovering.done() and initializing.exception() is None:
            return initializing.result()
        found = await discovering
        if found is not None:
            return found
        return await (initializing if initializing is not None else initialize(ask))
    finally:
        for asked in (discovering, initializing):
            if asked is not None:
                asked.cancel()
        await asyncio.gather(*(a for a in (discovering, initializing) if a is not None), return_exceptions=True)


async def discover(ask: Ask) -> About | None:
    """What a server of the newer era says of itself; None from one of the older."""
    try:
        answer = await ask(NEWEST, "server/discover", b"{}")
    except UpstreamFailure as error:
        revision = _offered(error)
        if revision is None or revision is NEWEST:
            return None
        answer = await ask(revision, "server/discover", b"{}")
    try:
        told = _decode_discovered(answer)
    except (msgspec.MsgspecError, RecursionError):
        return None
    revision = _newest_of(told.supported)
    if revision is None:
        return None
    info = (told.meta and told.meta.server_info) or told.server_info or _Info()
    return About(revision.name, info.name, info.version, told.capabilities, told.instructions or "")


async def initialize(ask: Ask) -> About:
    """The handshake of the older era, but for the notification that ends it."""
    params: dict[str, Any] = {
        "protocolVersion": NEWEST_WITH_HANDSHAKE.name,
        "capabilities": {name: {} for name in ASKABLE},
        "clientInfo": client_info(),
    }
    try:
        answer = await ask(NEWEST_WITH_HANDSHAKE, "initialize", encode(params))
    except UpstreamFailure as error:
        raise UpstreamUnavailable(f"it refused the handshake: {error.message[:300]}", unsent=True) from None
    try:
        told = _decode_initialized(answer)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise UpstreamUnavailable(f"its answer to 'initialize' is not one: {str(error)[:200]}", unsent=True) from None
    revision = REVISIONS.get(told.protocol_version)
    if revision is None or revision.stateless:
        known = ", ".join(REVISIONS)
        raise UpstreamUnavailable(
            f"it speaks revision {told.protocol_version[:40]!r}, but only {known} are known", unsent=True
        )
    info = told.server_info
    return About(revision.name, info.name, info.version, told.capabilities, told.instructions or "")


def _offered(error: UpstreamFailure) -> Revision | None:
    """The revision without a handshake that a server which refused ours says it has."""
    if error.code != UNSUPPORTED_PROTOCOL_VERSION or error.data is None:
        return None
    try:
        return _newest_of(_decode_unsupported(error.data).supported)
    except (msgspec.MsgspecError, RecursionError):
        return None


def _newest_of(names: list[str]) -> Revision | None:
    return next((r for r in reversed(STATELESS_REVISIONS) if r.name in names), None)
