"""Agents, played: each registers, beats and looks others up, without a client library. Used by `mesh_registry.py`."""

from __future__ import annotations

import asyncio
import json
import random
import time
from dataclasses import dataclass, field

CAPABILITIES = 500


@dataclass
class Result:
    agents: int
    register_seconds: float = 0.0
    bytes_each: float = 0.0
    socket_bytes: float = 0.0
    sockets: int = 0
    beats: list[float] = field(default_factory=list)
    lookups: list[float] = field(default_factory=list)
    cpu_share: float = 0.0
    cpu_each: float = 0.0
    rate: float = 0.0
    wrong: int = 0


class Socket(asyncio.Protocol):
    """One connection that answers one request after the other."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self.buffer = b""
        self.waiting: asyncio.Future[tuple[int, bytes]] | None = None
        self.turn = asyncio.Lock()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        head, separator, rest = self.buffer.partition(b"\r\n\r\n")
        if not separator:
            return
        at = head.lower().find(b"content-length:")
        size = int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
        if len(rest) >= size and self.waiting is not None:
            self.buffer = b""
            waiting, self.waiting = self.waiting, None
            waiting.set_result((int(head[9:12]), rest))

    def connection_lost(self, exc: Exception | None) -> None:
        if self.waiting is not None and not self.waiting.done():
            self.waiting.set_exception(exc or ConnectionError("closed"))

    async def ask(self, request: bytes) -> tuple[int, bytes]:
        async with self.turn:
            self.waiting = asyncio.get_running_loop().create_future()
            assert self.transport is not None
            self.transport.write(request)
            return await self.waiting


def post(path: str, value: object) -> bytes:
    body = json.dumps(value).encode()
    return b"POST %b HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%b" % (path.encode(), len(body), body)


def get(path: str) -> bytes:
    return b"GET %b HTTP/1.1\r\nHost: localhost\r\n\r\n" % path.encode()


def registration(number: int) -> dict[str, object]:
    kind = number % (CAPABILITIES // 2)
    return {
        "name": f"agent-{kind}",
        "replica": f"agent-{kind}-7d9c5b7f4-{number:06d}",
        "endpoint": f"http://127.0.0.1:{1024 + number % 60000}",
        "capabilities": [
            {"name": f"capability-{kind}", "version": f"1.{kind % 5}.0", "tags": ["bench", f"zone-{kind % 3}"]},
            {"name": f"capability-{kind + CAPABILITIES // 2}", "version": "2.0.0"},
            {"name": "everyone", "version": f"1.{kind % 10}.0", "tags": [f"zone-{kind % 3}"]},
        ],
        "healthInterval": 10,
    }


async def connect(port: int, count: int) -> list[Socket]:
    loop = asyncio.get_running_loop()
    made: list[Socket] = []
    for start in range(0, count, 200):
        some = min(200, count - start)
        pairs = await asyncio.gather(*(loop.create_connection(Socket, "127.0.0.1", port) for _ in range(some)))
        made.extend(protocol for _, protocol in pairs)
        # A connection that never asks anything is closed; one that has asked is kept for longer than an interval.
        await asyncio.gather(*(protocol.ask(get("/livez")) for _, protocol in pairs))
    return made


async def register(sockets: list[Socket], count: int) -> list[dict[str, object]]:
    """The heartbeat of each agent."""
    beats: list[dict[str, object]] = [{}] * count

    async def some(socket: Socket, numbers: range) -> None:
        for number in numbers:
            while True:
                status, body = await socket.ask(post("/agents", registration(number)))
                if status != 503:
                    break
                await asyncio.sleep(0.2 + random.random())
            told = json.loads(body)
            beats[number] = {"id": told["id"], "token": told["token"], "load": 0.5, "digest": told["digest"]}

    await asyncio.gather(*(some(socket, range(at, count, len(sockets))) for at, socket in enumerate(sockets)))
    return beats


def batched(beats: list[dict[str, object]], size: int) -> list[bytes]:
    """The requests that tell of all agents."""
    return [post("/heartbeats", {"beats": beats[at : at + size]}) for at in range(0, len(beats), size)]


async def beat(sockets: list[Socket], beats: list[bytes], interval: float, until: float, result: Result) -> None:
    """Every request is sent on its own time, spread over the interval; those of the first interval do not count."""
    since = time.perf_counter() + interval

    async def one(number: int) -> None:
        socket, request = sockets[number % len(sockets)], beats[number]
        due = time.perf_counter() + interval * random.random()
        while due < until:
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            began = time.perf_counter()
            status, body = await socket.ask(request)
            if began >= since:
                result.beats.append(time.perf_counter() - began)
            result.wrong += status != 200 or b'"ok"' not in body
            due += interval * random.uniform(0.9, 1.1)

    await asyncio.gather(*(one(number) for number in range(len(beats))))


async def look_up(socket: Socket, until: float, result: Result) -> None:
    while time.perf_counter() < until:
        kind = random.randrange(CAPABILITIES // 2)
        path = random.choice(
            (
                f"/discover?capability=capability-{kind}&version=%5E1.0&tag=bench",
                f"/discover?capability=capability-{kind + CAPABILITIES // 2}",
                f"/discover?capability=everyone&version=~1.{kind % 10}.0&tag=zone-{kind % 3}&limit=50",
                "/discover?capability=everyone",
            )
        )
        began = time.perf_counter()
        status, _ = await socket.ask(get(path))
        result.lookups.append(time.perf_counter() - began)
        result.wrong += status != 200
        await asyncio.sleep(0.02)
