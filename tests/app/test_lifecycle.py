"""From ready to gone, with real processes and real signals."""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect
from websockets.typing import Subprotocol

from app.lifecycle import Lifecycle, Readiness

ACCEPT = {"accept": "application/json, text/event-stream"}


def rpc(method: str, params: dict[str, Any] | None = None, number: int = 1) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": number, "method": method, "params": params or {}}


def wait_for(slipway: Any, seconds: float, number: int = 1) -> httpx.Response:
    """A call that runs for so long, over bare JSON-RPC."""
    arguments = {"name": "wait", "arguments": {"seconds": seconds}}
    return httpx.post(f"{slipway.url}/messages", json=rpc("tools/call", arguments, number), timeout=30)


def until(condition: Callable[[], bool], seconds: float = 15) -> None:
    """Poll: what is awaited happens in another process."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        threading.Event().wait(0.02)


def running_calls(slipway: Any) -> float:
    text = httpx.get(f"{slipway.url}/metrics").text
    return float(next(line for line in text.splitlines() if line.startswith("slipway_calls_running ")).split()[1])


def begun(slipway: Any, pool: ThreadPoolExecutor, *seconds: float) -> list[Future[httpx.Response]]:
    """Calls that certainly run when this returns."""
    futures = [pool.submit(wait_for, slipway, each, number) for number, each in enumerate(seconds, start=1)]
    until(lambda: running_calls(slipway) == len(seconds))
    return futures


def test_sigterm_turns_unready_finishes_what_runs_and_exits_0(start_slipway: Any) -> None:
    slipway = start_slipway()
    with ThreadPoolExecutor() as pool:
        calls = begun(slipway, pool, 1.5, 1.5, 1.5)
        slipway.terminate()
        until(lambda: httpx.get(f"{slipway.url}/ready").status_code == 503)
        assert httpx.get(f"{slipway.url}/ready").json()["status"] == "draining"
        assert httpx.get(f"{slipway.url}/livez").status_code == 200
        late = httpx.post(f"{slipway.url}/messages", json=rpc("ping"))
        assert (late.status_code, late.headers["connection"]) == (200, "close")
        for number, call in enumerate(calls, start=1):
            assert call.result().json()["id"] == number
            assert call.result().json()["result"]["structuredContent"]["seconds"] >= 1.5
    assert slipway.wait() == 0


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_server_told_to_leave_is_unready_and_serves_on(start_slipway: Any, shared_redis: Any, workers: str) -> None:
    slipway = start_slipway(MCP_WORKERS=workers, REDIS_URL=shared_redis.url)
    until(lambda: httpx.get(f"{slipway.url}/ready").status_code == 200)
    slipway.process.send_signal(signal.SIGUSR1)
    until(lambda: all(httpx.get(f"{slipway.url}/ready").status_code == 503 for _ in range(8)))
    late = httpx.post(f"{slipway.url}/messages", json=rpc("ping"))
    assert (late.status_code, late.headers.get("connection")) == (200, None)
    slipway.terminate()
    assert slipway.wait() == 0


def test_an_idle_server_ends_at_once_though_connections_are_open(start_slipway: Any) -> None:
    slipway = start_slipway()
    with httpx.Client() as client:
        assert client.get(f"{slipway.url}/health").json() == {
            "status": "healthy",
            "service": "slipway",
            "version": "0.1.0",
        }
        began = time.monotonic()
        slipway.terminate()
        assert slipway.wait() == 0
        assert time.monotonic() - began < 5


def half_read_answer(slipway: Any) -> socket.socket:
    """A connection whose answer is larger than what the kernel takes of it unread."""
    text = {"name": "echo", "arguments": {"text": "x" * 100_000}}
    body = json.dumps(rpc("tools/call", text)).encode()
    reader = socket.socket()
    # Small segments and a small window: with large ones, the kernel would take megabytes.
    reader.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 536)
    reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    reader.settimeout(20)
    reader.connect(("127.0.0.1", slipway.port))
    head = (
        f"POST /messages HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
    )
    reader.sendall(head.encode() + b"\r\n\r\n" + body)
    assert reader.recv(17, socket.MSG_PEEK | socket.MSG_WAITALL) == b"HTTP/1.1 200 OK\r\n"
    until(lambda: running_calls(slipway) == 0)
    return reader


def test_an_answer_that_is_read_slowly_arrives_whole_from_a_server_that_ends(start_slipway: Any) -> None:
    slipway = start_slipway()
    with half_read_answer(slipway) as reader:
        slipway.terminate()
        with pytest.raises(subprocess.TimeoutExpired):
            slipway.wait(timeout=1)
        response = http.client.HTTPResponse(reader, method="POST")
        response.begin()
        assert json.loads(response.read())["id"] == 1
    assert slipway.wait() == 0


def test_an_answer_that_nobody_reads_holds_up_the_end_for_the_budget_alone(start_slipway: Any) -> None:
    slipway = start_slipway(MCP_DRAIN_SECONDS="1")
    with half_read_answer(slipway):
        slipway.terminate()
        assert slipway.wait() == 0
    assert any(line["event"] == "the drain budget is over" for line in slipway.lines)


def test_calls_that_outlast_the_budget_are_told_to_come_again(start_slipway: Any) -> None:
    slipway = start_slipway(MCP_DRAIN_SECONDS="1")
    with ThreadPoolExecutor() as pool:
        (call,) = begun(slipway, pool, 60)
        slipway.terminate()
        answer = call.result()
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert "send the request again" in answer.json()["error"]["message"]
    assert slipway.wait() == 0
    assert any(line["event"] == "the drain budget is over" for line in slipway.lines)


def test_a_second_sigterm_ends_at_once(start_slipway: Any) -> None:
    slipway = start_slipway()
    with ThreadPoolExecutor() as pool:
        (call,) = begun(slipway, pool, 60)
        slipway.terminate()
        until(lambda: httpx.get(f"{slipway.url}/ready").status_code == 503)
        began = time.monotonic()
        slipway.terminate()
        assert slipway.wait() == 1
        assert time.monotonic() - began < 5
        assert isinstance(call.exception(), httpx.HTTPError)


def test_streams_are_ended_so_that_their_clients_reconnect(start_slipway: Any) -> None:
    slipway = start_slipway()
    initialize = rpc(
        "initialize",
        {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}},
    )
    opened = httpx.post(f"{slipway.url}/mcp", json=initialize, headers=ACCEPT)
    session = {"mcp-session-id": opened.headers["mcp-session-id"], "mcp-protocol-version": "2025-11-25"}
    ready = {"jsonrpc": "2.0", "method": "notifications/initialized"}
    httpx.post(f"{slipway.url}/mcp", json=ready, headers={**ACCEPT, **session})
    listening = {**ACCEPT, **session}
    with (
        httpx.stream("GET", f"{slipway.url}/mcp", headers=listening, timeout=20) as stream,
        httpx.stream("GET", f"{slipway.url}/sse", headers=ACCEPT, timeout=20) as sse,
    ):
        assert stream.status_code == sse.status_code == 200
        slipway.terminate()
        stream.read()  # both end: nothing is left hanging
        sse.read()
    assert slipway.wait() == 0


def test_websockets_get_their_answers_and_are_told_to_come_back(start_slipway: Any) -> None:
    slipway = start_slipway()
    address = f"ws://127.0.0.1:{slipway.port}/mcp"
    meta = {"io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientCapabilities": {}}
    call = rpc("tools/call", {"name": "wait", "arguments": {"seconds": 1.2}, "_meta": meta})
    with (
        connect(address, subprotocols=[Subprotocol("mcp")]) as idle,
        connect(address, subprotocols=[Subprotocol("mcp")]) as busy,
    ):
        busy.send(json.dumps(call))
        until(lambda: running_calls(slipway) == 1)
        slipway.terminate()
        assert json.loads(busy.recv(timeout=10))["result"]["structuredContent"]["seconds"] >= 1.2
        for each in (busy, idle):
            with pytest.raises(ConnectionClosed) as closed:
                each.recv(timeout=10)
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 1012
    assert slipway.wait() == 0
    assert not [line for line in slipway.lines if "WebSocket" in str(line["event"])]


def test_several_workers_share_sessions_and_add_up_their_metrics(start_slipway: Any, shared_redis: Any) -> None:
    slipway = start_slipway(MCP_WORKERS="3", REDIS_URL=shared_redis.url)
    params = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}
    opened = httpx.post(f"{slipway.url}/mcp", json=rpc("initialize", params), headers=ACCEPT)
    session = {**ACCEPT, "mcp-session-id": opened.headers["mcp-session-id"]}
    httpx.post(f"{slipway.url}/mcp", json={"jsonrpc": "2.0", "method": "notifications/initialized"}, headers=session)
    call = rpc("tools/call", {"name": "echo", "arguments": {"text": "x"}})
    for _ in range(20):  # each on a connection of its own, so any worker may have it
        assert "result" in httpx.post(f"{slipway.url}/mcp", json=call, headers=session).json()
    for _ in range(5):
        text = httpx.get(f"{slipway.url}/metrics").text
        assert 'mcp_requests_total{method="tools/call",status="ok"} 20.0' in text
    assert len(psutil.Process(slipway.process.pid).children()) == 3


def test_a_worker_that_dies_is_replaced_and_none_is_left_behind(start_slipway: Any, shared_redis: Any) -> None:
    slipway = start_slipway(MCP_WORKERS="2", REDIS_URL=shared_redis.url)
    parent = psutil.Process(slipway.process.pid)
    until(
        lambda: (
            len(parent.children()) == 2 and all(time.time() - each.create_time() > 1.1 for each in parent.children())
        )
    )
    victim, other = parent.children()
    victim.kill()
    until(lambda: len(parent.children()) == 2 and victim not in parent.children())
    assert httpx.get(f"{slipway.url}/ready").status_code == 200
    assert any(line["event"] == "a worker ended: starting another" for line in slipway.lines)
    family = parent.children()
    assert other in family
    slipway.terminate()
    assert slipway.wait() == 0
    assert psutil.wait_procs(family, timeout=5)[1] == []


def test_workers_finish_their_calls_when_the_parent_is_told_to_end(start_slipway: Any, shared_redis: Any) -> None:
    slipway = start_slipway(MCP_WORKERS="2", REDIS_URL=shared_redis.url)
    with ThreadPoolExecutor() as pool:
        calls = begun(slipway, pool, 1.5, 1.5, 1.5, 1.5)
        slipway.terminate()
        assert all("result" in call.result().json() for call in calls)
    assert slipway.wait() == 0


def test_workers_end_when_their_parent_is_killed(start_slipway: Any, shared_redis: Any, tmp_path: Path) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    slipway = start_slipway(MCP_WORKERS="2", REDIS_URL=shared_redis.url, TMPDIR=str(scratch))
    assert len(list(scratch.iterdir())) == 1
    workers = psutil.Process(slipway.process.pid).children()
    slipway.process.kill()
    slipway.wait()
    assert psutil.wait_procs(workers, timeout=10)[1] == []
    assert list(scratch.iterdir()) == []


def test_a_second_signal_kills_the_workers(start_slipway: Any, shared_redis: Any) -> None:
    slipway = start_slipway(MCP_WORKERS="2", REDIS_URL=shared_redis.url)
    workers = psutil.Process(slipway.process.pid).children()
    with ThreadPoolExecutor() as pool:
        (call,) = begun(slipway, pool, 60)
        slipway.terminate()
        until(lambda: httpx.get(f"{slipway.url}/ready").status_code == 503)
        slipway.process.send_signal(signal.SIGINT)
        assert slipway.wait(10) == 1
        assert isinstance(call.exception(), httpx.HTTPError)
    assert psutil.wait_procs(workers, timeout=5)[1] == []


def test_workers_that_cannot_start_at_all_are_not_tried_again(shared_redis: Any) -> None:
    settings = {"MCP_TRANSPORT": "http", "MCP_PORT": "0", "MCP_WORKERS": "2", "REDIS_URL": shared_redis.url}
    environment = {**os.environ, **settings, "MCP_TOOLSETS": "nonsense"}
    done = subprocess.run(
        [sys.executable, "-m", "app.cli"], env=environment, capture_output=True, text=True, timeout=30
    )
    assert done.returncode == 2
    assert "MCP_TOOLSETS='nonsense' is wrong" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_server_starts_although_redis_is_not_there_yet(start_slipway: Any, make_redis: Any) -> None:
    redis = make_redis()
    slipway = start_slipway(REDIS_URL=redis.url)
    assert httpx.get(f"{slipway.url}/ready").json()["status"] == "degraded"
    assert "result" in httpx.post(f"{slipway.url}/messages", json=rpc("ping")).json()
    redis.start()
    until(lambda: httpx.get(f"{slipway.url}/ready").json()["status"] == "ready")


def test_without_redis_several_workers_become_one_and_it_is_said(start_slipway: Any) -> None:
    slipway = start_slipway(MCP_WORKERS="4")
    assert psutil.Process(slipway.process.pid).children() == []
    (warning,) = [line for line in slipway.lines if line["level"] == "warning"]
    assert "Set REDIS_URL" in str(warning["event"])
    assert httpx.get(f"{slipway.url}/ready").json()["tools"] == 3


def test_redis_gone_is_told_by_ready_without_taking_the_replica_out(start_slipway: Any, redis_server: Any) -> None:
    slipway = start_slipway(REDIS_URL=redis_server.url)
    assert httpx.get(f"{slipway.url}/ready").json()["dependencies"] == {"sessions": "ok"}
    redis_server.kill()
    until(lambda: httpx.get(f"{slipway.url}/ready").json()["status"] == "degraded")
    assert httpx.get(f"{slipway.url}/ready").status_code == 200
    assert "result" in httpx.post(f"{slipway.url}/messages", json=rpc("ping")).json()
    redis_server.start()
    until(lambda: httpx.get(f"{slipway.url}/ready").json()["status"] == "ready")


def test_a_taken_port_is_told_with_the_remedy(start_slipway: Any) -> None:
    slipway = start_slipway()
    environment = {**os.environ, "MCP_TRANSPORT": "http", "MCP_PORT": str(slipway.port)}
    done = subprocess.run(
        [sys.executable, "-m", "app.cli"], env=environment, capture_output=True, text=True, timeout=30
    )
    assert done.returncode == 1
    assert f"cannot listen on 127.0.0.1:{slipway.port}" in done.stderr
    assert "set MCP_PORT to a free port" in done.stderr


def test_over_stdio_nothing_but_protocol_is_on_stdout_and_the_end_of_input_ends_it(tmp_path: Path) -> None:
    lines = [
        rpc(
            "initialize",
            {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}},
        )
    ]
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MCP_", "REDIS_"))}
    done = subprocess.run(
        [sys.executable, "-m", "app.cli"],
        env=environment,
        input="".join(json.dumps(line) + "\n" for line in lines),
        capture_output=True,
        text=True,
        timeout=30,
        cwd=tmp_path,
    )
    assert done.returncode == 0
    (answer,) = [json.loads(line) for line in done.stdout.splitlines()]
    assert answer["result"]["protocolVersion"] == "2025-11-25"


def test_over_stdio_sigterm_lets_a_running_call_finish(tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MCP_", "REDIS_"))}
    process = subprocess.Popen(
        [sys.executable, "-m", "app.cli"], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdin is not None
    assert process.stdout is not None
    meta = {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
        "progressToken": 1,
    }
    call = rpc("tools/call", {"name": "wait", "arguments": {"seconds": 1.2}, "_meta": meta})
    try:
        process.stdin.write(json.dumps(call) + "\n")
        process.stdin.flush()
        assert json.loads(process.stdout.readline())["method"] == "notifications/progress"  # it runs
        process.send_signal(signal.SIGTERM)
        answers = [json.loads(line) for line in process.stdout]
        assert answers[-1]["result"]["structuredContent"]["seconds"] >= 1.2
        assert process.wait(timeout=10) == 0
    finally:
        process.kill()
        process.communicate()


async def test_a_step_of_draining_that_fails_stops_no_other(caplog: pytest.LogCaptureFixture) -> None:
    lifecycle, done = Lifecycle(), list[str]()

    async def fails() -> None:
        raise RuntimeError("broken")

    async def works() -> None:
        done.append("works")

    lifecycle.before_exit(fails)
    lifecycle.before_exit(works)
    await lifecycle.drain()
    await lifecycle.drain()
    assert (lifecycle.draining, done) == (True, ["works"])
    assert [record.message for record in caplog.records] == ["a step of draining failed"]


async def test_a_dependency_that_hangs_does_not_hang_the_probe(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.lifecycle._CHECK_TIMEOUT", 0.05)
    asked = 0

    async def hangs() -> None:
        nonlocal asked
        asked += 1
        await asyncio.Event().wait()

    readiness = Readiness(Lifecycle(), {"store": hangs})
    found = await asyncio.gather(*(readiness.health() for _ in range(10)))
    assert {(each.ready, each.status, each.dependencies["store"]) for each in found} == {
        (True, "degraded", "no answer")
    }
    assert asked == 1
