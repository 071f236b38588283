"""The servers that shall run, in Redis: every replica sees them, and a lease says which one runs each."""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

import msgspec

from app.gateway.manager.model import Wanted
from app.gateway.manager.store import Claim, StoreError, Told
from app.sessions.redis_address import RedisAddress
from app.sessions.redis_client import RedisClient, Script
from app.sessions.redis_link import Link
from app.sessions.store import StoreUnavailable
from app.sessions.tasks import stop

logger = logging.getLogger("slipway.gateway.manager")
Value = TypeVar("Value")

_SERVERS = "slipway:gateway:servers"
_CHANGES = "slipway:gateway:changes"

# Each of these runs whole or not at all. The last argument is what the other replicas are told.
_PUT = Script("""
local there = redis.call('HGET', KEYS[1], ARGV[1])
if (there or '') ~= ARGV[2] then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
redis.call('PUBLISH', ARGV[4], ARGV[5])
return 1
""")
_REMOVE = Script("""
local removed = redis.call('HDEL', KEYS[1], ARGV[1])
redis.call('PUBLISH', ARGV[2], ARGV[3])
return removed
""")
# Takes the lease where nobody has it, and keeps it where it is ours, together with what was told.
_CLAIM = Script("""
local there = redis.call('GET', KEYS[1])
if there and there ~= ARGV[1] then return there end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
redis.call('PEXPIRE', KEYS[2], ARGV[2])
return false
""")
_RELEASE = Script("""
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('DEL', KEYS[1], KEYS[2])
redis.call('PUBLISH', ARGV[2], ARGV[3])
return 1
""")
_TELL = Script("""
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[2], ARGV[2], 'PX', ARGV[3])
redis.call('PUBLISH', ARGV[4], ARGV[5])
return 1
""")


class RedisStore:
    """A `Store` in Redis for the replica that is reached at `url`. Raises ValueError for a wrong address of Redis."""

    kind = "redis"

    def __init__(self, redis_url: str, *, owner: str, url: str, lease: float = 15.0, timeout: float = 2.0) -> None:
        self._client = RedisClient(RedisAddress.parse(redis_url), timeout=timeout)
        self._link = Link(self._client, _CHANGES, self)
        self._origin = secrets.token_hex(6)
        self._me = msgspec.json.encode(Claim(owner, url, self._origin))
        self._lease = lease
        self._held: dict[str, float] = {}
        self._listener: Callable[[str | None], None] = _nobody
        self._renewing: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self._link.start()
        self._renewing = asyncio.create_task(self._renew(), name="leases of servers")

    async def load(self) -> dict[str, Wanted]:
        found: list[bytes] = await _asked(self._client.execute("HVALS", _SERVERS))
        servers: dict[str, Wanted] = {}
        for text in found:
            try:
                wanted = msgspec.json.decode(text, type=Wanted)
            except msgspec.MsgspecError:
                logger.exception("a server in Redis cannot be read: another version of slipway wrote it")
            else:
                servers[wanted.id] = wanted
        return servers

    async def put(self, wanted: Wanted, *, replacing: Wanted | None) -> bool:
        there: bytes | None = await _asked(self._client.execute("HGET", _SERVERS, wanted.id))
        known = None if there is None else msgspec.json.decode(there, type=Wanted)
        if known != replacing:
            return False
        change = self._change(wanted.id)
        text = msgspec.json.encode(wanted)
        return bool(await _asked(self._client.run(_PUT, (_SERVERS,), wanted.id, there or b"", text, _CHANGES, change)))

    async def remove(self, server_id: str) -> bool:
        change = self._change(server_id)
        return bool(await _asked(self._client.run(_REMOVE, (_SERVERS,), server_id, _CHANGES, change)))

    async def claim(self, server_id: str) -> Claim | None:
        if self._held.get(server_id, 0.0) > time.monotonic():
            return None
        asked_at = time.monotonic()
        other: bytes | None = await _asked(self._client.run(_CLAIM, _keys(server_id), self._me, self._milliseconds))
        if other is None:
            self._held[server_id] = asked_at + self._lease
            return None
        self._held.pop(server_id, None)
        return msgspec.json.decode(other, type=Claim)

    async def release(self, server_id: str) -> None:
        self._held.pop(server_id, None)
        await _asked(self._client.run(_RELEASE, _keys(server_id), self._me, _CHANGES, self._change(server_id)))

    async def tell(self, server_id: str, told: Told) -> None:
        text, change = msgspec.json.encode(told), self._change(server_id)
        await _asked(self._client.run(_TELL, _keys(server_id), self._me, text, self._milliseconds, _CHANGES, change))

    async def told(self, server_id: str) -> Told | None:
        text: bytes | None = await _asked(self._client.execute("GET", _keys(server_id)[1]))
        return None if text is None else msgspec.json.decode(text, type=Told)

    def follow(self, listener: Callable[[str | None], None]) -> None:
        self._listener = listener

    async def ping(self) -> None:
        await _asked(self._client.execute("PING"))

    async def close(self) -> None:
        if self._renewing is not None:
            await stop([self._renewing])
        for server_id in tuple(self._held):
            try:
                await self.release(server_id)
            except StoreError:
                break  # the leases end by themselves
        await self._link.close()
        await self._client.close()

    def heard(self, data: bytes) -> None:
        """See `Listener`."""
        origin, _, server_id = data.decode("utf-8", "replace").partition(" ")
        if origin != self._origin:
            self._listener(server_id)

    def missed(self) -> None:
        """See `Listener`."""
        self._listener(None)

    async def _renew(self) -> None:
        """Keep every lease. One that was lost, while Redis was away, is another's to run."""
        while True:
            await asyncio.sleep(self._lease / 3)
            began = time.monotonic()
            calls = [(_keys(server_id), (self._me.decode(), self._milliseconds)) for server_id in self._held]
            if not calls:
                continue
            servers = list(self._held)
            try:
                others = await _asked(self._client.run_many(_CLAIM, calls))
            except StoreError as error:
                # Others cannot take them over as long as Redis serves nobody, so what runs runs on.
                logger.warning("the leases of servers could not be renewed: %s", error)
                self._held = dict.fromkeys(self._held, time.monotonic() + self._lease)
                continue
            for server_id, other in zip(servers, others, strict=True):
                if other is None:
                    if server_id in self._held:
                        self._held[server_id] = began + self._lease
                else:
                    self._held.pop(server_id, None)
                    self._listener(server_id)

    @property
    def _milliseconds(self) -> int:
        return max(1, int(self._lease * 1000))

    def _change(self, server_id: str) -> str:
        return f"{self._origin} {server_id}"


def _keys(server_id: str) -> tuple[str, str]:
    """Of the lease and of what was told; in a cluster of Redis they are in one place."""
    return f"slipway:gateway:lease:{{{server_id}}}", f"slipway:gateway:told:{{{server_id}}}"


async def _asked(answer: Awaitable[Value]) -> Value:
    try:
        return await answer
    except StoreUnavailable as error:
        raise StoreError(f"{error}: the servers that shall run are kept there") from error


def _nobody(_server_id: str | None) -> None:
    return
