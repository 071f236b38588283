"""Answers of other HTTP servers, with a limit on their size and their time. Imports httpx only when first used."""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import ssl

    import httpx

_INFLATED_AT_ONCE = 64 * 1024
_GZIP = 16 + zlib.MAX_WBITS  # zlib's own sign for it
CODINGS = "gzip"


class AnswerTooLarge(Exception):
    """The answer has more bytes than we take."""


class AnswerBroken(Exception):
    """The answer's encoding is not what it says, or one that we did not ask for."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class HttpClient:
    """One pool of connections for everything that a process asks of servers that its operator named."""

    def __init__(self, user_agent: str) -> None:
        self._user_agent = user_agent
        self._made: httpx.AsyncClient | None = None

    async def get(
        self, url: str, *, params: Mapping[str, str], headers: Mapping[str, str], timeout: float, max_bytes: int
    ) -> Answer:
        """GET. Raises `AnswerTooLarge`, `AnswerBroken` and httpx's errors; `timeout` bounds each step, not the sum."""
        sent = {**headers, "accept-encoding": CODINGS}
        query = params or None  # an empty mapping would take the query off the URL
        async with self._client().stream("GET", url, params=query, headers=sent, timeout=timeout) as response:
            coding = response.headers.get("content-encoding", "")
            body = bytearray()
            async for chunk in unpacked(response.aiter_raw(), coding):
                body += chunk
                if len(body) > max_bytes:
                    raise AnswerTooLarge(f"more than {max_bytes} bytes")
            return Answer(response.status_code, response.headers, bytes(body))

    async def close(self) -> None:
        """Close all connections."""
        if self._made is not None:
            await self._made.aclose()
            self._made = None

    def _client(self) -> httpx.AsyncClient:
        if self._made is None:
            import httpx

            limits = httpx.Limits(max_connections=50, max_keepalive_connections=10)
            headers = {"user-agent": self._user_agent, "accept": "application/json"}
            self._made = httpx.AsyncClient(headers=headers, limits=limits, verify=trusted(), follow_redirects=False)
        return self._made


def trusted() -> ssl.SSLContext:
    """The authorities of the system (or of `SSL_CERT_FILE`), and those that come with certifi."""
    import ssl

    import certifi

    context = ssl.create_default_context()
    context.load_verify_locations(certifi.where())
    return context


async def unpacked(chunks: AsyncIterator[bytes], coding: str) -> AsyncIterator[bytes]:
    """The chunks without their content coding, in small pieces: a bomb can be dropped before it has unfolded."""
    coding = coding.strip().lower()
    if coding in ("", "identity"):
        async for chunk in chunks:
            yield chunk
        return
    if coding not in ("gzip", "x-gzip"):
        raise AnswerBroken(f"it is encoded as {coding[:40]!r}, which was not asked for")
    inflater = zlib.decompressobj(_GZIP)
    try:
        async for chunk in chunks:
            rest = chunk
            while rest and not inflater.eof:
                yield inflater.decompress(rest, _INFLATED_AT_ONCE)
                rest = inflater.unconsumed_tail
        while not inflater.eof and (last := inflater.decompress(b"", _INFLATED_AT_ONCE)):
            yield last
    except zlib.error:
        raise AnswerBroken(f"it says that it is encoded as {coding}, and is not") from None
    if not inflater.eof:
        raise AnswerBroken(f"its {coding} ends too early")
