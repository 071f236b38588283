"""A server as a process on one core: started, loaded with one request from another, and weighed."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from weighing import cpu, free_port

SERVER_CORE, LOAD_CORE = 0, 1
CONNECTIONS = 16
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
            cwd=Path(__file__).parents[1],
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
        return cpu(self.process.pid)

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
        if token := self.environment.get("MCP_AUTH_TOKENS"):
            found["Authorization"] = f"Bearer {token}"
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
