"""Pages of the public internet as text: addresses checked, redirects followed one by one, size and time bounded."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

from app.resilience import Kept, StaleCache, TokenBucket
from app.resilience.http import CODINGS, AnswerBroken, trusted, unpacked
from app.toolsets import ToolFailure
from app.toolsets.search.addresses import Address, is_public
from app.toolsets.search.domains import DomainRules
from app.toolsets.search.text import Page, read_html, tidy

if TYPE_CHECKING:
    import ssl

    import httpcore
    import httpx

    from app.toolsets.search.connecting import Resolve

MAX_REDIRECTS = 5
WEB_PORTS = frozenset({80, 443, 8080, 8443})
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_HTML = frozenset({"text/html", "application/xhtml+xml"})
_TEXT = re.compile(r"text/[\w.+-]+|application/(?:[\w.+-]+\+)?(?:json|xml|yaml)|application/(?:x-ndjson|javascript)")
_CHARSET = re.compile(rb"""<meta[^>]{0,200}?charset\s{0,9}=\s{0,9}["']?([\w-]{2,40})""", re.IGNORECASE)
# Text only: Python's other codecs unpack and transform.
_CODEC = re.compile(
    r"utf-?(8|16(le|be)?)|us-ascii|ascii|iso-?8859-?\d{1,2}|latin-?\d|windows-?125\d|cp125\d|koi8-?[ru]|"
    r"shift[_-]?jis|euc-?(jp|kr)|iso-2022-jp|gb2312|gbk|gb18030|big5(-hkscs)?|tis-620|macintosh"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchLimits:
    """What a page may cost."""

    timeout: float = 15.0
    max_bytes: int = 2 * 1024 * 1024
    per_minute: float = 60.0
    cache_seconds: float = 300.0


@dataclass(frozen=True, slots=True)
class Fetched:
    """A page that was read; `url` is where the redirects led."""

    url: str
    status: int
    content_type: str
    page: Page
    cut: bool


@dataclass(frozen=True, slots=True)
class _Response:
    status: int
    content_type: str
    charset: str
    location: str | None
    body: bytes
    cut: bool


class PageFetcher:
    """Fetches pages with connections of its own, which lead to public addresses only."""

    def __init__(
        self,
        user_agent: str,
        limits: FetchLimits | None = None,
        *,
        rules: DomainRules | None = None,
        ports: Collection[int] = WEB_PORTS,
        resolve: Resolve | None = None,
        permit: Callable[[Address], bool] = is_public,
        tls: Callable[[], ssl.SSLContext] = trusted,
    ) -> None:
        self._limits = limits or FetchLimits()
        self._user_agent = user_agent
        self._rules = rules or DomainRules()
        self._ports = ports
        self._resolve = resolve
        self._permit = permit
        self._tls = tls
        self._pool: httpcore.AsyncConnectionPool | None = None
        per_minute = self._limits.per_minute
        self._bucket = TokenBucket(per_minute / 60, max(1.0, per_minute / 6))
        self._kept: StaleCache[str, Fetched] = StaleCache(ttl=self._limits.cache_seconds, size=32)

    async def fetch(self, url: str) -> Kept[Fetched]:
        """The page at an address. Raises `ToolFailure`."""
        import httpx

        try:
            parsed = httpx.URL(url.strip())
        except (httpx.InvalidURL, ValueError) as error:
            raise ToolFailure(
                f"Argument 'url' is no address: {str(error)[:100]}. Send one like https://example.org/."
            ) from None
        return await self._kept.get(str(parsed), lambda: self._fetch(parsed))

    async def close(self) -> None:
        """Close all connections."""
        if self._pool is not None:
            await self._pool.aclose()
            self._pool = None

    async def _fetch(self, url: httpx.URL) -> Fetched:
        wait = self._bucket.take()
        if wait:
            most = f"{self._limits.per_minute:g} a minute are the limit (MCP_SEARCH_RATE)"
            raise ToolFailure(f"Too many pages: {most}. Try again in {wait:.0f} s.")
        try:
            async with asyncio.timeout(self._limits.timeout):
                url, response = await self._follow(url)
        except TimeoutError:
            raise ToolFailure(
                f"{_named(url)} did not answer within {self._limits.timeout:g} s. Try another page."
            ) from None
        # A thread, for a large page takes long; reading one is linear, so it ends.
        page = await asyncio.to_thread(_read, response)
        return Fetched(str(url.copy_with(fragment=None)), response.status, response.content_type, page, response.cut)

    async def _follow(self, url: httpx.URL) -> tuple[httpx.URL, _Response]:
        import httpx

        for _ in range(MAX_REDIRECTS + 1):
            self._check(url)
            response = await self._get(url)
            if response.location is None:
                return url, response
            try:
                url = url.join(response.location)
            except (httpx.InvalidURL, ValueError):
                raise ToolFailure(f"{_named(url)} redirects to what is no address. Try another page.") from None
        raise ToolFailure(f"The page redirects more than {MAX_REDIRECTS} times. Try another page.")

    def _check(self, url: httpx.URL) -> None:
        if url.scheme not in ("http", "https") or not url.host:
            raise ToolFailure(f"{_named(url)} is not http:// or https:// and a host. Send the address of a web page.")
        if url.userinfo:
            raise ToolFailure("The address has a user name in it, which is not sent. Leave it out.")
        port = url.port or (443 if url.scheme == "https" else 80)
        if port not in self._ports:
            ports = ", ".join(str(each) for each in sorted(self._ports))
            raise ToolFailure(f"{_named(url)} is on port {port}. Pages are fetched from the ports {ports} only.")
        if not self._rules.permit(url.raw_host.decode("ascii")):
            raise ToolFailure(f"{_named(url)} is of a domain that this server does not fetch from. Try another page.")

    async def _get(self, url: httpx.URL) -> _Response:
        import httpcore

        from app.toolsets.search.connecting import AddressRefused

        target = httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path)
        host = url.netloc  # without the default port
        headers = [
            (b"host", host),
            (b"user-agent", self._user_agent.encode("ascii")),
            (b"accept", b"text/html, application/xhtml+xml, text/*;q=0.9, application/json;q=0.8, */*;q=0.1"),
            (b"accept-encoding", CODINGS.encode("ascii")),
        ]
        timeout = self._limits.timeout
        patience = {"timeout": {"connect": timeout, "read": timeout, "write": timeout, "pool": timeout}}
        try:
            async with self._connections().stream("GET", target, headers=headers, extensions=patience) as response:
                return await self._take(url, response)
        except AddressRefused:
            raise ToolFailure(
                f"{_named(url)} does not lead to the public internet. Only public addresses are fetched from."
            ) from None
        except AnswerBroken as error:
            raise ToolFailure(f"{_named(url)} answered what cannot be read: {error}. Try another page.") from None
        except httpcore.TimeoutException:
            raise TimeoutError from None
        except (httpcore.NetworkError, httpcore.ProtocolError, httpcore.UnsupportedProtocol) as error:
            why = str(error)[:200] or "no connection"
            raise ToolFailure(f"{_named(url)} cannot be fetched: {why}. Check the address, or try another.") from None

    async def _take(self, url: httpx.URL, response: httpcore.Response) -> _Response:
        headers = {name.lower(): value.decode("latin-1") for name, value in response.headers}
        status = response.status
        location = headers.get(b"location")
        if status in _REDIRECTS and location:
            return _Response(status, "", "", location, b"", cut=False)
        if status >= 400:
            raise ToolFailure(f"{_named(url)} answered with status {status}. Check the address, or try another.")
        full = headers.get(b"content-type", "text/plain")
        kind, _, parameters = full.partition(";")
        kind = kind.strip().lower()
        if kind not in _HTML and not _TEXT.fullmatch(kind):
            raise ToolFailure(f"{_named(url)} is {kind[:60]!r}, which is no text. HTML, text, JSON and XML are read.")
        body = bytearray()
        cut = False
        async for chunk in unpacked(response.aiter_stream(), headers.get(b"content-encoding", "")):
            body += chunk
            if len(body) > self._limits.max_bytes:
                cut = True
                break
        charset = re.search(r"charset\s*=\s*[\"']?([\w-]{2,40})", parameters, re.IGNORECASE)
        taken = bytes(body[: self._limits.max_bytes])
        return _Response(status, kind, charset[1] if charset else "", None, taken, cut)

    def _connections(self) -> httpcore.AsyncConnectionPool:
        if self._pool is None:
            import httpcore

            from app.toolsets.search.connecting import CheckedBackend, resolve

            backend = CheckedBackend(self._resolve or resolve, self._permit)
            self._pool = httpcore.AsyncConnectionPool(
                ssl_context=self._tls(), max_connections=20, keepalive_expiry=5, network_backend=backend
            )
        return self._pool


def _read(response: _Response) -> Page:
    text = _decoded(response)
    if response.content_type in _HTML:
        return read_html(text)
    return Page("", tidy(text, indented=True))


def _decoded(response: _Response) -> str:
    named = response.charset
    if not named and response.content_type in _HTML and (found := _CHARSET.search(response.body[:2048])):
        named = found[1].decode("ascii")
    if response.body.startswith(b"\xef\xbb\xbf") or not _CODEC.fullmatch(named.lower()):
        named = "utf-8"
    try:
        return response.body.decode(named, "replace")
    except LookupError:
        return response.body.decode("utf-8", "replace")


def _named(url: httpx.URL) -> str:
    shown = f"{url.scheme}://{url.netloc.rpartition(b'@')[2].decode('ascii', 'replace')}{url.path}"
    return shown if len(shown) <= 200 else shown[:199] + "…"
