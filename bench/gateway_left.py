"""What processes a bridge leaves behind. Used by `gateway_calls.py`."""

import http.client
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace

import psutil
from gateway_bridges import Bridge, Talk, child
from weighing import free_port

SESSIONS = 5
PATIENCE = 15.0
"""Seconds that what is to go has for it."""
IDLE = 2
"""Seconds after which a bridge that can do so gives up a session whose client is gone."""


def report(bridges: list[Bridge]) -> None:
    """A line for each bridge; the second figure is with a server that ignores the end of its input, and SIGTERM."""
    print(
        "\n| processes left after | DELETE of all sessions | dropped connections | SIGTERM | SIGKILL |\n"
        "|---|---|---|---|---|",
        flush=True,
    )
    for bridge in with_a_child_each(bridges):
        told = []
        for case in (_deleted, _dropped, _terminated, _killed):
            counts = [_count(bridge, case, child(*more)) for more in ((), ("--stubborn",))]
            told.append(" / ".join(counts))
        print(f"| {bridge.name} | {' | '.join(told)} |", flush=True)


def with_a_child_each(bridges: list[Bridge]) -> list[Bridge]:
    """Ours once more with a child for each session, and sessions given up early where that can be set."""
    found = []
    for bridge in bridges:
        if "1,000 tools" in bridge.name or "Slipway" not in bridge.name:
            early = ["--sessionTimeout", str(IDLE * 1000)] if "supergateway" in bridge.name else []
            early = ["--sessionIdleTimeout", str(IDLE * 1000)] if "npm" in bridge.name else early
            if "1,000 tools" not in bridge.name:
                found.append(replace(bridge, command=_with(bridge.command, early)))
            continue
        found.append(replace(bridge, name="Slipway bridge, one child for all"))
        each = ["--mode", "per-session", "--idle", str(IDLE)]
        found.append(replace(bridge, name="Slipway bridge, a child a session", command=_with(bridge.command, each)))
    return found


def _with(command: Callable[[Bridge], list[str]], more: list[str]) -> Callable[[Bridge], list[str]]:
    def longer(bridge: Bridge) -> list[str]:
        words = command(bridge)
        at = words.index("--port")
        return [*words[:at], *more, *words[at:]]

    return longer if more else command


def _count(bridge: Bridge, case: Callable[[Bridge], int], upstream: list[str]) -> str:
    fresh = replace(bridge, upstream=upstream, port=free_port(), process=None)
    try:
        fresh.start()
        return str(case(fresh))
    except (OSError, http.client.HTTPException, subprocess.SubprocessError, psutil.Error) as error:
        print(f"{bridge.name}: {error}", file=sys.stderr, flush=True)
        return "?"
    finally:
        fresh.stop()


def _sessions(bridge: Bridge) -> list[tuple[Talk, str | None]]:
    found = []
    for number in range(SESSIONS):
        talk = Talk(bridge.port, bridge.path)
        session = talk.open()
        talk.call(bridge.params, session, number + 1)
        found.append((talk, session))
    return found


def _deleted(bridge: Bridge) -> int:
    before = _settle(bridge)
    talks = _sessions(bridge)
    begun = [one for one in bridge.family() if one not in before]
    for talk, session in talks:
        talk.end(session)
        talk.close()
    return _left_of(begun)


def _dropped(bridge: Bridge) -> int:
    before = _settle(bridge)
    talks = _sessions(bridge)
    begun = [one for one in bridge.family() if one not in before]
    for talk, _ in talks:
        if talk.connection.sock is not None:  # some have closed it themselves
            talk.connection.sock.shutdown(socket.SHUT_RDWR)
        talk.close()
    return _left_of(begun)


def _terminated(bridge: Bridge) -> int:
    return _ended_by(bridge, signal.SIGTERM)


def _killed(bridge: Bridge) -> int:
    return _ended_by(bridge, signal.SIGKILL)


def _ended_by(bridge: Bridge, number: signal.Signals) -> int:
    talks = _sessions(bridge)
    family = bridge.family()
    process = bridge.process
    assert process is not None
    process.send_signal(number)
    try:
        process.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        print(f"{bridge.name}: {number.name} did not end it", file=sys.stderr)
    for talk, _ in talks:
        talk.close()
    return _left_of(family)


def _left_of(begun: list[psutil.Process]) -> int:
    """How many of them outlive the wait, whosever children they have become; they are killed."""
    _, left = psutil.wait_procs(begun, timeout=PATIENCE)
    left = [one for one in left if one.is_running() and one.status() != psutil.STATUS_ZOMBIE]
    for one in left:
        one.kill()
    return len(left)


def _settle(bridge: Bridge) -> list[psutil.Process]:
    """What is there once the processes of the first call, made to see whether it serves, are gone."""
    end = time.monotonic() + 2 * IDLE + 1
    least = bridge.family()
    while time.monotonic() < end:
        time.sleep(0.2)
        least = min(least, bridge.family(), key=len)
    return least
