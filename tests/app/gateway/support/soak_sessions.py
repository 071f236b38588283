"""The soak's sessions: opened on running bridges, used, dropped and ended, while the children behind are hurt."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil
from bridging import address, environment
from hygiene import TIED, descendants, until

MOODY = (sys.executable, "-I", "-S", str(Path(__file__).with_name("moody.py")))
AT_A_TIME = 12
ONE_IN = 40
"""Of so many sessions, one is with the bridge that begins a child for each."""
PATIENCE = 60.0
"""Seconds that anything may take."""
REQUEST_SECONDS = 3
SESSION_SECONDS = 5
"""After which a session that its client left is forgotten."""
HURT_EVERY = 6.0
"""Seconds, on average: a server that ends more often is called failed, and then there is nothing to try."""
SPARE = 8
"""Descriptors that may be open more than before: what is answered, or dropped, right now."""
HELLO = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "soak", "version": "1"}}
MOODS = ["echo"] * 6000 + ["flood", "mutter", "breed", "stall"] * 20 + ["die", "freeze"]


class Lost(Exception):
    """The bridge closed a connection; it must never."""


class Talk:
    """One connection to a bridge."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.session = ""

    async def post(self, message: dict) -> tuple[int, bytes]:
        return await self.ask("POST", json.dumps({"jsonrpc": "2.0", **message}).encode())

    async def ask(self, method: str, body: bytes = b"") -> tuple[int, bytes]:
        self.say(method, body)
        head = await self._head()
        status = int(head.split(b" ", 2)[1])
        fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:] if b": " in line)
        if b"mcp-session-id" in fields and not self.session:
            self.session = fields[b"mcp-session-id"].decode()
        if fields.get(b"transfer-encoding") != b"chunked":
            return status, await self.reader.readexactly(int(fields.get(b"content-length", b"0")))
        whole = b""
        while size := int(await self.reader.readline(), 16):
            whole += (await self.reader.readexactly(size + 2))[:-2]
        await self.reader.readline()
        return status, whole

    def say(self, method: str, body: bytes = b"") -> None:
        lines = [
            f"{method} /mcp HTTP/1.1",
            "host: 127.0.0.1",
            "content-type: application/json",
            "accept: text/event-stream" if method == "GET" else "accept: application/json, text/event-stream",
            "mcp-protocol-version: 2025-11-25",
            f"content-length: {len(body)}",
            *([f"mcp-session-id: {self.session}"] if self.session else []),
        ]
        self.writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + body)

    async def _head(self) -> bytes:
        try:
            return await self.reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError as error:
            raise Lost(f"the bridge closed the connection: {error.partial!r}") from None

    def drop(self) -> None:
        self.writer.transport.abort()


class BridgeUnderTest:
    """A bridge as a process of its own, and how it was before anybody used it."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.log = folder / f"bridge{len(options)}.log"
        words = [*TIED, sys.executable, "-m", "app.cli", "bridge", "--port", "0", *options, "--", *MOODY]
        settings = environment(
            MCP_REQUEST_TIMEOUT=str(REQUEST_SECONDS), MCP_SESSION_TTL=str(SESSION_SECONDS), TMPDIR=str(folder)
        )
        with self.log.open("wb") as out:
            self.process = subprocess.Popen(words, stdout=out, stderr=subprocess.STDOUT, env=settings)
        self.port = 0
        self.before: tuple[int, int] = (0, 0)

    async def open(self) -> None:
        base = await asyncio.to_thread(address, self.process, self.log)
        self.port = int(base.rsplit(":", 1)[1])
        done: Counter[str] = Counter()
        await one_session(self, random.Random(0), done, ["echo"])
        assert done["answered"], self.log.read_text()[-2000:]

    async def talk(self) -> Talk:
        return Talk(*await asyncio.open_connection("127.0.0.1", self.port))

    def size(self) -> tuple[int, int]:
        """Descriptors, and kibibytes."""
        process = psutil.Process(self.process.pid)
        return process.num_fds(), process.memory_info().rss >> 10

    def family(self) -> dict[int, str]:
        return descendants(self.process.pid)

    def daemons(self) -> list[int]:
        return [pid for pid, what in self.family().items() if "sleep 600" in what]

    def go_on(self) -> None:
        """What was stopped goes on: a minder that does not run reaps nothing."""
        for pid, what in self.family().items():
            if what.startswith("stopped"):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)

    def zombies(self) -> list[str]:
        return [f"{pid} {what}" for pid, what in self.family().items() if what.startswith("zombie")]

    async def settled(self, children: int) -> None:
        """Nothing is left of what was done, but the children that serve."""
        self.go_on()
        most = self.before[0] + SPARE
        await until(lambda: self.size()[0] <= most, PATIENCE)
        servers = lambda: [pid for pid, what in self.family().items() if "moody.py" in what]  # noqa: E731
        await until(lambda: len(servers()) <= children, PATIENCE)
        try:
            await until(lambda: not self.zombies(), 2 * PATIENCE)  # orphans of a killed keeper may take a minute
        except AssertionError:
            raise AssertionError(f"{self.zombies()} are left among {self.family()}") from None

    async def end(self) -> None:
        """SIGTERM must end it with everything that it began."""
        family = [psutil.Process(pid) for pid in self.family() if psutil.pid_exists(pid)]
        self.process.terminate()
        status = await asyncio.to_thread(self.process.wait, PATIENCE)
        assert status == 0, f"the bridge ended with status {status}: {self.log.read_text()[-2000:]}"
        _, left = await asyncio.to_thread(psutil.wait_procs, family, PATIENCE)
        assert not left, f"processes left of the bridge: {left}"
        self.log.unlink()


async def one_session(bridge: BridgeUnderTest, chance: random.Random, done: Counter[str], moods: list[str]) -> None:
    """Greet, call a few tools, and go in one of the ways that clients go."""
    talk = await bridge.talk()
    try:
        status, _ = await talk.post({"id": 0, "method": "initialize", "params": HELLO})
        assert status == 200, f"a session was refused with status {status}"
        await talk.post({"method": "notifications/initialized"})
        for number in range(1, chance.randint(1, 6)):
            params = {"name": chance.choice(moods), "arguments": {"text": "hello"}}
            call = {"id": number, "method": "tools/call", "params": params}
            if chance.random() < 0.01:
                talk.say("POST", json.dumps({"jsonrpc": "2.0", **call}).encode())
                done["dropped in a call"] += 1
                return
            status, answer = await talk.post(call)
            done["answered" if status == 200 and b'"text":"hello"' in answer.replace(b" ", b"") else "refused"] += 1
        way = chance.random()
        if way < 0.7:
            await talk.ask("DELETE")
            done["ended"] += 1
        elif way < 0.85:
            talk.say("GET")
            done["dropped with a stream"] += 1
        else:
            done["dropped"] += 1
    finally:
        talk.drop()


def is_keeper(pid: int) -> bool:
    with suppress(psutil.Error):
        return any("_keeper import main" in word for word in psutil.Process(pid).cmdline())
    return False


async def hurt(bridge: BridgeUnderTest, chance: random.Random, done: Counter[str]) -> None:
    """Kill or stop what is behind the bridge, its keeper and minders too; what is stopped goes on after a while."""
    while True:
        await asyncio.sleep(HURT_EVERY * chance.random() * 2)
        victims = bridge.family()
        bridge.go_on()
        if not victims:
            continue
        victim = chance.choice(sorted(victims))
        # When all of this is killed, nobody is left to wake a keeper that is stopped.
        stop = chance.random() < 0.3 and not is_keeper(victim)
        done["sessions' stalls" if stop else "sessions' kills"] += 1
        with suppress(ProcessLookupError):
            os.kill(victim, signal.SIGSTOP if stop else signal.SIGKILL)


async def run(
    go_on: Callable[[], bool], chance: random.Random, done: Counter[str], folder: Path, spare: set[int]
) -> None:
    """Sessions for as long as more are wanted. The bridges' processes are in `spare` meanwhile."""
    shared = BridgeUnderTest(folder, "--children", "3")
    each = BridgeUnderTest(folder, "--mode", "per-session", "--children", "30", "--idle", "2")
    spare |= {shared.process.pid, each.process.pid}
    try:
        for bridge in (shared, each):
            await bridge.open()
        await asyncio.sleep(0)
        for bridge in (shared, each):
            bridge.before = bridge.size()

        async def work() -> None:
            while go_on():
                bridge = each if chance.random() < 1 / ONE_IN else shared
                async with asyncio.timeout(PATIENCE):
                    await one_session(bridge, chance, done, MOODS)

        hurting = [asyncio.create_task(hurt(bridge, chance, done)) for bridge in (shared, each)]
        async with asyncio.TaskGroup() as group:
            for _ in range(AT_A_TIME):
                group.create_task(work())
        for task in hurting:
            task.cancel()
        await asyncio.gather(*hurting, return_exceptions=True)
        await shared.settled(3)
        await each.settled(1)
        for name, bridge in (("shared", shared), ("per session", each)):
            done[f"bridge {name}: KiB grown"] = bridge.size()[1] - bridge.before[1]
        for bridge in (shared, each):
            await bridge.end()
    finally:
        for bridge in (shared, each):
            if bridge.process.poll() is None:
                bridge.process.kill()
                bridge.process.wait()
