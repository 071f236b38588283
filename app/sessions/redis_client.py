"""Commands to Redis with a deadline on each, and the one place that knows the redis package."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Callable
from typing import Any

import redis.asyncio as redis_asyncio
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel
from redis.backoff import NoBackoff
from redis.exceptions import NoScriptError, RedisError

from app.sessions.redis_address import RedisAddress
from app.sessions.store import StoreUnavailable

_CONNECTIONS = 16
_REST_AFTER_FAILURE = 0.25


class Script:
    """A Lua script, sent by its hash and only when Redis lacks it by its text."""

    __slots__ = ("sha", "source")

    def __init__(self, source: str) -> None:
        self.source = source
        self.sha = hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest()


class RedisClient:
    """A pool of connections. What cannot be done within `timeout` seconds raises `StoreUnavailable`.

    After a failure to connect, calls fail at once for a moment, so that a Redis that is gone holds no request up.
    """

    def __init__(self, address: RedisAddress, *, timeout: float = 1.0) -> None:
        self.address = address
        self.timeout = timeout
        self.on_failure: Callable[[], None] = _ignore
        """Called when Redis could not be reached."""
        self._resting_until = 0.0
        self._sentinel, self._redis = _connect(address, timeout)

    async def execute(self, *command: str | bytes | float) -> Any:
        """One command and its answer."""
        return await self._within_deadline(self._redis.execute_command(*command))

    async def run(self, script: Script, keys: tuple[str, ...], *arguments: str | bytes | float) -> Any:
        """One script, which Redis runs as a whole or not at all."""
        return await self._within_deadline(self._run(script, len(keys), *keys, *arguments))

    async def run_many(self, script: Script, calls: list[tuple[tuple[str, ...], tuple[str | int, ...]]]) -> list[Any]:
        """One script many times, each with its keys and arguments, in one round trip."""
        pipeline: Any = self._redis.pipeline(transaction=False)
        # By its text the first time: those that follow find it.
        name, body = "EVAL", script.source
        for keys, arguments in calls:
            pipeline.execute_command(name, body, len(keys), *keys, *arguments)
            name, body = "EVALSHA", script.sha
        return await self._within_deadline(pipeline.execute())

    async def take_connection(self) -> Any:
        """A connection of one's own, to be given back with `release_connection`."""
        return await self._within_deadline(self._redis.connection_pool.get_connection(), rest=False)

    async def release_connection(self, connection: Any) -> None:
        """Close a connection that was taken."""
        await connection.disconnect(nowait=True)
        await self._redis.connection_pool.release(connection)

    async def close(self) -> None:
        """Close every connection."""
        await self._redis.aclose()
        if self._sentinel is not None:
            await self._sentinel.aclose()

    async def _run(self, script: Script, *arguments: str | bytes | float) -> Any:
        try:
            return await self._redis.execute_command("EVALSHA", script.sha, *arguments)
        except NoScriptError:
            return await self._redis.execute_command("EVAL", script.source, *arguments)

    async def _within_deadline(self, work: Any, *, rest: bool = True) -> Any:
        if rest and time.monotonic() < self._resting_until:
            work.close()
            raise StoreUnavailable(f"Redis at {self.address} is not reachable")
        try:
            async with asyncio.timeout(self.timeout):
                return await work
        except (TimeoutError, OSError, RedisError) as error:
            # A deadline that passed or a connection that failed, not an answer that was no.
            if isinstance(error, TimeoutError | OSError) or "Connection" in type(error).__name__:
                self._resting_until = time.monotonic() + _REST_AFTER_FAILURE
                self.on_failure()
            raise StoreUnavailable(f"Redis at {self.address} does not serve: {type(error).__name__}") from error


def _ignore() -> None:
    return


def _connect(address: RedisAddress, timeout: float) -> tuple[Any, Any]:
    common: dict[str, Any] = {
        "socket_timeout": timeout,
        "socket_connect_timeout": timeout,
        "retry": Retry(NoBackoff(), 0),  # a stale connection is seen when it leaves the pool; nothing is sent twice
        "protocol": 2,
        "max_connections": _CONNECTIONS,
    }
    tls = _tls_options(address) if address.tls else {}
    login = {
        **({"username": address.username} if address.username else {}),
        **({"password": address.password} if address.password else {}),
        "db": address.db,
    }
    if address.service is not None:
        sentinel_login = {
            name.removeprefix("sentinel_"): value
            for name, value in address.options.items()
            if name.startswith("sentinel_")
        }
        sentinel_options: dict[str, Any] = {**common, **tls, **sentinel_login, **({"ssl": True} if tls else {})}
        sentinel: Any = Sentinel(address.hosts, sentinel_kwargs=sentinel_options)
        options: dict[str, Any] = {**common, **tls, **login, **({"ssl": True} if tls else {})}
        return sentinel, sentinel.master_for(address.service, **options)
    if address.path is not None:
        connection: dict[str, Any] = {
            "connection_class": redis_asyncio.UnixDomainSocketConnection,
            "path": address.path,
        }
    else:
        host, port = address.hosts[0]
        connection = {"host": host, "port": port}
        if tls:
            connection |= {"connection_class": redis_asyncio.SSLConnection, **tls}
    pool: Any = redis_asyncio.BlockingConnectionPool(timeout=timeout, **common, **login, **connection)
    return None, redis_asyncio.Redis.from_pool(pool)


def _tls_options(address: RedisAddress) -> dict[str, Any]:
    given = {name: value for name, value in address.options.items() if name.startswith("ssl_")}
    return {"ssl_cert_reqs": "required", "ssl_check_hostname": True, **given}
