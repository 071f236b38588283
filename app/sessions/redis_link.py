"""The one connection of a process that listens: it subscribes, notices when it is cut off, and comes back by itself."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any, Protocol

from app.sessions.redis_client import RedisClient
from app.sessions.store import StoreUnavailable
from app.sessions.tasks import stop

_PING_EVERY = 2.0
_LOST_AFTER = 5.0
_DOUBT_EVERY = 0.25
_FIRST_DELAY, _LONGEST_DELAY = 0.05, 1.0
_SUBSCRIBE_AT_ONCE = 500
_BACKLOG = 1_000


class Listener(Protocol):
    """Who hears what is published on one channel."""

    def heard(self, data: bytes) -> None:
        """A message. Must not block."""
        ...

    def missed(self) -> None:
        """The link was cut and is back: messages in between were not heard."""
        ...


class Messages:
    """What is published on a channel, for one reader. Nothing is promised to one that does not read."""

    def __init__(self) -> None:
        self._queue: asyncio.Queue[bytes] = asyncio.Queue(_BACKLOG)

    def heard(self, data: bytes) -> None:
        if self._queue.full():
            self._queue.get_nowait()
        self._queue.put_nowait(data)

    def missed(self) -> None:
        return

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        return await self._queue.get()


class Link:
    """Listeners by channel, over one connection to Redis."""

    def __init__(self, client: RedisClient, always: str, listener: Listener) -> None:
        """`always` is a channel that is listened to all the time: while `up`, nothing on it is missed."""
        self.up = False
        self._client = client
        self._always = always.encode()
        self._listeners: dict[bytes, list[Listener]] = {self._always: [listener]}
        self._confirmed: set[bytes] = set()
        self._unwanted: set[bytes] = set()
        self._waiting: dict[bytes, list[asyncio.Future[None]]] = {}
        self._connection: Any = None
        self._came_up = asyncio.Event()
        self._doubted = asyncio.Event()
        self._heard_at = 0.0
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def trusted(self) -> bool:
        """Whether everything on the channel that is always listened to has been heard, as far as anyone knows."""
        return self.up and not self._doubted.is_set()

    def doubt(self) -> None:
        """A command failed: do not trust the link until Redis has been heard again."""
        self._doubted.set()

    def start(self) -> None:
        """Connect in the background. Does nothing when that was begun before."""
        if not self._tasks:
            self._tasks = [asyncio.create_task(self._run(), name="redis link")]

    async def close(self) -> None:
        """Stop listening."""
        await stop(self._tasks)

    async def listen(self, channel: str, listener: Listener) -> None:
        """Once this returns, the listener hears everything. Raises `StoreUnavailable` when Redis does not confirm."""
        self.start()
        name = channel.encode()
        self._unwanted.discard(name)
        listeners = self._listeners.setdefault(name, [])
        listeners.append(listener)
        try:
            async with asyncio.timeout(self._client.timeout):
                await self._came_up.wait()
                if name not in self._confirmed:
                    confirmation = asyncio.get_running_loop().create_future()
                    self._waiting.setdefault(name, []).append(confirmation)
                    # A connection that was cut would silently connect anew: the link must do that itself.
                    if not self._connection.is_connected:
                        raise StoreUnavailable("the link to Redis was cut")
                    await self._connection.send_command("SUBSCRIBE", name)
                    await confirmation
        except BaseException as error:
            self.unlisten(channel, listener)
            if isinstance(error, Exception):
                raise StoreUnavailable(f"Redis at {self._client.address} does not take a subscription") from error
            raise

    def unlisten(self, channel: str, listener: Listener) -> None:
        """The listener hears no more; the subscription is given up with the next ping."""
        name = channel.encode()
        listeners = self._listeners.get(name)
        if listeners is not None and listener in listeners:
            listeners.remove(listener)
            if not listeners:
                del self._listeners[name]
                self._unwanted.add(name)

    async def _run(self) -> None:
        delay = _FIRST_DELAY
        while True:
            connection: Any = None
            try:
                connection = await self._client.take_connection()
                await self._subscribe_all(connection)
                delay = _FIRST_DELAY
                async with asyncio.TaskGroup() as group:
                    group.create_task(self._read(connection))
                    group.create_task(self._keep_alive(connection))
            except asyncio.CancelledError:
                raise
            except Exception:  # noqa: S110 whatever cut the link, it is down until the next round
                pass
            finally:
                self._go_down()
                if connection is not None:
                    with suppress(Exception):
                        await self._client.release_connection(connection)
            await asyncio.sleep(delay)
            delay = min(delay * 2, _LONGEST_DELAY)

    async def _subscribe_all(self, connection: Any) -> None:
        self._connection = connection
        self._heard_at = time.monotonic()
        self._unwanted.clear()
        names = list(self._listeners)
        for start in range(0, len(names), _SUBSCRIBE_AT_ONCE):
            await connection.send_command("SUBSCRIBE", *names[start : start + _SUBSCRIBE_AT_ONCE])
        # Up only when all are confirmed: listeners then read what they missed.
        async with asyncio.timeout(_LOST_AFTER):
            while not self._confirmed.issuperset(names):
                self._hear(await connection.read_response(timeout=math.inf))
        self.up = True
        self._came_up.set()
        for name in names:
            for listener in self._listeners.get(name, ()):
                listener.missed()

    async def _read(self, connection: Any) -> None:
        while True:
            self._hear(await connection.read_response(timeout=math.inf))

    def _hear(self, response: list[Any]) -> None:
        self._heard_at = time.monotonic()
        self._doubted.clear()
        kind, name, payload = response[0], response[1], response[-1]
        if kind == b"message":
            for listener in tuple(self._listeners.get(name, ())):
                listener.heard(payload)
        elif kind == b"subscribe":
            self._confirmed.add(name)
            for confirmation in self._waiting.pop(name, ()):
                if not confirmation.done():
                    confirmation.set_result(None)
        elif kind == b"unsubscribe":
            self._confirmed.discard(name)

    def _go_down(self) -> None:
        self.up = False
        self._came_up.clear()
        self._connection = None
        self._confirmed.clear()
        for name in list(self._waiting):
            for confirmation in self._waiting.pop(name):
                if not confirmation.done():
                    confirmation.set_exception(StoreUnavailable("the link to Redis was cut"))
                    confirmation.exception()  # the waiter may have left

    async def _keep_alive(self, connection: Any) -> None:
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(_PING_EVERY):
                    await self._doubted.wait()
            if time.monotonic() - self._heard_at > _LOST_AFTER:
                raise StoreUnavailable("Redis is silent")
            unwanted, self._unwanted = self._unwanted, set[bytes]()
            if unwanted:
                await connection.send_command("UNSUBSCRIBE", *unwanted)
            await connection.send_command("PING")
            if self._doubted.is_set():
                await asyncio.sleep(_DOUBT_EVERY)
