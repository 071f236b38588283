"""A browser, a server for it to open, and clients beside it."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
IMAGES = Path(__file__).parents[2] / "docs" / "images"
PATIENCE = 15.0

expect.set_options(timeout=PATIENCE * 1000)


# Playwright keeps an event loop running while it is open: no other module's tests may run beside it.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Debian's Chromium: Playwright's own browsers are not fetched."""
    program = shutil.which("chromium")
    if program is None:
        pytest.skip("chromium is not on PATH: install it (Debian: apt-get install chromium)")
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=program, args=list(FLAGS))
        yield launched
        launched.close()


class Opened:
    """A page that was opened, and what it did that it must not do."""

    def __init__(self, page: Page, server: Server) -> None:
        self.page = page
        self.wrong: list[str] = []
        self._expected: tuple[str, ...] = ()
        page.on("request", lambda request: self._requested(request.url, server.url))
        page.on("console", lambda message: self._logged(message.type, message.text))
        page.on("pageerror", lambda error: self.wrong.append(f"error: {error}"))
        page.on("dialog", lambda dialog: (self.wrong.append(f"dialog: {dialog.message}"), dialog.dismiss()))

    def expect_errors(self, *parts: str) -> None:
        """Errors in the console that have one of these parts belong to the test."""
        self._expected = parts

    def _requested(self, url: str, home: str) -> None:
        if not url.startswith((f"{home}/", "data:")):
            self.wrong.append(f"request: {url}")

    def _logged(self, kind: str, text: str) -> None:
        if kind in ("error", "warning") and not any(part in text for part in self._expected):
            self.wrong.append(f"{kind}: {text}")


class Server:
    """A running `slipway`, and a client of it."""

    def __init__(self, folder: Path, *words: str, **settings: str) -> None:
        self.folder = folder
        self.words = words
        self.settings = {"MCP_TRANSPORT": "http", "MCP_TOOLSETS": "platform,map", "MCP_DRAIN_SECONDS": "1", **settings}
        self.port = 0
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start, on the port of before if there is one."""
        ours = ("MCP_", "REDIS_", "MONGODB_", "PROMETHEUS_")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
        log = self.folder / f"slipway-{time.monotonic_ns()}.log"
        with log.open("wb") as out:
            environment = {**kept, **self.settings, "MCP_PORT": str(self.port)}
            command = [sys.executable, "-m", "app.cli", *self.words]
            self.process = subprocess.Popen(command, env=environment, stdout=out, stderr=out)
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline and self.process.poll() is None:
            for line in log.read_text().splitlines():
                if line.startswith("{") and (told := json.loads(line)).get("event") == "serving":
                    self.port = int(told["address"].rpartition(":")[2].partition("/")[0])
                    with socket.create_connection(("127.0.0.1", self.port), timeout=20):
                        return
            time.sleep(0.02)
        raise RuntimeError(f"slipway did not start: {log.read_text()[-2000:]}")

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait(timeout=20)
            self.process = None

    def call(self, tool: str, /, **arguments: Any) -> Any:
        """Call a tool as another client would."""
        token = self.settings.get("MCP_AUTH_TOKENS")
        headers = {"authorization": f"Bearer {token}"} if token else {}
        params = {"name": tool, "arguments": arguments}
        request = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
        answer = httpx.post(f"{self.url}/messages", json=request, headers=headers, timeout=PATIENCE).json()
        assert not answer["result"].get("isError"), answer
        return answer["result"]["structuredContent"]


@pytest.fixture
def make_server(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """Starts servers, with settings as in `MCP_WORKERS="2"`; words make it another command."""
    made: list[Server] = []

    def make(*words: str, **settings: str) -> Server:
        server = Server(tmp_path, *words, **settings)
        made.append(server)
        server.start()
        return server

    yield make
    for server in made:
        server.stop()


@pytest.fixture
def server(make_server: Callable[..., Server]) -> Server:
    """A server with the map."""
    return make_server()


@pytest.fixture
def redis_url(tmp_path: Path) -> Iterator[str]:
    """A Redis for replicas to share."""
    program = shutil.which("redis-server")
    if program is None:
        pytest.skip("redis-server is not on PATH: install it (Debian: apt-get install redis-server)")
    address = tmp_path / "redis.sock"
    options = ["--port", "0", "--unixsocket", str(address), "--save", "", "--dir", str(tmp_path)]
    process = subprocess.Popen([program, *options], stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 15
    while not address.exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    yield f"unix://{address}"
    process.kill()
    process.wait()


OpenPage = Callable[..., Opened]


@pytest.fixture
def open_page(browser: Browser, server: Server) -> Iterator[OpenPage]:
    """Opens pages of the server; at the end, what any of them did wrong fails the test."""
    opened: list[Opened] = []

    def make(path: str, *, of: Server | None = None, width: int = 1280, height: int = 800, **options: Any) -> Opened:
        home = of or server
        context = browser.new_context(viewport={"width": width, "height": height}, **options)
        one = Opened(context.new_page(), home)
        opened.append(one)
        one.page.goto(f"{home.url}{path}")
        return one

    yield make
    for one in opened:
        one.page.context.close()
    assert [wrong for one in opened for wrong in one.wrong] == []


@pytest.fixture
def shoot(request: pytest.FixtureRequest) -> Callable[[Page, str], None]:
    """Writes a screenshot into docs/images, where `--screenshots` asks for it."""

    def write(page: Page, name: str) -> None:
        if request.config.getoption("--screenshots"):
            IMAGES.mkdir(parents=True, exist_ok=True)
            page.screenshot(path=IMAGES / f"{name}.png")

    return write
