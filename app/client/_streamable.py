"""Streamable HTTP, both eras: an answer comes as JSON, or at the end of a stream of messages that may be resumed."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress

import httpx

from app.client._http import events, make_client, result_in, sent
from app.client._messages import ClientError, Handler, JsonObject, decode, result_of
from app.client._mirror import Mirror
from app.protocol.headers import encode_value
from app.protocol.revisions import REVISIONS

_ACCEPT = "application/json, text/event-stream"
_NAMED = {
    "tools/call": "name",
    "prompts/get": "name",
    "resources/read": "uri",
    "tasks/get": "taskId",
    "tasks/update": "taskId",
    "tasks/cancel": "taskId",
}
_RESUMPTIONS = 10
_RETRY = 1.0


class HttpLink:
    """One server over Streamable HTTP. In the older era it is also listened to, and cut streams are resumed."""

    def __init__(self, url: str, handler: Handler, headers: Mapping[str, str], timeout: float) -> None:
        self.mirror = Mirror()
        self._url = url
        self._handler = handler
        self._client = make_client(headers, timeout)
        self._revision: str | None = None
        self._stateless = False
        self._session: str | None = None
        self._retry = _RETRY
        self._listener: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Nothing to do: every request stands alone."""

    async def request(self, message: JsonObject) -> JsonObject:
        async with sent(self._client, self._url, message, self._headers(message)) as response:
            self._session = response.headers.get("mcp-session-id", self._session)
            if not response.headers.get("content-type", "").startswith("text/event-stream"):
                return result_in(response, await response.aread())
            answer, last = await self._read(response, message["id"], None)
        for _ in range(_RESUMPTIONS):
            if answer is not None:
                return result_of(answer)
            if last is None or self._session is None:
                break
            await asyncio.sleep(self._retry)
            answer, last = await self._resume(message["id"], last)
        raise ClientError("the server ended the stream before it answered")

    async def notify(self, message: JsonObject) -> None:
        async with sent(self._client, self._url, message, self._headers(message)) as response:
            await response.aread()
        if message.get("method") == "notifications/initialized" and self._session is not None:
            self._listener = asyncio.create_task(self._listen(), name="listen to the server")

    def agreed(self, revision: str) -> None:
        self._revision = revision
        self._stateless = REVISIONS[revision].stateless

    async def close(self) -> None:
        if self._listener is not None:
            self._listener.cancel()
            await asyncio.gather(self._listener, return_exceptions=True)
        if self._session is not None:
            with suppress(httpx.HTTPError):
                await self._client.delete(self._url, headers=self._headers({}))
        await self._client.aclose()

    async def _read(
        self, response: httpx.Response, request_id: object, last: str | None
    ) -> tuple[JsonObject | None, str | None]:
        """The answer, or None where the stream ends without it, and the id of the last event."""
        with suppress(httpx.RemoteProtocolError, httpx.ReadError):
            async for event in events(response, self._wait):
                last = event.id or last
                if event.name != "message" or not event.data.strip():
                    continue
                answer = await self._take(decode(event.data), request_id)
                if answer is not None:
                    return answer, last
        return None, last

    async def _resume(self, request_id: object, last: str) -> tuple[JsonObject | None, str | None]:
        headers = self._headers({}) | {"accept": "text/event-stream", "last-event-id": last}
        try:
            async with self._client.stream("GET", self._url, headers=headers) as response:
                if response.status_code != 200:
                    raise ClientError(f"the server ended the stream, and does not resume it ({response.status_code})")
                return await self._read(response, request_id, last)
        except httpx.HTTPError:
            return None, last

    async def _listen(self) -> None:
        """Take what the server says on its own, for as long as it lets us."""
        last: str | None = None
        while True:
            headers = self._headers({}) | {"accept": "text/event-stream"}
            if last is not None:
                headers["last-event-id"] = last
            with suppress(httpx.HTTPError, ClientError):
                timeout = httpx.Timeout(10, read=None)
                async with self._client.stream("GET", self._url, headers=headers, timeout=timeout) as response:
                    if response.status_code != 200:
                        return
                    _, last = await self._read(response, None, last)
            await asyncio.sleep(self._retry)

    async def _take(self, message: JsonObject, request_id: object) -> JsonObject | None:
        """The answer if this is it; anything else is handled."""
        if "method" not in message:
            return message if request_id is not None and message.get("id") == request_id else None
        answer = await self._handler(message)
        if answer is not None:
            await self.notify(answer)
        return None

    def _wait(self, seconds: float) -> None:
        self._retry = min(seconds, 30.0)

    def _headers(self, message: JsonObject) -> dict[str, str]:
        headers = {"accept": _ACCEPT}
        if self._revision is not None:
            headers["mcp-protocol-version"] = self._revision
        if self._session is not None:
            headers["mcp-session-id"] = self._session
        if self._stateless and isinstance(method := message.get("method"), str):
            params: JsonObject = message.get("params") or {}
            headers["mcp-method"] = method
            name = params.get(_NAMED.get(method, ""))
            if isinstance(name, str):
                headers["mcp-name"] = encode_value(name)
            if method == "tools/call":
                headers |= self.mirror.headers(params)
        return headers
