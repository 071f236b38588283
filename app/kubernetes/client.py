"""Asking the Kubernetes API: what can be tried again is tried again."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, Final

import aiohttp
import msgspec

from app.kubernetes import ApiAway, ApiError, Object
from app.kubernetes.access import Access, NoAccess
from app.resilience import Backoff, retrying
from app.sockets import Sockets

Login = Callable[[], Awaitable[Access]]

_TIMEOUT: Final = aiohttp.ClientTimeout(total=30, connect=5)
_ATTEMPTS: Final = 6
_PATIENCE: Final = 20.0
_AGAIN: Final = frozenset({429, 500, 502, 503, 504})
# A token in a pod is renewed long before it ends, and so may one be that a kubeconfig's program gave.
_LOGIN_SECONDS: Final = 600.0


class Client:
    """A client for one cluster. Used from one event loop; `close` it there.

    `login` is asked for when first needed, again now and then, and when a token is refused. `manager` is who the
    objects' fields are said to be managed by.
    """

    def __init__(self, login: Login, *, manager: str) -> None:
        self.manager = manager
        self._login = login
        self._connecting = asyncio.Lock()
        self._connected: tuple[aiohttp.ClientSession, Access] | None = None
        self._until = 0.0
        self._sockets = Sockets()

    async def get(self, path: str, query: Mapping[str, str] | None = None) -> Object | None:
        """What is at a path; None where nothing is."""
        try:
            return await self.request("GET", path, query)
        except ApiError as error:
            if error.status == 404:
                return None
            raise

    async def create(self, path: str, thing: Object, *, dry_run: bool = False) -> Object:
        """Raises `ApiError` with status 409 where there is one of that name."""
        query = {"fieldManager": self.manager}
        if dry_run:
            query["dryRun"] = "All"
        return await self.request("POST", path, query, thing)

    async def delete(
        self, path: str, *, propagation: str = "Background", uid: str | None = None, grace: int | None = None
    ) -> bool:
        """Whether there was something to delete. With `uid`, only that very object."""
        options: Object = {"propagationPolicy": propagation}
        if uid is not None:
            options["preconditions"] = {"uid": uid}
        if grace is not None:
            options["gracePeriodSeconds"] = grace
        try:
            await self.request("DELETE", path, None, options)
        except ApiError as error:
            if error.status == 404 or (error.status == 409 and uid is not None):
                return False
            raise
        return True

    async def request(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: object | None = None,
        *,
        kind: str = "application/json",
        attempts: int = _ATTEMPTS,
        patience: float = _PATIENCE,
    ) -> Object:
        """One request, tried again while the server is busy or away. Raises `ApiError` and `ApiAway`."""
        end = time.monotonic() + patience
        data = None if body is None else msgspec.json.encode(body)
        headers = {} if data is None else {"content-type": kind}
        backoff = Backoff(attempts=attempts, base=0.2, most=3.0)
        once = partial(self._once, method, path, headers, params=query or {}, data=data)
        return await retrying(once, backoff, _again, left=lambda: end - time.monotonic())

    async def close(self) -> None:
        if self._connected is not None:
            session, self._connected = self._connected[0], None
            await session.close()
            await self._sockets.closed()

    def _asking(self, method: str) -> None:
        """Called before a request is sent, which it is not if this raises."""

    def _answered(self, method: str, status: int) -> None:
        """Called with the status of each answer; 0 where there was none."""

    async def _once(self, method: str, path: str, headers: Mapping[str, str], **options: Any) -> Object:
        try:
            async with self._open(method, path, headers, **options) as answer:
                text = await answer.read()
        except ApiError as error:
            self._answered(method, error.status)
            raise
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            self._answered(method, 0)
            raise away(error) from error
        self._answered(method, answer.status)
        return msgspec.json.decode(text, type=dict[str, Any])

    @asynccontextmanager
    async def _open(
        self, method: str, path: str, headers: Mapping[str, str], **options: Any
    ) -> AsyncGenerator[aiohttp.ClientResponse]:
        session, access = await self._connect()
        self._asking(method)
        headers = {**headers, **access.headers()}
        async with session.request(method, f"{access.server}{path}", headers=headers, **options) as answer:
            if answer.status == 401:
                self._doubt()
            if answer.status >= 400:
                raise _refusal(answer.status, await answer.read(), answer.headers.get("retry-after", ""))
            yield answer

    def _doubt(self) -> None:
        """Our token was refused: log in anew before the next request."""
        self._until = 0.0

    async def _connect(self) -> tuple[aiohttp.ClientSession, Access]:
        """A session, and credentials that are not old."""
        async with self._connecting:
            known = self._connected
            if known is not None and time.monotonic() < self._until:
                return known
            try:
                access = await self._login()
            except NoAccess as error:
                raise ApiAway(str(error)) from None
            self._until = time.monotonic() + _LOGIN_SECONDS
            self._connected = self._session(access) if known is None else known[0], access
            return self._connected

    def _session(self, access: Access) -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(ssl=access.tls() or True, limit=0, socket_factory=self._sockets.make)
        return aiohttp.ClientSession(connector=connector, timeout=_TIMEOUT)


def away(error: Exception) -> ApiAway:
    """What a connection that failed is told as."""
    return ApiAway(f"the Kubernetes API cannot be reached: {error or type(error).__name__}")


def _again(error: Exception) -> float | None:
    if isinstance(error, ApiAway):
        return 0.0
    if isinstance(error, ApiError):
        if error.status in _AGAIN:
            return error.after
        return 0.0 if error.status == 401 else None
    return None


def _refusal(status: int, text: bytes, after: str) -> ApiError:
    try:
        told = msgspec.json.decode(text, type=dict[str, Any])
    except msgspec.DecodeError:
        told = {}
    message = str(told.get("message") or text[:500].decode(errors="replace") or f"HTTP {status}")
    return ApiError(status, str(told.get("reason") or ""), message, float(after) if after.isdigit() else 0.0)
