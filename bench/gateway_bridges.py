"""A bridge as a process: started, spoken to, weighed, and what it leaves behind. Used by `gateway_calls.py`."""

import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from weighing import free_port

HERE = Path(__file__).parent
SERVER_CORE, LOAD_CORE = 0, 1
REVISION = "2025-11-25"
HEADERS = {
    "Content-Type": "application/json",
    "Accept": "application/json, text/event-stream",
    "MCP-Protocol-Version": REVISION,
}


def child(*options: str) -> list[str]:
    """The command of the stdio server that all bridges are given, on the load's core."""
    return [sys.executable, str(HERE / "peers" / "stdio_echo.py"), "--core", str(LOAD_CORE), *options]


def is_upstream(process: psutil.Process) -> bool:
    """Whether it is the server itself, and no part of its bridge."""
    try:
        return any(word.endswith(("stdio_echo.py", "http_echo.py")) for word in process.cmdline()[1:2])
    except psutil.Error:
        return False


class Talk:
    """One connection to a bridge, without a client library."""

    def __init__(self, port: int, path: str = "/mcp", seconds: float = 60) -> None:
        self.path = path
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=seconds)

    def post(self, message: dict, session: str | None = None) -> tuple[str | None, dict | None]:
        headers = HEADERS | ({"Mcp-Session-Id": session} if session else {})
        self.connection.request("POST", self.path, json.dumps(message), headers)
        answer = self.connection.getresponse()
        body = answer.read()
        if answer.status >= 400:
            raise ConnectionError(f"status {answer.status}: {body[:300]!r}")
        if answer.status == 202:
            found = None
        elif answer.headers.get("content-type", "").startswith("text/event-stream"):
            lines = (line[5:] for line in body.splitlines() if line.startswith(b"data:"))
            messages = [json.loads(line) for line in lines if line.strip()]
            found = next((said for said in messages if said.get("id") == message.get("id")), None)
        else:
            found = json.loads(body) if body.strip() else None
        return answer.headers.get("mcp-session-id"), found

    def open(self) -> str | None:
        """A session, where the bridge has any."""
        client = {"protocolVersion": REVISION, "capabilities": {}, "clientInfo": {"name": "bench", "version": "1"}}
        session, _ = self.post({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": client})
        self.post({"jsonrpc": "2.0", "method": "notifications/initialized"}, session)
        return session

    def call(self, params: dict, session: str | None, number: int = 1) -> None:
        """Raises unless the tool answers as it should: a fast error is no result."""
        _, answer = self.post({"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": params}, session)
        if "hello" not in json.dumps((answer or {}).get("result", {})):
            raise ConnectionError(f"the call was answered with {answer}")

    def end(self, session: str | None) -> None:
        self.connection.request("DELETE", self.path, headers=HEADERS | {"Mcp-Session-Id": session or ""})
        self.connection.getresponse().read()

    def close(self) -> None:
        self.connection.close()


@dataclass
class Bridge:
    """One bridge, or a floor: how it is started, and what it is now."""

    name: str
    floor: str
    command: Callable[["Bridge"], list[str]]
    """Given the bridge itself: its port, its upstream, a folder for files."""
    upstream: list[str] = field(default_factory=list)
    """The words of a stdio server, or the port of an HTTP one."""
    path: str = "/mcp"
    tool: str = "echo"
    arguments: dict = field(default_factory=lambda: {"text": "hello"})
    goal: str = ""
    environment: dict[str, str] = field(default_factory=dict)
    prepare: Callable[["Bridge"], None] | None = None
    """What it wants before it serves, such as being told of its server."""
    sessions: bool = True
    slow: bool = False
    """So slow that few calls are enough to know."""
    pinned: bool = True
    look_every: float = 0.1
    port: int = field(default_factory=free_port)
    process: "subprocess.Popen[bytes] | None" = None
    listens: float = 0.0
    """Since when."""
    folder: Path = Path()

    @property
    def params(self) -> dict:
        """Of the call that it is loaded with."""
        return {"name": self.tool, "arguments": self.arguments}

    def start(self, seconds: float = 180) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="slipway-bench-"))
        with (self.folder / "log").open("wb") as log:
            self.process = subprocess.Popen(
                [*(["taskset", "-c", str(SERVER_CORE)] if self.pinned else []), *self.command(self)],
                env={**os.environ, **self.environment},
                cwd=self.folder,  # what a peer writes where it starts goes with the rest
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._wait(time.monotonic() + seconds)

    def _wait(self, end: float) -> None:
        reason: object = "it does not listen"
        while time.monotonic() < end:
            if self.process is not None and self.process.poll() is not None:
                reason = f"it ended with status {self.process.returncode}"
                break
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                self.listens = self.listens or time.monotonic()
                if self.prepare is not None:
                    prepare, self.prepare = self.prepare, None
                    prepare(self)
                talk = Talk(self.port, self.path)
                talk.call(self.params, talk.open() if self.sessions else None)
                talk.close()
            except (OSError, http.client.HTTPException, ValueError) as error:
                reason = error
                time.sleep(self.look_every)
            else:
                return
        raise ConnectionError(f"{self.name}: {reason}\n{(self.folder / 'log').read_text(errors='replace')[-1500:]}")

    def parts(self) -> list[psutil.Process]:
        """The processes of the bridge, without the servers behind it."""
        if self.process is None or self.process.poll() is not None:
            return []
        try:
            whole = psutil.Process(self.process.pid)
            return [part for part in (whole, *whole.children(recursive=True)) if not is_upstream(part)]
        except psutil.Error:
            return []

    def family(self) -> list[psutil.Process]:
        """All processes below it, the servers too."""
        return [] if self.process is None else psutil.Process(self.process.pid).children(recursive=True)

    def cpu(self) -> float:
        """Seconds of CPU that the bridge has used."""
        total = 0.0
        for part in self.parts():
            try:
                times = part.cpu_times()
            except psutil.Error:
                continue
            total += times.user + times.system
        return total

    def memory(self) -> int:
        """Bytes that the bridge has for itself, and its part of what it shares."""
        total = 0
        for part in self.parts():
            try:
                total += part.memory_full_info().pss
            except psutil.Error:
                continue
        return total

    def stop(self) -> None:
        """End it and all that it began."""
        if self.process is None:
            return
        family = self.family() if self.process.poll() is None else []
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(10)
        for left in family:
            try:
                left.kill()
            except psutil.Error:
                continue
        self.process = None
        shutil.rmtree(self.folder, ignore_errors=True)
