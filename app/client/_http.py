"""What HTTP links share, and two of them: the older HTTP+SSE, and bare JSON-RPC."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, NamedTuple, cast
from urllib.parse import urljoin, urlsplit

import httpx

from app.client._messages import ClientError, Handler, JsonObject, Pending, decode, encode, result_of

_ENDPOINT_PATIENCE = 10.0


class BareLink:
    """One JSON-RPC request, one answer, and nothing around them."""

    def __init__(self, url: str, headers: Mapping[str, str], timeout: float) -> None:
        self._url = url
        self._client = make_client(headers, timeout)

    async def open(self) -> None:
        """Nothing to do: every request stands alone."""

    async def request(self, message: JsonObject) -> JsonObject:
        async with sent(self._client, self._url, message, {"accept": "application/json"}) as response:
            return result_in(response, await response.aread())

    async def notify(self, message: JsonObject) -> None:
        async with sent(self._client, self._url, message, {}) as response:
            await response.aread()

    def agreed(self, revision: str) -> None:
        """Nothing of it shows on this transport."""

    async def close(self) -> None:
        await self._client.aclose()


class SseLink:
    """HTTP+SSE of 2024-11-05: messages come on one stream and go to the address that it names first."""

    def __init__(self, url: str, handler: Handler, headers: Mapping[str, str], timeout: float) -> None:
        self._url = url
        self._client = make_client(headers, timeout)
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
        async with sent(self._client, await self._endpoint, message, {}) as response:
            body = await response.aread()
            if response.status_code >= 400:
                result_in(response, body)

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
                async for event in events(response):
                    if event.name == "endpoint":
                        if not endpoint.done():
                            endpoint.set_result(_same_server(self._url, event.data))
                    elif event.data:
                        self._pending.take(decode(event.data))
        except httpx.HTTPError as problem:
            error = ClientError(f"cannot read {self._url}: {words(problem)}")
        except ClientError as problem:
            error = problem
        finally:
            if not endpoint.done():
                endpoint.set_exception(error)
            self._pending.end(error)


@asynccontextmanager
async def sent(
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
        raise ClientError(f"cannot reach {url}: {words(error)}") from None


def make_client(headers: Mapping[str, str], timeout: float) -> httpx.AsyncClient:
    """A pool of connections to one server."""
    return httpx.AsyncClient(headers=dict(headers), timeout=httpx.Timeout(timeout, connect=10), trust_env=True)


def result_in(response: httpx.Response, body: bytes) -> JsonObject:
    """The result in a whole answer; raises RemoteError or ClientError."""
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


class Event(NamedTuple):
    """One server-sent event; `id` is the last one that the stream gave."""

    name: str
    data: str
    id: str | None


async def events(response: httpx.Response, retry: Callable[[float], None] | None = None) -> AsyncIterator[Event]:
    """The server-sent events of a response; `retry` is told how many seconds to wait before a reconnection."""
    name, data, event_id, said = "message", list[str](), None, False
    async for line in response.aiter_lines():
        if not line:
            if said:
                yield Event(name, "\n".join(data), event_id)
            name, data, said = "message", [], False
            continue
        said = True
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if field == "event":
            name = value
        elif field == "data":
            data.append(value)
        elif field == "id":
            event_id = value
        elif field == "retry" and retry is not None and value.isdigit():
            retry(int(value) / 1000)


def _same_server(url: str, endpoint: str) -> str:
    """The endpoint as a whole address; one on another server is not followed, since it would get our token."""
    whole = urljoin(url, endpoint)
    if urlsplit(whole)[:2] != urlsplit(url)[:2]:
        raise ClientError(f"the server names an endpoint on another server ({endpoint[:200]}): not followed")
    return whole


def words(error: Exception) -> str:
    """What an error says, or at least its kind."""
    return str(error) or type(error).__name__
