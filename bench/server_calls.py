"""What a call costs the server: `python bench/server_calls.py`.

Each subject is a server process pinned to one core; the load runs on another. A round loads every subject in turn, so
that all see the same machine; what is read is the CPU time of the server a request, and its ratio to the floor of
the same kind in the same round. The table gives medians over rounds.
"""

import argparse
import shutil
import statistics
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from server_subject import LOAD_CORE, NEW, OLD, Subject
from weighing import free_port, memory

HERE = Path(__file__).parent
TOKEN = "bench-token-0123456789abcdef"  # a test credential


def uvicorn_raw(port: int) -> list[str]:
    options = ["--port", str(port), "--http", "httptools", "--loop", "uvloop", "--ws", "websockets-sansio"]
    quiet = ["--ws-per-message-deflate", "false", "--no-access-log", "--log-level", "warning"]
    return [sys.executable, "-m", "uvicorn", "--app-dir", str(HERE / "peers"), "raw:app", *options, *quiet]


def ours(_: int) -> list[str]:
    return [sys.executable, "-m", "app.cli", "serve"]


def many(_: int) -> list[str]:
    return [sys.executable, str(HERE / "peers" / "many.py")]


def peer(python: Path, script: str) -> Callable[[int], list[str]]:
    return lambda port: [str(python), str(HERE / "peers" / script), str(port)]


def peers_python() -> Path:
    """An environment of the peers' own, made once: FastMCP is no dependency of ours."""
    folder = Path.home() / ".cache" / "slipway-tests" / "bench-peers"
    python = folder / "bin" / "python"
    if not (folder / ".done").exists():
        uv = shutil.which("uv") or str(Path(sys.executable).parent / "uv")
        subprocess.run([uv, "venv", "-q", "--clear", "--python", sys.executable, str(folder)], check=True)
        packages = ["mcp==2.3.0", "fastmcp>=4.1,<4.2", "uvicorn", "httptools", "uvloop"]
        subprocess.run([uv, "pip", "install", "-q", "--python", str(python), *packages], check=True)
        (folder / ".done").touch()
    return python


def subjects(redis_port: int | None, *, peers: bool) -> list[Subject]:
    quiet = {"MCP_TOOLSETS": "platform", "MCP_LOG_LEVEL": "info"}
    redis = {**quiet, "REDIS_URL": f"redis://127.0.0.1:{redis_port}/0"}
    found = [
        Subject("raw ASGI handler", "raw ASGI handler", uvicorn_raw),
        Subject("Slipway, 2026-07-28", "raw ASGI handler", ours, NEW, environment=quiet, goal=1.6),
        Subject("Slipway, 2025-11-25 with a session", "raw ASGI handler", ours, OLD, environment=quiet, goal=1.6),
        Subject(
            "Slipway, 2026-07-28 with a bearer token", "raw ASGI handler", ours, NEW,
            environment={**quiet, "MCP_AUTH_TOKENS": TOKEN}, goal=2.0,
        ),
        Subject("raw WebSocket echo", "raw WebSocket echo", uvicorn_raw, websocket=True),
        Subject(
            "Slipway, WebSocket call", "raw WebSocket echo", ours, NEW, environment=quiet, websocket=True, goal=1.3
        ),
        Subject("tools/list with 1 tool", "tools/list with 1 tool", many, NEW, "tools/list",
                {"MCP_TOOLSETS": "bench", "BENCH_TOOLS": "1"}),
        Subject("tools/list with 1,000 tools", "tools/list with 1 tool", many, NEW, "tools/list",
                {"MCP_TOOLSETS": "bench", "BENCH_TOOLS": "1000"}),
        Subject("tools/call among 1,000 tools", "raw ASGI handler", many, NEW,
                environment={"MCP_TOOLSETS": "bench", "BENCH_TOOLS": "1000"}),
    ]  # fmt: skip
    if redis_port is not None:
        name = "Slipway, 2025-11-25 with sessions in Redis"
        found.append(Subject(name, "raw ASGI handler", ours, OLD, environment=redis, goal=1.9))
    if peers:
        python = peers_python()
        for name, script in (("the mcp package 2.3", "reference.py"), ("FastMCP 4.1", "fast.py")):
            found.append(Subject(f"{name}, 2026-07-28", "raw ASGI handler", peer(python, script), NEW))
            found.append(Subject(f"{name}, 2025-11-25 with a session", "raw ASGI handler", peer(python, script), OLD))
    return found


def start_up(runs: int = 5) -> tuple[float, float]:
    """CPU seconds and MiB from nothing to listening."""
    seconds: list[float] = []
    sizes: list[float] = []
    for _ in range(runs):
        subject = Subject("start", "", ours, NEW, environment={"MCP_TOOLSETS": "platform"})
        subject.start()
        seconds.append(subject.cpu())
        sizes.append(memory(subject.process.pid) / 2**20)
        subject.stop()
    return statistics.median(seconds), statistics.median(sizes)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=3)
    parser.add_argument("--no-peers", action="store_true")
    parser.add_argument("--only", help="subjects whose name has this text, and their floors")
    arguments = parser.parse_args()
    for program in ("wrk", "taskset"):
        if shutil.which(program) is None:
            sys.exit(f"{program} is not installed: on Debian, apt-get install wrk util-linux")
    redis = shutil.which("redis-server")
    redis_port = free_port() if redis else None
    server = None
    if redis:
        command = [
            "taskset",
            "-c",
            str(LOAD_CORE),
            redis,
            "--port",
            str(redis_port),
            "--save",
            "",
            "--bind",
            "127.0.0.1",
        ]
        server = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    chosen = subjects(redis_port, peers=not arguments.no_peers)
    if arguments.only:
        floors = {subject.floor for subject in chosen if arguments.only in subject.name}
        chosen = [subject for subject in chosen if arguments.only in subject.name or subject.name in floors]
    try:
        report(chosen, arguments.rounds, arguments.seconds)
    finally:
        for subject in chosen:
            subject.stop()
        if server is not None:
            server.terminate()
    cpu, memory = start_up()
    print(f"\nimport to listening: {cpu:.2f} s CPU (goal 0.6), {memory:.0f} MiB (goal 60)")


def report(chosen: list[Subject], rounds: int, seconds: int) -> None:
    readings: dict[str, list[float]] = {subject.name: [] for subject in chosen}
    for subject in chosen:
        subject.start()
        if not subject.websocket:
            subject.check()
        subject.measure(1)
    for number in range(rounds):
        print(f"round {number + 1} of {rounds}", file=sys.stderr, flush=True)
        for subject in chosen:
            readings[subject.name].append(subject.measure(seconds))
    print("| | µs of CPU a request | × its floor | goal |\n|---|---|---|---|")
    for subject in chosen:
        floor = readings[subject.floor]
        ratios = [mine / base for mine, base in zip(readings[subject.name], floor, strict=True)]
        goal = "" if subject.goal is None else f"≤ {subject.goal}"
        print(
            f"| {subject.name} | {statistics.median(readings[subject.name]):.0f} "
            f"| {statistics.median(ratios):.2f} | {goal} |"
        )


if __name__ == "__main__":
    main()
