"""Twenty servers behind one gateway: how long until a call on the last is answered. Used by `gateway_calls.py`."""

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

import gateway_peers
from gateway_bridges import HERE, Bridge

SERVERS = 20
SECONDS = 0.5
"""That each server takes to start."""
GOAL = 1.2


def our_gateway(bridge: Bridge, servers: dict[str, dict]) -> list[str]:
    file = bridge.folder / "gateway.yaml"
    file.write_text(json.dumps({"servers": servers}))
    return [sys.executable, str(HERE / "peers" / "gateway_of.py"), str(bridge.port), str(file)]


def _slow() -> list[str]:
    return [sys.executable, "-I", "-S", str(HERE / "peers" / "slow_start.py"), str(SECONDS)]


def _ours(count: int) -> Callable[[Bridge], list[str]]:
    servers = {f"s{number}": {"type": "npx", "package": "slow", "args": _slow()} for number in range(1, count + 1)}
    return lambda bridge: our_gateway(bridge, servers)


def _fastmcp(count: int) -> Callable[[Bridge], list[str]]:
    program, *words = _slow()
    servers = {f"s{number}": {"command": program, "args": words} for number in range(1, count + 1)}

    def command(bridge: Bridge) -> list[str]:
        file = bridge.folder / "servers.json"
        file.write_text(json.dumps({"mcpServers": servers}))
        python = str(gateway_peers.python_of("fastmcp"))
        return [python, str(HERE / "peers" / "fast_proxy.py"), str(bridge.port), "--many", str(file)]

    return command


def _proxy_of_pypi(count: int) -> Callable[[Bridge], list[str]]:
    import shlex

    program = str(gateway_peers.python_of("mcp-proxy").parent / "mcp-proxy")
    named = [word for number in range(1, count + 1) for word in ("--named-server", f"s{number}", shlex.join(_slow()))]
    return lambda bridge: [program, "--log-level", "ERROR", "--port", str(bridge.port), *named]


def _hangar(count: int) -> Callable[[Bridge], list[str]]:
    servers = {f"s{number}": {"mode": "subprocess", "command": _slow()} for number in range(1, count + 1)}
    program = str(gateway_peers.python_of("mcp-hangar").parent / "mcp-hangar")

    def command(bridge: Bridge) -> list[str]:
        file = bridge.folder / "config.yaml"
        file.write_text(json.dumps({"mcp_servers": servers}))
        return [program, "--config", str(file), "serve", "--http", "--port", str(bridge.port), "--log-level", "ERROR"]

    return command


def _seconds(
    name: str, make: Callable[[int], Callable[[Bridge], list[str]]], count: int, more: dict
) -> tuple[float, float]:
    """To the first good call on the last server: from the start of the gateway, and from when it listens."""
    last = f"s{count}"
    told = {key: value(last) if callable(value) else value for key, value in more.items()}
    bridge = Bridge(name, name, make(count), pinned=False, look_every=0.01, **told)
    began = time.monotonic()
    try:
        bridge.start()
        ended = time.monotonic()
        return ended - began, ended - bridge.listens
    finally:
        bridge.stop()


def report(*, peers: bool, runs: int = 5) -> None:
    subjects: dict[str, tuple[Callable[[int], Callable[[Bridge], list[str]]], dict]] = {
        "Slipway gateway": (_ours, {"tool": lambda last: f"{last}_echo"}),
    }
    if peers:
        batch = {"tool": "echo", "arguments": {"text": "hello"}}
        subjects |= {
            "mcp-proxy 0.13.0 (PyPI)": (_proxy_of_pypi, {"path": lambda last: f"/servers/{last}/mcp"}),
            "FastMCP 4.1.2 proxy": (_fastmcp, {"tool": lambda last: "echo" if last == "s1" else f"{last}_echo"}),
            "mcp-hangar 2.34.4": (
                _hangar,
                {"tool": "hangar_call", "arguments": lambda last: {"calls": [{"mcp_server": last, **batch}]}},
            ),
        }
    print(
        f"\n| servers that take {SECONDS} s to start | one, s | {SERVERS}, s | ratio | goal "
        f"| one, s since it listens | {SERVERS}, s since it listens |\n|---|---|---|---|---|---|---|",
        flush=True,
    )
    for name, (make, more) in subjects.items():
        times = runs if name.startswith("Slipway") else 2
        try:
            pairs = [(_seconds(name, make, 1, more), _seconds(name, make, SERVERS, more)) for _ in range(times)]
        except (OSError, subprocess.SubprocessError) as error:
            print(f"{name} is skipped: {error}", file=sys.stderr, flush=True)
            continue
        (one, one_since), (all_, all_since) = (
            tuple(statistics.median(pair[at][what] for pair in pairs) for what in (0, 1)) for at in (0, 1)
        )
        ratio = statistics.median(pair[1][0] / pair[0][0] for pair in pairs)
        goal = f"≤ {GOAL}" if name.startswith("Slipway") else ""
        print(
            f"| {name} | {one:.2f} | {all_:.2f} | {ratio:.2f} | {goal} | {one_since:.2f} | {all_since:.2f} |",
            flush=True,
        )
