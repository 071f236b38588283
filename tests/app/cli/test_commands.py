"""The commands, against real servers; those that live on after they are called, as processes of their own."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from app.cli._commands import app

ROOT = Path(__file__).parents[3]
SLIPWAY = [sys.executable, "-m", "app.cli"]


def clean() -> dict[str, str]:
    ours = ("MCP_", "REDIS_", "MONGODB_")
    return {name: value for name, value in os.environ.items() if not name.startswith(ours)} | {"COLUMNS": "200"}


def slipway(*words: str, status: int = 0, **settings: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [*SLIPWAY, *words], env={**clean(), **settings}, capture_output=True, text=True, timeout=60, cwd=ROOT
    )
    assert done.returncode == status, (done.stdout, done.stderr)
    assert "Traceback" not in done.stderr
    return done


def command(*words: str, status: int = 0) -> Result:
    """The same in this process, for the commands that come to an end: starting Python costs most of a call."""
    done = CliRunner().invoke(app, list(words), env={"COLUMNS": "200"})
    assert done.exit_code == status, (done.stdout, done.stderr)
    return done


def test_call_speaks_every_transport_and_era(start_slipway: Any) -> None:
    server = start_slipway()
    http, websocket = f"{server.url}/mcp", f"{server.url}/mcp".replace("http", "ws", 1)
    program = f"{sys.executable} -m app.cli"
    for target, era, agreed in (
        (http, "auto", "http · 2026-07-28"),
        (http, "old", "http · 2025-11-25"),
        (http, "2025-03-26", "http · 2025-03-26"),
        (websocket, "new", "websocket · 2026-07-28"),
        (websocket, "old", "websocket · 2025-11-25"),
        (f"{server.url}/sse", "auto", "sse · 2024-11-05"),
        (f"{server.url}/messages", "auto", "bare · no revision"),
        (program, "auto", "stdio · 2026-07-28"),
        (program, "2024-11-05", "stdio · 2024-11-05"),
    ):
        done = command("call", "-v", "--era", era, target, "echo", "text=hello there")
        assert done.stdout == "hello there\n", target
        assert agreed in done.stderr


def test_call_lists_tools_with_their_arguments(start_slipway: Any) -> None:
    server = start_slipway()
    listed = command("call", f"{server.url}/mcp").stdout.splitlines()
    assert [line.split()[:2] for line in listed if line.startswith(("echo", "wait"))] == [
        ["echo", "text"],
        ["wait", "seconds"],
    ]
    as_json = json.loads(command("call", "--list", "--json", f"{server.url}/mcp").stdout)
    assert {tool["name"] for tool in as_json} == {"echo", "wait", "server_info"}


def test_call_mirrors_the_arguments_that_a_tool_wants_in_headers(start_slipway: Any) -> None:
    url = f"{start_slipway(MCP_TOOLSETS='conformance').url}/mcp"
    done = command("call", url, "test_header_parameter", "region=Zürich")
    assert "Zürich" in done.stdout


def test_call_shows_progress_apart_from_the_result(start_slipway: Any) -> None:
    done = command("call", "--json", f"{start_slipway().url}/mcp", "wait", "seconds=0.1")
    assert json.loads(done.stdout)["structuredContent"]["seconds"] >= 0.1
    assert "… 0/0.1" in done.stderr


def test_call_says_by_its_exit_status_what_went_wrong(start_slipway: Any) -> None:
    url = f"{start_slipway().url}/mcp"
    assert "seconds" in command("call", url, "wait", "seconds=1000", status=1).output
    assert "no_such_tool" in command("call", url, "no_such_tool", status=1).stderr
    assert "write key=value" in command("call", url, "echo", "hello", status=2).stderr
    assert "give auto, new, old" in command("call", "--era", "stone", url, "echo", status=3).stderr
    assert "--transport=pigeon" in command("call", "--transport", "pigeon", url, "echo", status=2).stderr
    with socket.create_server(("127.0.0.1", 0)) as taken:
        nobody = taken.getsockname()[1]
    for target in (f"http://127.0.0.1:{nobody}/mcp", f"ws://127.0.0.1:{nobody}/mcp", f"http://127.0.0.1:{nobody}/sse"):
        assert str(nobody) in command("call", target, "echo", status=3).stderr
    assert "is it installed" in command("call", "/no/such/program", "echo", status=3).stderr
    assert "ended before it answered" in command("call", f"{sys.executable} -c pass", "echo", status=3).stderr


def test_call_sends_a_token_on_every_transport(start_slipway: Any, tmp_path: Path) -> None:
    token = "a-token-of-many-characters"
    server = start_slipway(MCP_AUTH_TOKENS=f"{token}:alice")
    file = tmp_path / "token"
    file.write_text(token + "\n")
    statuses = {
        f"{server.url}/mcp": 1,
        f"{server.url}/messages": 1,
        f"{server.url}/sse": 3,
        f"ws{server.url[4:]}/mcp": 3,
    }
    for target, status in statuses.items():
        assert command("call", "--token-file", str(file), target, "echo", "text=x").stdout == "x\n"
        refused = command("call", target, "echo", "text=x", status=status)
        assert "token" in refused.stderr or "401" in refused.stderr


def test_call_leaves_no_child_behind(tmp_path: Path) -> None:
    """A server that ignores the end of its input is ended all the same."""
    script = tmp_path / "stubborn.py"
    pid = tmp_path / "pid"
    script.write_text(
        "import json, os, pathlib, sys, threading\n"
        f"pathlib.Path({str(pid)!r}).write_text(str(os.getpid()))\n"
        "for line in sys.stdin:\n"
        "    message = json.loads(line)\n"
        "    result = {'content': [{'type': 'text', 'text': 'ok'}], 'resultType': 'complete'}\n"
        "    if 'id' in message:\n"
        "        print(json.dumps({'jsonrpc': '2.0', 'id': message['id'], 'result': result}), flush=True)\n"
        "threading.Event().wait()\n"
    )
    assert command("call", f"{sys.executable} {script}", "anything").stdout == "ok\n"
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid.read_text()), 0)


def test_load_tests_http_bare_and_websocket_in_both_eras(start_slipway: Any) -> None:
    server = start_slipway()
    for url, era in (
        (f"{server.url}/mcp", "new"),
        (f"{server.url}/mcp", "old"),
        (f"{server.url}/messages", "new"),
        (f"ws{server.url[4:]}/mcp", "new"),
        (f"ws{server.url[4:]}/mcp", "old"),
    ):
        done = command("load", url, "--era", era, "-c", "5", "-d", "0.4", "--json")
        figures = json.loads(done.stdout)
        assert figures["errors"] == {}
        assert figures["connections"] == {"asked": 5, "open": 5}
        assert figures["answers"] > 5
        assert 0 < figures["milliseconds"]["p50"] <= figures["milliseconds"]["p99"] <= figures["milliseconds"]["max"]


def test_load_keeps_to_the_rate(start_slipway: Any) -> None:
    done = command("load", f"{start_slipway().url}/mcp", "-c", "4", "-r", "40", "-d", "1", "--json")
    assert 30 <= json.loads(done.stdout)["answers"] <= 41


def test_load_counts_what_went_wrong_and_exits_1(start_slipway: Any) -> None:
    url = f"{start_slipway().url}/mcp"
    failing = command("load", url, "no_such_tool", "-c", "2", "-d", "0.3", status=1)
    assert "× error -32602" in failing.stdout
    with socket.create_server(("127.0.0.1", 0)) as taken:
        nobody = taken.getsockname()[1]
    refused = command("load", f"http://127.0.0.1:{nobody}/mcp", "-c", "2", "-d", "0.3", "--json", status=1)
    assert json.loads(refused.stdout)["errors"] == {"connect: Connection refused": 2}
    assert "cannot be load-tested" in command("load", "ftp://x/", status=2).stderr


def test_run_says_what_to_do_and_ctrl_c_leaves_nothing(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        process = subprocess.Popen(
            [*SLIPWAY, "run", "--port", str(port)],
            env=clean(),
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        assert process.stdout is not None
        lines: list[str] = []
        while not lines or "Ctrl-C" not in lines[-1]:
            lines.append(process.stdout.readline())
            assert lines[-1], lines
    try:
        text = "".join(lines)
        assert f"port {port} is taken: another one is used" in text
        words = next(line for line in lines if line.startswith("  try")).split()[1:]
        url = words[words.index("call") + 1]
        assert f"page     {url.removesuffix('/mcp')}/" in text
        assert slipway(*words[words.index("call") :]).stdout == "hello\n"
        began = time.monotonic()
        os.killpg(process.pid, signal.SIGINT)  # what a terminal does at Ctrl-C
        assert process.wait(timeout=10) == 0
        assert time.monotonic() - began < 5
    finally:
        process.kill()
        process.communicate()


def test_wrong_settings_are_all_told_and_exit_2() -> None:
    done = slipway(status=2, MCP_PORT="x", MCP_TRANSPORT="pigeon")
    assert done.stderr.splitlines()[0] == "slipway cannot start, for 2 reasons:"
    assert "  MCP_PORT='x' is wrong" in done.stderr
    assert "give 0 (any free port) to 65535".capitalize() in done.stderr
    assert "MCP_PORT='y' is wrong" in slipway("serve", "--port", "y", status=2).stderr


def test_what_cannot_be_built_is_told_and_exits_2() -> None:
    unknown = slipway(status=2, MCP_TOOLSETS="platform,nonsense")
    assert "MCP_TOOLSETS='platform,nonsense' is wrong" in unknown.stderr
    twice = slipway(
        "serve",
        "--transport",
        "http",
        "--port",
        "0",
        status=2,
        MCP_AUTH_TOKENS="secret-secret-secret,secret-secret-secret",
    )
    assert "MCP_AUTH_TOKENS=(hidden) is wrong: token 2" in twice.stderr
    assert "secret-secret" not in twice.stderr


def test_version_names_the_protocol_revisions() -> None:
    assert "2026-07-28" in slipway("version").stdout


def test_help_lists_every_command() -> None:
    text = slipway("--help").stdout
    for command in ("serve", "run", "call", "load", "review", "version"):
        assert command in text


def test_serving_stdio_imports_nothing_that_only_other_ways_need() -> None:
    code = (
        "import sys; sys.argv = ['slipway']; from app.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "heavy = 'fastapi uvicorn starlette httpx rich typer redis mcp pulumi websockets'.split()\n"
        "print(*(m for m in heavy if m in sys.modules), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=clean(), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30
    )
    assert done.stderr.split() == []


def test_starting_over_http_is_cheap_enough(start_slipway: Any) -> None:
    """The web framework is not loaded until a page is asked for."""
    import psutil

    process = psutil.Process(start_slipway().process.pid)
    assert process.memory_info().rss < 60 * 1024 * 1024
