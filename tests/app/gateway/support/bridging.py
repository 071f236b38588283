"""`slipway bridge` and `slipway gateway` as processes of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
from hygiene import TIED

COUNTING = (sys.executable, "-I", "-S", str(Path(__file__).with_name("counting.py")))


class Running:
    """One bridge."""

    def __init__(self, process: subprocess.Popen[bytes], base: str, log: Path) -> None:
        self.process = process
        self.base = base
        self.log = log

    @property
    def url(self) -> str:
        return f"{self.base}/mcp"

    def children(self) -> list[psutil.Process]:
        """The server's own processes: neither the keeper nor the minders."""
        found = []
        for process in psutil.Process(self.process.pid).children(recursive=True):
            try:
                if "counting.py" in " ".join(process.cmdline()) and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
            except psutil.NoSuchProcess:
                continue
        return [process for process in found if "app.gateway" not in " ".join(process.cmdline())]

    def ready(self) -> tuple[int, dict]:
        try:
            with urllib.request.urlopen(f"{self.base}/ready", timeout=5) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.load(error)


def environment(**more: str) -> dict[str, str]:
    ours = ("MCP_", "REDIS_", "MONGODB_")
    return {**{k: v for k, v in os.environ.items() if not k.startswith(ours)}, **more}


@contextmanager
def bridge(folder: Path, *options: str, command: tuple[str, ...] = COUNTING, **settings: str) -> Iterator[Running]:
    """A bridge on a port of its own; afterwards nothing of it may be left."""
    log = folder / "bridge.log"
    words = [*TIED, sys.executable, "-m", "app.cli", "bridge", "--port", "0", *options, "--", *command]
    with log.open("wb") as out:
        process = subprocess.Popen(words, stdout=out, stderr=subprocess.STDOUT, env=environment(**settings))
    family: list[psutil.Process] = []
    try:
        base = address(process, log)
        yield Running(process, base, log)
        family = psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
    finally:
        if process.poll() is None:
            process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
        _, left = psutil.wait_procs(family, timeout=10)
        assert left == []


def address(process: subprocess.Popen[bytes], log: Path) -> str:
    end = time.monotonic() + 60
    while time.monotonic() < end:
        for line in log.read_text().splitlines():
            if line.startswith("{") and (said := json.loads(line)).get("event") == "serving":
                return said["address"].removesuffix("/mcp")
        assert process.poll() is None, log.read_text()
        time.sleep(0.02)
    raise AssertionError(log.read_text())
