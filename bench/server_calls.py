"""What a call costs the server: `python bench/server_calls.py`.

Each subject is a server process pinned to one core; the load runs on another. A round loads every subject in turn, so
that all see the same machine; what is read is the CPU time of the server a request, and its ratio to the floor of
the same kind in the same round. The table gives medians over rounds.
"""

import argparse
import asyncio
import json
import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).parent
SERVER_CORE, LOAD_CORE = 0, 1
CONNECTIONS = 16
TOKEN = "bench-token-0123456789abcdef"  # a test credential
NEW, OLD = "2026-07-28", "2025-11-25"
META = {
    "io.modelcontextprotocol/protocolVersion": NEW,
    "io.modelcontextprotocol/clientInfo": {"name": "bench", "version": "1"},
    "io.modelcontextprotocol/clientCapabilities": {},
}
LUA = """
wrk.method = "POST"
wrk.body = [[{body}]]
{headers}
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@dataclass
class Subject:
    """One server, and the one request that it is loaded with."""

    name: str
    floor: str
    command: Callable[[int], list[str]]
    era: str | None = None
    method: str = "tools/call"
    environment: dict[str, str] = field(default_factory=dict)
    websocket: bool = False
    goal: float | None = None
    port: int = field(default_factory=free_port)
    process: "subprocess.Popen[bytes] | None" = None
    session: str = ""

    def start(self) -> None:
        environment = {**os.environ, "MCP_TRANSPORT": "http", "MCP_PORT": str(self.port), **self.environment}
        self.process = subprocess.Popen(
            ["taskset", "-c", str(SERVER_CORE), *self.command(self.port)],
            env=environment,
            cwd=HERE.parent,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        end = time.monotonic() + 40
        while time.monotonic() < end:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                break
            except OSError:
                time.sleep(0.1)
        if self.era == OLD and not self.websocket:
            self._initialize()

    def stop(self) -> None:
        if self.process is not None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()

    def cpu(self) -> float:
        """Seconds of CPU that the server has used."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def body(self) -> dict:
        params: dict = {} if self.method == "tools/list" else {"name": "echo", "arguments": {"text": "hello"}}
        if self.era == NEW:
            params["_meta"] = META
        return {"jsonrpc": "2.0", "id": 1, "method": self.method, "params": params}

    def headers(self) -> dict[str, str]:
        found = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
        if self.era:
            found["MCP-Protocol-Version"] = self.era
        if self.era == NEW:
            found["Mcp-Method"] = self.method
            if self.method == "tools/call":
                found["Mcp-Name"] = "echo"
        if self.session:
            found["Mcp-Session-Id"] = self.session
        if "MCP_AUTH_TOKENS" in self.environment:
            found["Authorization"] = f"Bearer {TOKEN}"
        return found

    def _post(self, message: dict) -> "tuple[dict[str, str], bytes]":
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/mcp", data=json.dumps(message).encode(), headers=self.headers()
        )
        with urllib.request.urlopen(request, timeout=20) as answer:
            return {key.lower(): value for key, value in answer.headers.items()}, answer.read()

    def _initialize(self) -> None:
        client = {"protocolVersion": OLD, "capabilities": {}, "clientInfo": {"name": "bench", "version": "1"}}
        headers, _ = self._post({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": client})
        self.session = headers.get("mcp-session-id", "")
        self._post({"jsonrpc": "2.0", "method": "notifications/initialized"})

    def check(self) -> None:
        """The answer is the one that is meant: a fast error is not a result."""
        _, answer = self._post(self.body())
        expected = b'"inputSchema"' if self.method == "tools/list" else b'"hello"'
        assert expected in answer, f"{self.name} answers {answer[:300]!r}"

    def measure(self, seconds: int) -> float:
        """Microseconds of the server's CPU a request."""
        before = self.cpu()
        count = asyncio.run(self._load_websocket(seconds)) if self.websocket else self._load_http(seconds)
        return 1e6 * (self.cpu() - before) / max(1, count)

    def _load_http(self, seconds: int) -> int:
        headers = "\n".join(f'wrk.headers["{name}"] = "{value}"' for name, value in self.headers().items())
        with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
            script.write(LUA.format(body=json.dumps(self.body()), headers=headers))
            script.flush()
            done = subprocess.run(
                [
                    "taskset",
                    "-c",
                    str(LOAD_CORE),
                    "wrk",
                    "-t1",
                    f"-c{CONNECTIONS}",
                    f"-d{seconds}s",
                    "-s",
                    script.name,
                    f"http://127.0.0.1:{self.port}/mcp",
                ],
                capture_output=True,
                text=True,
                check=True,
                timeout=seconds + 30,
            )
        assert "Non-2xx" not in done.stdout, f"{self.name}: {done.stdout}"
        return int(next(line.split()[0] for line in done.stdout.splitlines() if "requests in" in line))

    async def _load_websocket(self, seconds: float) -> int:
        """From this process, on the load's core: only the server's CPU is counted."""
        from websockets.asyncio.client import connect

        os.sched_setaffinity(0, {LOAD_CORE})
        message = json.dumps(self.body())
        end = time.monotonic() + seconds
        count = 0

        async def caller() -> None:
            nonlocal count
            url = f"ws://127.0.0.1:{self.port}/mcp"
            async with connect(url, subprotocols=["mcp"], compression=None, ping_interval=None) as socket_:
                while time.monotonic() < end:
                    await socket_.send(message)
                    answer = await socket_.recv()
                    assert "hello" in answer, answer
                    count += 1

        await asyncio.gather(*(caller() for _ in range(CONNECTIONS)))
        return count


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
        pages = int(Path(f"/proc/{subject.process.pid}/statm").read_text().split()[1])
        sizes.append(pages * os.sysconf("SC_PAGE_SIZE") / 2**20)
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
