"""Agents kept in Redis, for any number of replicas: each follows the log of changes, and hears whom others heard."""

from __future__ import annotations

import asyncio
import secrets
import struct
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from app.mesh.model import Record, State, decode_record, encode_record
from app.mesh.store import Change, MeshLimits, Move, News, OutcomeKind, Pulse, Put, Snapshot, StoreUnavailable
from app.mesh.stores import redis_scripts as scripts
from app.sessions.redis_address import RedisAddress
from app.sessions.redis_client import RedisClient
from app.sessions.redis_link import Link
from app.sessions.store import StoreUnavailable as RedisUnavailable

_LOOK_EVERY = 1.0  # seconds after which the log is read although nobody said that there is something
_READ_AT_ONCE = 500
_BEATS_AT_ONCE = 1_000
_PAST = 2_000  # changes that a replica begins with
_ID_BYTES = 16
_HEAD = struct.Struct("!6sf")
_MOST_PULSES = 1_000


class RedisAgents:
    """An `AgentStore` in Redis. `url` is as `RedisAddress.parse` reads it."""

    shared = True

    def __init__(self, url: str, limits: MeshLimits | None = None, *, timeout: float = 1.0) -> None:
        """Raises ValueError for an address that is none."""
        self.limits = limits or MeshLimits()
        self._client = RedisClient(RedisAddress.parse(url), timeout=timeout)
        self._link = Link(self._client, scripts.NEWS, self)
        self._client.on_failure = self._link.doubt
        self._origin = secrets.token_bytes(6)
        self._woken = asyncio.Event()
        self._pulses: list[Pulse] = []
        self._cut = 0  # how often the link came back: what was said in between was not heard

    async def start(self) -> None:
        self._link.start()

    async def put(self, puts: Sequence[Put]) -> list[OutcomeKind]:
        calls = [self._put(put.record, "put", State.HEALTHY, proved=put.proved) for put in puts]
        with _translated():
            return [outcome.decode() for outcome in await self._client.run_many(scripts.PUT, calls)]

    async def restore(self, agents: Sequence[tuple[Record, State]]) -> None:
        for start in range(0, len(agents), _READ_AT_ONCE):
            batch = agents[start : start + _READ_AT_ONCE]
            calls = [self._put(record, "restore", state, proved=False) for record, state in batch]
            with _translated():
                await self._client.run_many(scripts.PUT, calls)

    async def remove(self, ids: Sequence[str]) -> None:
        await self._run(scripts.REMOVE, *ids)

    async def beat(self, ids: Sequence[str], stretch: float) -> None:
        for start in range(0, len(ids), _BEATS_AT_ONCE):
            batch = ids[start : start + _BEATS_AT_ONCE]
            message = _HEAD.pack(self._origin, stretch) + bytes.fromhex("".join(batch))
            await self._run(scripts.BEAT, message, *batch)

    async def expire(self, moves: Sequence[Move]) -> None:
        if moves:
            told = [part for move in moves for part in (move.id, move.kind, int(move.silent * 1000))]
            await self._run(scripts.EXPIRE, *told)

    async def find(self, ids: Sequence[str]) -> list[Record | None]:
        with _translated():
            found: list[bytes | None] = await self._client.execute("HMGET", scripts.KEYS[0], *ids)
        return [None if data is None else decode_record(data) for data in found]

    @asynccontextmanager
    async def follow(self, after: str | None) -> AsyncGenerator[AsyncIterator[News]]:
        with _translated():
            await self._await_link()
            yield self._follow(after)

    async def ping(self) -> None:
        with _translated():
            await self._client.execute("PING")

    async def close(self) -> None:
        await self._link.close()
        await self._client.close()

    # What the link hears.

    def heard(self, data: bytes) -> None:
        if data == b"log":
            self._woken.set()
            return
        origin, stretch = _HEAD.unpack_from(data)
        if origin != self._origin and len(self._pulses) < _MOST_PULSES:
            text = data[_HEAD.size :].hex()
            ids = [text[at : at + 2 * _ID_BYTES] for at in range(0, len(text), 2 * _ID_BYTES)]
            self._pulses.append(Pulse(ids, stretch))
            self._woken.set()

    def missed(self) -> None:
        self._cut += 1
        self._woken.set()

    async def _await_link(self) -> None:
        self._link.start()
        async with asyncio.timeout(self._client.timeout):
            while not self._link.up:
                self._woken.clear()
                await self._woken.wait()

    async def _follow(self, after: str | None) -> AsyncIterator[News]:
        cut = self._cut
        self._pulses.clear()
        with _translated():
            epoch, place, snapshot = await self._begin(after)
            if snapshot is not None:
                yield snapshot
            while True:
                for change in await self._read(epoch, place):
                    place = change.position.partition("-")[2]
                    yield change
                pulses, self._pulses = self._pulses, []
                for pulse in pulses:
                    yield pulse
                if self._cut != cut or not self._link.up:
                    raise StoreUnavailable("the link to Redis was cut")
                await self._something()

    async def _something(self) -> None:
        """Wait until there may be something to read."""
        if not self._pulses:
            try:
                async with asyncio.timeout(_LOOK_EVERY):
                    await self._woken.wait()
            except TimeoutError:
                pass
        self._woken.clear()

    async def _begin(self, after: str | None) -> tuple[str, str, Snapshot | None]:
        epoch, _, place = (after or "").partition("-")
        keys = (scripts.EPOCH, scripts.KEYS[6])
        answer: list[bytes] = await self._client.run(scripts.HELLO, keys, secrets.token_hex(6), epoch, place)
        there, first, last = (part.decode() for part in answer)
        if after is not None and there == epoch and (place == last or _number(first) <= _number(place)):
            return epoch, place, None
        return there, last, await self._whole(there, last)

    async def _whole(self, epoch: str, place: str) -> Snapshot:
        """All agents. What changes while they are read is read again from the log."""
        log = await self._entries("XREVRANGE", scripts.KEYS[6], place, "-", "COUNT", _PAST)
        states: dict[bytes, bytes] = await self._client.execute("HGETALL", scripts.KEYS[2])
        agents: list[tuple[Record, State]] = []
        cursor: int | bytes = 0
        seen: set[bytes] = set()
        while True:
            cursor, part = await self._client.execute("HSCAN", scripts.KEYS[0], cursor, "COUNT", _READ_AT_ONCE)
            for agent, data in part.items():
                if agent not in seen:
                    seen.add(agent)
                    agents.append((decode_record(data), State(int(states.get(agent, b"0")))))
            if int(cursor) == 0:
                break
        return Snapshot(f"{epoch}-{place}", agents, [_change(epoch, *entry) for entry in reversed(log)])

    async def _read(self, epoch: str, place: str) -> list[Change]:
        changes: list[Change] = []
        while True:
            start = f"({place}" if place != "0-0" else "-"
            part = await self._entries("XRANGE", scripts.KEYS[6], start, "+", "COUNT", _READ_AT_ONCE)
            changes.extend(_change(epoch, *entry) for entry in part)
            if len(part) < _READ_AT_ONCE:
                break
            place = part[-1][0].decode()
        if not changes and await self._client.execute("GET", scripts.EPOCH) != epoch.encode():
            raise StoreUnavailable("Redis has lost what it had")
        return changes

    async def _entries(self, *command: str | float) -> list[tuple[bytes, dict[bytes, bytes]]]:
        return await self._client.execute(*command)

    def _put(
        self, record: Record, mode: str, state: State, *, proved: bool
    ) -> tuple[tuple[str, ...], tuple[str | int, ...]]:
        told: tuple[Any, ...] = (
            *self._always(),
            record.id,
            encode_record(record),
            record.secret.hex(),
            record.digest,
            record.owner,
            record.name,
            int(proved),
            self.limits.max_agents,
            mode,
            int(state),
        )
        return scripts.KEYS, told

    async def _run(self, script: scripts.Script, *arguments: str | bytes | float) -> None:
        with _translated():
            await self._client.run(script, scripts.KEYS, *self._always(), *arguments)

    def _always(self) -> tuple[str, int]:
        return scripts.NEWS, self.limits.max_log


class _translated:  # noqa: N801 (it reads as a phrase)
    """What cannot be done in Redis is told in the mesh's own words."""

    def __enter__(self) -> None:
        return

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, RedisUnavailable | TimeoutError):
            raise StoreUnavailable(str(error) or "Redis does not answer") from error


def _change(epoch: str, place: bytes, fields: dict[bytes, bytes]) -> Change:
    data = fields.get(b"r")
    kind: Any = fields[b"k"].decode()
    record = None if data is None else decode_record(data)
    return Change(f"{epoch}-{place.decode()}", kind, fields[b"i"].decode(), record)


def _number(place: str) -> tuple[int, int]:
    ms, _, count = place.partition("-")
    return int(ms or 0), int(count or 0)
