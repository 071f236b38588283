"""What bridging costs: `python bench/gateway_calls.py [--only TEXT] [--rounds N] [--parts calls,sessions,…]`.

All bridges are given the same upstream: one stdio server, or one over Streamable HTTP. Each is pinned to one core, the
upstream and the load to the other. What is read is the CPU time of the bridge itself, its helper processes included
and the server behind it not, and its ratio to a raw floor in the same round. Peers are installed once into folders of
their own; one that cannot be had is skipped with a line.
"""

import argparse
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import astuple
from pathlib import Path

import gateway_left
import gateway_many
import gateway_peers
import gateway_sessions
from gateway_bridges import HERE, LOAD_CORE, Bridge, child
from gateway_load import Reading, load, sessions_of
from weighing import free_port

FLOOR, FLOOR_HTTP = "raw floor, stdio", "raw floor, HTTP"
GOAL = "≤ 200 µs"
MANY = 1000
SLOW_SECONDS = 8
PARTS = ("calls", "sessions", "many", "left")


def floor(kind: str) -> Callable[[Bridge], list[str]]:
    words = [sys.executable, str(HERE / "peers" / "floor.py")]

    def command(bridge: Bridge) -> list[str]:
        target = bridge.upstream if kind == "stdio" else [bridge.upstream[0].split(":")[2].split("/")[0]]
        return [*words, str(bridge.port), kind, *target]

    return command


def ours(bridge: Bridge) -> list[str]:
    return [sys.executable, "-m", "app.cli", "bridge", "--port", str(bridge.port), "--", *bridge.upstream]


def our_gateway(bridge: Bridge) -> list[str]:
    return gateway_many.our_gateway(bridge, {"echo": {"type": "remote", "url": bridge.upstream[0]}})


def upstreams() -> tuple[list["subprocess.Popen[bytes]"], str, str]:
    """HTTP servers with one tool and with many, and where they are."""
    running, urls = [], []
    for count in (1, MANY):
        port = free_port()
        words = [sys.executable, str(HERE / "peers" / "http_echo.py"), str(port), "--tools", str(count)]
        running.append(subprocess.Popen(["taskset", "-c", str(LOAD_CORE), *words], stdout=subprocess.DEVNULL))
        urls.append(f"http://127.0.0.1:{port}/mcp")
    return running, urls[0], urls[1]


Offer = tuple[str, str, Callable[[], Callable[[Bridge], list[str]]], dict]


def peers_of(url: str, scratch: Path) -> list[Offer]:
    """Name, floor, what installs it and gives its command, and what else is to be known."""
    forge = gateway_peers.contextforge_environment(scratch)
    batch = {"calls": [{"mcp_server": "echo", "tool": "echo", "arguments": {"text": "hello"}}]}
    hangar = {"tool": "hangar_call", "arguments": batch, "slow": True}
    return [
        ("supergateway 4.0.0", FLOOR, gateway_peers.supergateway, {}),
        ("mcp-proxy 6.7.19 (npm)", FLOOR, gateway_peers.proxy_of_npm, {}),
        ("mcp-proxy 0.13.0 (PyPI)", FLOOR, gateway_peers.proxy_of_pypi, {}),
        ("FastMCP 4.1.2 proxy", FLOOR, gateway_peers.fastmcp, {}),
        ("ContextForge 1.0.7 translate", FLOOR, gateway_peers.translate, {"environment": forge}),
        ("mcp-hangar 2.34.4", FLOOR, gateway_peers.hangar, hangar),
        ("FastMCP 4.1.2 proxy, HTTP", FLOOR_HTTP, gateway_peers.fastmcp, {"upstream": [url], "slow": True}),
        ("mcp-hangar 2.34.4, HTTP", FLOOR_HTTP, gateway_peers.hangar, {**hangar, "upstream": [url]}),
        (
            "ContextForge 1.0.7 gateway, HTTP", FLOOR_HTTP, gateway_peers.contextforge,
            {"upstream": [url], "environment": forge, "prepare": gateway_peers.register, "path": "/mcp/",
             "tool": "echo-echo", "slow": True},
        ),
    ]  # fmt: skip


def bridges(url: str, url_of_many: str, scratch: Path, *, peers: bool, only: str | None) -> list[Bridge]:
    last = f"echo_{MANY - 1}"
    found = [
        Bridge(FLOOR, FLOOR, floor("stdio"), child(), sessions=False),
        Bridge("Slipway bridge", FLOOR, ours, child(), goal=GOAL),
        Bridge("Slipway bridge, 1,000 tools", FLOOR, ours, child("--tools", str(MANY)), tool=last, goal="as with 1"),
        Bridge(FLOOR_HTTP, FLOOR_HTTP, floor("http"), [url], sessions=False),
        Bridge("Slipway gateway, HTTP", FLOOR_HTTP, our_gateway, [url], tool="echo_echo", goal=GOAL),
        Bridge(
            "Slipway gateway, HTTP, 1,000 tools", FLOOR_HTTP, our_gateway, [url_of_many], tool=f"echo_{last}",
            goal="as with 1",
        ),
    ]  # fmt: skip
    for name, base, install, more in peers_of(url, scratch) if peers else ():
        if only is None or only in name:
            command = _had(name, install)
            if command is not None:
                found.append(Bridge(name, base, command, **{"upstream": child(), **more}))
    if only is not None:
        floors = {bridge.floor for bridge in found if only in bridge.name}
        found = [bridge for bridge in found if only in bridge.name or bridge.name in floors]
    return found


def _had(name: str, install: Callable[[], Callable[[Bridge], list[str]]]) -> Callable[[Bridge], list[str]] | None:
    try:
        return install()
    except (OSError, subprocess.SubprocessError) as error:
        print(f"{name} is skipped, it cannot be installed: {error}", file=sys.stderr, flush=True)
        return None


def started(chosen: list[Bridge]) -> list[Bridge]:
    """Those that serve; the others are told of."""
    found = []
    for bridge in chosen:
        try:
            bridge.start()
        except (ConnectionError, OSError) as error:
            print(f"{bridge.name} is skipped, it does not serve: {error}", file=sys.stderr, flush=True)
            bridge.stop()
        else:
            found.append(bridge)
    return found


def calls(chosen: list[Bridge], rounds: int, seconds: float) -> None:
    readings: dict[str, list[Reading]] = {bridge.name: [] for bridge in chosen}
    sessions = {bridge.name: sessions_of(bridge) for bridge in chosen}
    for number in range(rounds + 1):
        print(f"round {number} of {rounds}" if number else "warming up", file=sys.stderr, flush=True)
        for bridge in tuple(chosen):
            length = SLOW_SECONDS if bridge.slow else seconds
            try:
                reading = load(bridge, sessions[bridge.name], length)
            except (RuntimeError, subprocess.SubprocessError) as error:
                print(f"{bridge.name} is left out: {error}", file=sys.stderr, flush=True)
                chosen.remove(bridge)
                continue
            if number:
                readings[bridge.name].append(reading)
    print("| | µs of CPU a call | × its floor | p50 ms | p99 ms | goal |\n|---|---|---|---|---|---|")
    for bridge in chosen:
        mine, base = readings[bridge.name], readings.get(bridge.floor, [])
        ratios = [one.cpu / other.cpu for one, other in zip(mine, base, strict=False)]
        cpu, median, late = (statistics.median(values) for values in zip(*map(astuple, mine), strict=True))
        ratio = statistics.median(ratios)
        print(f"| {bridge.name} | {cpu:.0f} | {ratio:.1f} | {median:.1f} | {late:.1f} | {bridge.goal} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--sessions", type=int, default=1000)
    parser.add_argument("--no-peers", action="store_true")
    parser.add_argument("--only", help="bridges whose name has this text, and their floors")
    parser.add_argument("--parts", default=",".join(PARTS), help=f"of {', '.join(PARTS)}")
    given = parser.parse_args()
    for program in ("wrk", "taskset"):
        if shutil.which(program) is None:
            sys.exit(f"{program} is not installed: on Debian, apt-get install wrk util-linux")
    began = time.monotonic()
    parts = given.parts.split(",")
    running, url, url_of_many = upstreams()
    scratch = Path(tempfile.mkdtemp(prefix="slipway-bench-"))
    try:
        chosen = bridges(url, url_of_many, scratch, peers=not given.no_peers, only=given.only)
        if "calls" in parts:
            serving = started(chosen)
            try:
                calls(list(serving), given.rounds, given.seconds)
            finally:
                for bridge in serving:
                    bridge.stop()
        if "sessions" in parts:
            gateway_sessions.report([bridge for bridge in chosen if bridge.sessions], given.sessions)
        if "many" in parts:
            gateway_many.report(peers=not given.no_peers)
        if "left" in parts:
            gateway_left.report([bridge for bridge in chosen if bridge.floor == FLOOR and bridge.sessions])
    finally:
        for upstream in running:
            upstream.kill()
        shutil.rmtree(scratch, ignore_errors=True)
    print(f"\n{time.monotonic() - began:.0f} s in all", file=sys.stderr)


if __name__ == "__main__":
    main()
