"""The Kubernetes API as the operator uses it: apply, read, change, delete; what can be tried again is tried again."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

import aiohttp
import kopf
import msgspec

from app.operator._labels import MANAGER
from app.operator.model import Object

logger = logging.getLogger("slipway.operator.kube")

Login = Callable[[], Awaitable[kopf.ConnectionInfo]]
Counted = Callable[[str, int], None]

_TIMEOUT = aiohttp.ClientTimeout(total=30, connect=5)
_ATTEMPTS: Final = 5
_FIRST_PAUSE: Final = 0.1
# Asked again at once a bit later; all others are told to the caller.
_AGAIN: Final = frozenset({429, 500, 502, 503, 504})
# A token in a file is renewed by the kubelet long before it ends.
_LOGIN_SECONDS = 600.0
_APPLY = "application/apply-patch+yaml"
_MERGE = "application/merge-patch+json"
_JSON = "application/json"
_NEVER: Final = "1"


class ApiError(Exception):
    """A refusal of the API server: its status, its one-word reason and its message."""

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason


class ApiAway(Exception):
    """The API server cannot be reached, or does not answer in time."""


class NotPermitted(Exception):
    """This replica may not change anything at this moment."""


class Kube:
    """A client for one cluster. Used from one event loop; `close` it there. Nothing is changed unless `permitted`."""

    def __init__(
        self,
        login: Login,
        *,
        counted: Counted = lambda _verb, _status: None,
        permitted: Callable[[], bool] = lambda: True,
    ) -> None:
        self._login = login
        self._counted = counted
        self._permitted = permitted
        self._session: aiohttp.ClientSession | None = None
        self._server = ""
        self._since = 0.0
        self._connecting = asyncio.Lock()

    async def get(self, path: str) -> Object | None:
        """What is at a path; None where nothing is."""
        try:
            return await self.request("GET", path)
        except ApiError as error:
            if error.status == 404:
                return None
            raise

    async def apply(self, path: str, manifest: Object, *, manager: str = MANAGER) -> Object:
        """Server-side apply: the fields of the manifest become ours, and what we no longer name goes."""
        query = {"fieldManager": manager, "force": "true"}
        return await self.request("PATCH", path, query=query, body=manifest, kind=_APPLY)

    async def apply_new(self, path: str, manifest: Object) -> Object | None:
        """Server-side apply of what should not be there yet. None, and nothing changed, when something may be there.

        An object of the oldest version there is cannot exist, so that the API server refuses to change any that does.
        """
        stamped = {**manifest, "metadata": {**manifest["metadata"], "resourceVersion": _NEVER}}
        try:
            return await self.apply(path, stamped)
        except ApiError as error:
            if error.status == 409:
                return None
            raise

    async def merge(self, path: str, change: Mapping[str, Any]) -> Object:
        """A merge patch. With `metadata.resourceVersion` in it, it is refused (409) when another was faster."""
        return await self.request("PATCH", path, query={"fieldManager": MANAGER}, body=change, kind=_MERGE)

    async def create(self, path: str, thing: Object) -> Object:
        return await self.request("POST", path, query={"fieldManager": MANAGER}, body=thing)

    async def replace(self, path: str, thing: Object) -> Object:
        """Refused (409) when another was faster."""
        return await self.request("PUT", path, query={"fieldManager": MANAGER}, body=thing)

    async def delete(self, path: str, *, propagation: str = "Background", uid: str | None = None) -> bool:
        """Whether there was something to delete. With `uid`, only that very object."""
        options: Object = {"propagationPolicy": propagation}
        if uid is not None:
            options["preconditions"] = {"uid": uid}
        try:
            await self.request("DELETE", path, body=options)
        except ApiError as error:
            if error.status == 404 or (error.status == 409 and uid is not None):
                return False
            raise
        return True

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: object | None = None,
        kind: str = _JSON,
        attempts: int = _ATTEMPTS,
    ) -> Object:
        """One request, tried again with growing pauses while the server is busy or away. Raises ApiError, ApiAway."""
        data = None if body is None else msgspec.json.encode(body)
        pause = _FIRST_PAUSE
        for attempt in range(1, attempts + 1):
            last = attempt == attempts
            try:
                return await self._once(method, path, query or {}, data, kind)
            except ApiError as error:
                if error.status == 401 and not last:
                    self._since = 0.0
                elif error.status not in _AGAIN or last:
                    raise
            except ApiAway:
                if last:
                    raise
            await asyncio.sleep(pause * random.uniform(0.5, 1.5))  # noqa: S311 - spreads load, hides nothing
            pause *= 2
        raise AssertionError("unreachable: the last attempt returns or raises")

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _once(self, method: str, path: str, query: Mapping[str, str], data: bytes | None, kind: str) -> Object:
        session = await self._connected()
        if method != "GET" and not self._permitted():
            raise NotPermitted("another operator has the lease")
        headers = {} if data is None else {"content-type": kind}
        try:
            async with session.request(
                method, f"{self._server}{path}", params=query, data=data, headers=headers
            ) as answer:
                text = await answer.read()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            self._counted(method, 0)
            raise ApiAway(f"the API server cannot be reached: {error or type(error).__name__}") from error
        self._counted(method, answer.status)
        if answer.status >= 400:
            raise _refusal(answer.status, text)
        return msgspec.json.decode(text, type=dict[str, Any])

    async def _connected(self) -> aiohttp.ClientSession:
        """A session with credentials that are not old."""
        async with self._connecting:
            if self._session is not None and time.monotonic() - self._since < _LOGIN_SECONDS:
                return self._session
            credentials = await self._login()
            if self._session is None:
                connector = aiohttp.TCPConnector(ssl=credentials.as_ssl_context(), limit=32)
                self._session = aiohttp.ClientSession(connector=connector, timeout=_TIMEOUT)
            self._session.headers.update(credentials.as_http_headers())
            self._server = credentials.server.rstrip("/")
            self._since = time.monotonic()
            return self._session


def _refusal(status: int, text: bytes) -> ApiError:
    try:
        told = msgspec.json.decode(text, type=dict[str, Any])
    except msgspec.DecodeError:
        told = {}
    message = str(told.get("message") or text[:500].decode(errors="replace") or f"HTTP {status}")
    return ApiError(status, str(told.get("reason") or ""), message)
