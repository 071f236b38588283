"""What a connection costs while nothing happens on it: `python bench/idle_connections.py`.

Starts `slipway` on this machine, opens connections of one kind to 127.0.0.1 from a second process, and reads the
server's memory from the OS before and after. `--hold` opens WebSockets up to that number and has each answer one call.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from weighing import memory

INITIALIZE = {
    "jsonrpc": "2.0",
    "id": 0,
    "method": "initialize",
    "params": {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "bench", "version": "1"}},
}
INITIALIZED = {"jsonrpc": "2.0", "method": "notifications/initialized"}
CALL = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "echo", "arguments": {"text": "x"}}}
GOALS = {"sse": 16, "get": 16, "websocket": 30, "session": 4}
AT_ONCE = 64

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def connect(port: int) -> Streams:
    return await asyncio.open_connection("127.0.0.1", port, limit=2**16)


def head(method: str, path: str, port: int, *lines: str, body: bytes = b"") -> bytes:
    size = [f"Content-Length: {len(body)}"] if body else []
    return "\r\n".join([f"{method} {path} HTTP/1.1", f"Host: 127.0.0.1:{port}", *lines, *size, "", ""]).encode() + body


async def answer(reader: asyncio.StreamReader) -> bytes:
    top = await reader.readuntil(b"\r\n\r\n")
    for line in top.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            await reader.readexactly(int(line.partition(b":")[2]))
    return top


async def post(streams: Streams, port: int, message: object, session: str = "", path: str = "/mcp") -> bytes:
    lines = ["Content-Type: application/json", "Accept: application/json, text/event-stream"]
    lines += [f"Mcp-Session-Id: {session}"] if session else []
    streams[1].write(head("POST", path, port, *lines, body=json.dumps(message).encode()))
    return await answer(streams[0])


def session_in(top: bytes) -> str:
    line = next(line for line in top.split(b"\r\n") if line.lower().startswith(b"mcp-session-id:"))
    return line.partition(b":")[2].strip().decode()


def frame(message: object) -> bytes:
    body = json.dumps(message).encode()
    size = bytes([0x80 | len(body)]) if len(body) < 126 else bytes([0xFE]) + len(body).to_bytes(2, "big")
    return b"\x81" + size + b"\0\0\0\0" + body


async def read_frame(streams: Streams) -> bytes:
    """The next text frame; pings on the way are answered."""
    while True:
        opcode, size = await streams[0].readexactly(2)
        if size == 126:
            size = int.from_bytes(await streams[0].readexactly(2), "big")
        payload = await streams[0].readexactly(size)
        if opcode & 0x0F == 9:
            streams[1].write(bytes([0x8A, 0x80 | size]) + b"\0\0\0\0" + payload)
        else:
            return payload


async def open_websocket(port: int, _spare: Streams) -> Streams:
    streams = await connect(port)
    upgrade = ("Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Protocol: mcp")
    streams[1].write(head("GET", "/mcp", port, *upgrade, "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="))
    await answer(streams[0])
    streams[1].write(frame(INITIALIZE))
    await read_frame(streams)
    streams[1].write(frame(INITIALIZED))
    return streams


async def open_session(port: int, spare: Streams) -> Streams | None:
    session = session_in(await post(spare, port, INITIALIZE))
    await post(spare, port, INITIALIZED, session)
    return None


async def open_get(port: int, spare: Streams) -> Streams:
    session = session_in(await post(spare, port, INITIALIZE))
    await post(spare, port, INITIALIZED, session)
    streams = await connect(port)
    streams[1].write(head("GET", "/mcp", port, "Accept: text/event-stream", f"Mcp-Session-Id: {session}"))
    await answer(streams[0])
    return streams


async def open_sse(port: int, spare: Streams) -> Streams:
    streams = await connect(port)
    streams[1].write(head("GET", "/sse", port, "Accept: text/event-stream"))
    await answer(streams[0])
    path = ""
    while not path:
        line = (await streams[0].readline()).decode().strip()
        path = line.removeprefix("data: ") if line.startswith("data: ") else ""
    await post(spare, port, INITIALIZE, path=path)
    await post(spare, port, INITIALIZED, path=path)
    return streams


KINDS: dict[str, Callable[[int, Streams], Awaitable[Streams | None]]] = {
    "session": open_session,
    "get": open_get,
    "sse": open_sse,
    "websocket": open_websocket,
}


async def open_many(kind: str, port: int, count: int, reading: list[asyncio.Task[bytes]]) -> list[Streams]:
    opened: list[Streams] = []
    left = iter(range(count))

    async def worker() -> None:
        spare = await connect(port)
        for _ in left:
            streams = await KINDS[kind](port, spare)
            if streams is not None:
                opened.append(streams)
            if streams is not None and kind == "websocket":
                reading.append(asyncio.create_task(read_frame(streams)))
        spare[1].close()

    async with asyncio.TaskGroup() as group:
        for _ in range(min(AT_ONCE, count)):
            group.create_task(worker())
    return opened


async def client(kind: str, port: int, pid: int, count: int) -> None:
    """Runs in a process of its own: opens, measures, and has each WebSocket answer one call."""
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
    kept: list[asyncio.Task[bytes]] = []
    warm = await open_many(kind, port, 200, kept)  # what the first connections load is not what each costs
    before = memory(pid)
    reading: list[asyncio.Task[bytes]] = []
    opened = await open_many(kind, port, count, reading)
    await asyncio.sleep(1)
    after = memory(pid)
    if kind == "websocket":
        for _, writer in opened:
            writer.write(frame(CALL))
        await asyncio.wait(reading, timeout=60)
    answered = sum(task.done() and task.exception() is None and b'"result"' in task.result() for task in reading)
    for _, writer in warm:
        writer.close()
    print(json.dumps({"before": before, "after": after, "answered": answered}), flush=True)


def start_server(environment: dict[str, str]) -> tuple[subprocess.Popen[bytes], int]:
    log = Path(f"/tmp/slipway-bench-{os.getpid()}.log")
    ours = ("MCP_", "REDIS_")
    clean = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    settings = {"MCP_TRANSPORT": "http", "MCP_PORT": "0", "MCP_MAX_CONNECTIONS": "20000", **environment}
    with log.open("wb") as out:
        server = subprocess.Popen([sys.executable, "-m", "app.cli"], env={**clean, **settings}, stderr=out, stdout=out)
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        for line in log.read_text().splitlines():
            if '"serving"' in line:
                return server, int(str(json.loads(line)["address"]).rpartition(":")[2].partition("/")[0])
        time.sleep(0.05)
    raise SystemExit(f"slipway did not start: {log.read_text()[-1000:]}")


def measure(kind: str, count: int, environment: dict[str, str]) -> dict[str, int]:
    server, port = start_server(environment)
    try:
        command = [sys.executable, __file__, "--client", kind, str(port), str(server.pid), str(count)]
        done = subprocess.run(command, stdout=subprocess.PIPE, check=True, timeout=600)
        return json.loads(done.stdout)
    finally:
        server.terminate()
        server.wait(60)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kinds", nargs="*", choices=[*KINDS, []], help="default: all of them")
    parser.add_argument("--count", type=int, default=2_000)
    parser.add_argument("--hold", type=int, default=0, metavar="COUNT")
    parser.add_argument("--redis", default="", metavar="URL")
    parser.add_argument("--client", nargs=4, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.client:
        kind, port, pid, count = given.client
        asyncio.run(client(kind, int(port), int(pid), int(count)))
        return
    environment = {"REDIS_URL": given.redis} if given.redis else {}
    print("| idle connection | KiB each | goal |\n|---|---|---|")
    for kind in given.kinds or ([] if given.hold else KINDS):
        found = measure(kind, given.count, environment)
        each = (found["after"] - found["before"]) / given.count / 1024
        print(f"| {kind} | {each:.1f} | {GOALS[kind]} |", flush=True)
    if given.hold:
        found = measure("websocket", given.hold, environment)
        print(f"| {given.hold} WebSockets, MiB in all | {found['after'] / 2**20:.0f} | 512 |")
        print(f"| of them answered a call | {found['answered']} | {given.hold} |")


if __name__ == "__main__":
    main()
