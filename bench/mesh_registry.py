"""What a registry costs: `PYTHONPATH=. python bench/mesh_registry.py [--agents 1000 10000 50000] [--seconds 30]`.

Starts `slipway registry` on this machine, pinned to one core, and plays agents from this process on the other: each
registers, then beats every `--interval` seconds with a request of its own, on a socket of its own up to `--sockets`
(beyond, agents share them; `--batch` puts the heartbeats of so many agents into one request). Lookups go on beside
that. CPU and memory of the registry are read from the OS. `--redis` keeps the agents in a Redis server that is
started for it.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import random
import resource
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import uvloop

CAPABILITIES = 500
TICK = os.sysconf("SC_CLK_TCK")


def cpu(pid: int) -> float:
    """Seconds of CPU that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def memory(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def percentile(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else 0.0


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


async def measure(agents: int, options: argparse.Namespace) -> Result:
    result = Result(agents)
    with tempfile.TemporaryDirectory() as folder:
        environment = {
            **os.environ,
            "MCP_MESH_MAX_BEATS": "100000",
            "MCP_LOG_LEVEL": "warning",
            "MCP_KEEP_ALIVE_TIMEOUT": "600",
            **({"REDIS_URL": f"redis://127.0.0.1:{options.redis_port}/0"} if options.redis else {}),
        }
        command = [sys.executable, "-m", "app.cli", "registry", "--port", str(options.port), "--data", folder]
        pinned = ["taskset", "-c", "0", *command]
        with subprocess.Popen(pinned, env=environment) as process:  # noqa: ASYNC220
            try:
                await played(process.pid, agents, options, result)
            finally:
                process.terminate()
    return result


async def played(pid: int, agents: int, options: argparse.Namespace, result: Result) -> None:
    for _ in range(600):
        await asyncio.sleep(0.1)
        try:
            few = await connect(options.port, 64)
            break
        except OSError:
            continue
    else:
        raise RuntimeError("the registry did not start")
    await few[0].ask(get("/discover?capability=nothing"))
    before, began = memory(pid), time.perf_counter()
    beats = batched(await register(few, agents), options.batch)
    result.register_seconds = time.perf_counter() - began
    await asyncio.sleep(2)
    result.bytes_each = (memory(pid) - before) / agents
    gc.collect()
    gc.disable()  # the pauses would be ours, not the registry's
    before = memory(pid)
    sockets = await connect(options.port, min(len(beats), options.sockets))
    result.sockets = len(sockets)
    until = time.perf_counter() + options.interval + options.seconds
    beating = asyncio.create_task(beat(sockets, beats, options.interval, until, result))
    await asyncio.sleep(options.interval)
    result.socket_bytes = (memory(pid) - before) / len(sockets)
    used, began = cpu(pid), time.perf_counter()
    if not options.quiet:
        await look_up(few[0], until, result)
    await beating
    elapsed = time.perf_counter() - began
    result.rate = len(result.beats) * options.batch / elapsed
    result.cpu_share = (cpu(pid) - used) / elapsed
    result.cpu_each = (cpu(pid) - used) / max(1, len(result.beats) * options.batch)
    gc.enable()
    for one in (*few, *sockets):
        if one.transport is not None:
            one.transport.abort()


def start_redis(folder: str) -> tuple[subprocess.Popen[bytes], int]:
    """A Redis server with nothing in it, and its port."""
    program = shutil.which("redis-server")
    if program is None:
        raise SystemExit("redis-server is not on PATH: install it (Debian: apt-get install redis-server)")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    command = [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", folder]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL), port


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--agents", type=int, nargs="+", default=[1_000, 10_000, 50_000])
    parser.add_argument("--interval", type=float, default=10.0)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--sockets", type=int, default=10_000)
    parser.add_argument("--port", type=int, default=18090)
    parser.add_argument("--quiet", action="store_true", help="no lookups beside the heartbeats")
    parser.add_argument("--batch", type=int, default=1, help="heartbeats in one request")
    parser.add_argument("--redis", action="store_true", help="keep agents in Redis instead of in a file")
    options = parser.parse_args()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    os.sched_setaffinity(0, {os.cpu_count() - 1} if os.cpu_count() else {0})
    print(
        "| agents | sockets | registered in s | KiB an agent | KiB a socket | heartbeats a s | CPU of a core | "
        "µs a heartbeat | heartbeat p50 / p99 ms | lookup p50 / p99 ms | wrong |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|---|")
    for agents in options.agents:
        with tempfile.TemporaryDirectory() as folder:
            redis = None
            if options.redis:
                redis, options.redis_port = start_redis(folder)
            try:
                with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                    report(runner.run(measure(agents, options)))
            finally:
                if redis is not None:
                    redis.terminate()
                    redis.wait()


def report(r: Result) -> None:
    beats = f"{percentile(r.beats, 0.5) * 1000:.1f} / {percentile(r.beats, 0.99) * 1000:.1f}"
    lookups = f"{percentile(r.lookups, 0.5) * 1000:.1f} / {percentile(r.lookups, 0.99) * 1000:.1f}"
    print(
        f"| {r.agents:,} | {r.sockets:,} | {r.register_seconds:.1f} | {r.bytes_each / 1024:.2f} | "
        f"{r.socket_bytes / 1024:.1f} | {r.rate:,.0f} | {r.cpu_share:.0%} | {r.cpu_each * 1e6:.0f} | {beats} | "
        f"{lookups} | {r.wrong} |",
        flush=True,
    )


if __name__ == "__main__":
    main()
