"""What a call over WebSocket costs, beside a raw echo on the same server: `python bench/websocket_calls.py`.

The server runs on one core and the client on another, where there are two; rounds of the two servers take turns. The
figures are CPU microseconds of the server for each message, from the OS.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import subprocess
import sys
import time

from idle_connections import CALL, Streams, connect, frame, head, open_websocket, read_frame, start_server
from weighing import cpu, free_port

CONNECTIONS = 16


async def echo_app(scope, receive, send) -> None:
    """The floor: what a WebSocket costs on this server when nothing is done with it."""
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
        return
    await receive()
    await send({"type": "websocket.accept", "subprotocol": "mcp"})
    while (message := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "text": message["text"]})


def serve_echo(port: int) -> None:
    """Runs in a process of its own, on the protocol classes that `slipway` uses."""
    import uvicorn

    from app.transports.websocket_protocol import WebSocketProtocol

    uvicorn.run(
        echo_app, port=port, ws=WebSocketProtocol, ws_per_message_deflate=False, log_level="critical", loop="uvloop"
    )


async def open_echo(port: int) -> Streams:
    streams = await connect(port)
    upgrade = ("Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Protocol: mcp")
    streams[1].write(head("GET", "/mcp", port, *upgrade, "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="))
    await streams[0].readuntil(b"\r\n\r\n")
    return streams


async def until_listening(port: int) -> None:
    deadline = time.monotonic() + 20
    while True:
        try:
            (await connect(port))[1].close()
        except OSError:
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(0.05)
        else:
            return


async def drive(connections: list[Streams], count: int) -> None:
    async def one(streams: Streams, number: int) -> None:
        for turn in range(count // CONNECTIONS):
            streams[1].write(frame({**CALL, "id": number * count + turn}))
            await read_frame(streams)

    await asyncio.gather(*(one(streams, number) for number, streams in enumerate(connections, 1)))


async def compare(port: int, pid: int, echo_port: int, echo_pid: int, count: int, rounds: int) -> None:
    await until_listening(echo_port)
    ours = [await open_websocket(port, None) for _ in range(CONNECTIONS)]
    floor = [await open_echo(echo_port) for _ in range(CONNECTIONS)]
    spent: dict[str, list[float]] = {"call": [], "echo": []}
    await drive(ours, count)
    await drive(floor, count)
    for _ in range(rounds):
        for name, connections, process in (("call", ours, pid), ("echo", floor, echo_pid)):
            before = cpu(process)
            await drive(connections, count)
            spent[name].append((cpu(process) - before) / count * 1e6)
    call, echo = statistics.median(spent["call"]), statistics.median(spent["echo"])
    print("| over WebSocket | us | x raw echo | goal |\n|---|---|---|---|")
    print(f"| raw echo | {echo:.0f} | 1.0 | |\n| tools/call, 2025-11-25 | {call:.0f} | {call / echo:.2f} | 1.3 |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=16_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--redis", default="", metavar="URL")
    parser.add_argument("--echo", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.echo:
        serve_echo(given.echo)
        return
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {cores[0]})  # both servers inherit this core
    server, port = start_server({"REDIS_URL": given.redis} if given.redis else {})
    echo_port = free_port()
    echo = subprocess.Popen([sys.executable, __file__, "--echo", str(echo_port)])
    os.sched_setaffinity(0, {cores[-1]})
    try:
        asyncio.run(compare(port, server.pid, echo_port, echo.pid, given.count, given.rounds))
    finally:
        for process in (server, echo):
            process.terminate()
            process.wait(30)


if __name__ == "__main__":
    main()
