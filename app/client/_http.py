"""Links over HTTP: Streamable HTTP of both eras, the older HTTP+SSE, and bare JSON-RPC."""

from __future__ import annotations

import asyncio
import base64
import re
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any, cast
from urllib.parse import urljoin, urlsplit

import httpx

from app.client._messages import ClientError, Handler, JsonObject, Pending, decode, encode, result_of

_ACCEPT = "application/json, text/event-stream"
_PLAIN = re.compile(r"[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?")
_NAMED = {"tools/call": "name", "prompts/get": "name", "resources/read": "uri"}
_ENDPOINT_PATIENCE = 10.0


class HttpLink:
    """Streamable HTTP: an answer comes as JSON, or at the end of a stream of messages."""

    def __init__(self, url: str, handler: Handler, headers: Mapping[str, str], timeout: float) -> None:
        self._url = url
        self._handler = handler
        self._client = _client(headers, timeout)
        self._revision: str | None = None
        self._mirrors = False
        self._session: str | None = None

    async def open(self) -> None:
        """Nothing to do: every request stands alone."""

    async def request(self, message: JsonObject) -> JsonObject:
        async with _sent(self._client, self._url, message, self._headers(message)) as response:
            self._session = response.headers.get("mcp-session-id", self._session)
            if response.headers.get("content-type", "").startswith("text/event-stream"):
                async for event, data in _events(response):
                    if event == "message" and data and (answer := await self._take(decode(data), message["id"])):
                        return result_of(answer)
                raise ClientError("the server ended the stream before it answered")
            return _result(response, await response.aread())

    async def notify(self, message: JsonObject) -> None:
        async with _sent(self._client, self._url, message, self._headers(message)) as response:
            await response.aread()

    def agreed(self, revision: str) -> None:
        self._revision = revision
        self._mirrors = revision >= "2026"

    async def close(self) -> None:
        if self._session is not None:
            with suppress(httpx.HTTPError):
                await self._client.delete(self._url, headers=self._headers({}))
        await self._client.aclose()

    async def _take(self, message: JsonObject, request_id: object) -> JsonObject | None:
        """The answer if this is it; anything else is handled."""
        if "method" not in message:
            return message if message.get("id") == request_id else None
        answer = await self._handler(message)
        if answer is not None:
            await self.notify(answer)
        return None

    def _headers(self, message: JsonObject) -> dict[str, str]:
        headers = {"accept": _ACCEPT}
        if self._revision is not None:
            headers["mcp-protocol-version"] = self._revision
        if self._session is not None:
            headers["mcp-session-id"] = self._session
        if self._mirrors and isinstance(method := message.get("method"), str):
            headers["mcp-method"] = method
            name = message.get("params", {}).get(_NAMED.get(method))
            if isinstance(name, str):
                headers["mcp-name"] = _header_value(name)
        return headers


class BareLink:
    """One JSON-RPC request, one answer, and nothing around them."""

    def __init__(self, url: str, headers: Mapping[str, str], timeout: float) -> None:
        self._url = url
        self._client = _client(headers, timeout)

    async def open(self) -> None:
        """Nothing to do: every request stands alone."""

    async def request(self, message: JsonObject) -> JsonObject:
        async with _sent(self._client, self._url, message, {"accept": "application/json"}) as response:
            return _result(response, await response.aread())

    async def notify(self, message: JsonObject) -> None:
        async with _sent(self._client, self._url, message, {}) as response:
            await response.aread()

    def agreed(self, revision: str) -> None:
        """Nothing of it shows on this transport."""

    async def close(self) -> None:
        await self._client.aclose()


class SseLink:
    """HTTP+SSE of 2024-11-05: messages come on one stream and go to the address that it names first."""

    def __init__(self, url: str, handler: Handler, headers: Mapping[str, str], timeout: float) -> None:
        self._url = url
        self._client = _client(headers, timeout)
        self._pending = Pending(handler, self.notify)
        self._endpoint: asyncio.Future[str] | None = None
        self._reader: asyncio.Task[None] | None = None

    async def open(self) -> None:
        self._endpoint = asyncio.get_running_loop().create_future()
        self._reader = asyncio.create_task(self._read(self._endpoint))
        try:
            await asyncio.wait_for(asyncio.shield(self._endpoint), _ENDPOINT_PATIENCE)
        except TimeoutError:
            raise ClientError(f"{self._url} opened a stream but named no endpoint: is it an /sse address?") from None

    async def request(self, message: JsonObject) -> JsonObject:
        future = self._pending.expect(message["id"])
        await self.notify(message)
        return result_of(await future)

    async def notify(self, message: JsonObject) -> None:
        if self._endpoint is None:
            raise ClientError("the stream is not open")
        async with _sent(self._client, await self._endpoint, message, {}) as response:
            body = await response.aread()
            if response.status_code >= 400:
                _result(response, body)

    def agreed(self, revision: str) -> None:
        """Nothing of it shows on this transport."""

    async def close(self) -> None:
        if self._reader is not None:
            self._reader.cancel()
            await asyncio.gather(self._reader, return_exceptions=True)
        await self._client.aclose()

    async def _read(self, endpoint: asyncio.Future[str]) -> None:
        error: Exception = ClientError("the server ended the stream")
        try:
            async with self._client.stream(
                "GET", self._url, headers={"accept": "text/event-stream"}, timeout=httpx.Timeout(10, read=None)
            ) as response:
                if response.status_code != 200:
                    raise ClientError(f"{self._url} answered {response.status_code}: is it an /sse address?")
                async for event, data in _events(response):
                    if event == "endpoint":
                        if not endpoint.done():
                            endpoint.set_result(_same_server(self._url, data))
                    elif data:
                        self._pending.take(decode(data))
        except httpx.HTTPError as problem:
            error = ClientError(f"cannot read {self._url}: {_words(problem)}")
        except ClientError as problem:
            error = problem
        finally:
            if not endpoint.done():
                endpoint.set_exception(error)
            self._pending.end(error)


@asynccontextmanager
async def _sent(
    client: httpx.AsyncClient, url: str, message: JsonObject, headers: Mapping[str, str]
) -> AsyncGenerator[httpx.Response]:
    """A POST whose answer is read as it comes; connection errors are told as ClientError."""
    content = encode(message)
    try:
        async with client.stream(
            "POST", url, content=content, headers={"content-type": "application/json", **headers}
        ) as response:
            yield response
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise ClientError(f"cannot reach {url}: {_words(error)}") from None


def _client(headers: Mapping[str, str], timeout: float) -> httpx.AsyncClient:
    return httpx.AsyncClient(headers=dict(headers), timeout=httpx.Timeout(timeout, connect=10), trust_env=True)


def _result(response: httpx.Response, body: bytes) -> JsonObject:
    status = response.status_code
    if not body:
        raise ClientError(f"the server answered {status} with nothing in it: is this an MCP server's address?")
    try:
        message: Any = decode(body)
    except ClientError:
        if status < 400:
            raise
        message = None
    if not isinstance(message, dict):
        raise ClientError(f"the server answered {status}: {body[:200].decode('utf-8', 'replace')}")
    return result_of(cast("JsonObject", message), http_status=status)


async def _events(response: httpx.Response) -> AsyncIterator[tuple[str, str]]:
    """The server-sent events of a response, as (event, data)."""
    event, data = "message", list[str]()
    async for line in response.aiter_lines():
        if not line:
            if data:
                yield event, "\n".join(data)
            event, data = "message", []
            continue
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "event":
            event = value
        elif name == "data":
            data.append(value)


def _same_server(url: str, endpoint: str) -> str:
    """The endpoint as a whole address; one on another server is not followed, since it would get our token."""
    whole = urljoin(url, endpoint)
    if urlsplit(whole)[:2] != urlsplit(url)[:2]:
        raise ClientError(f"the server names an endpoint on another server ({endpoint[:200]}): not followed")
    return whole


def _header_value(text: str) -> str:
    if _PLAIN.fullmatch(text) and not text.startswith("=?base64?"):
        return text
    return f"=?base64?{base64.b64encode(text.encode()).decode()}?="


def _words(error: Exception) -> str:
    return str(error) or type(error).__name__
