"""What a session of a bridge takes, and whether it is freed. Used by `gateway_calls.py`."""

import http.client
import sys
import time

from gateway_bridges import Bridge, Talk

SETTLING = 2.0
GOAL = "≤ 8 KB"
A_CHILD_EACH = 40
"""Sessions that are enough where each has a process of its own."""


def report(bridges: list[Bridge], count: int) -> None:
    """Two waves of sessions: what is kept of the first is used again by the second, what is leaked is not."""
    print(
        "\n| | sessions | KB each | KB each left once ended | KB each that a second wave adds | goal |\n"
        "|---|---|---|---|---|---|",
        flush=True,
    )
    for bridge in bridges:
        if "1,000 tools" in bridge.name:
            continue
        few = bridge.slow or "supergateway" in bridge.name
        try:
            bridge.start()
            told = measure(bridge, min(count, A_CHILD_EACH) if few else count)
        except (OSError, http.client.HTTPException) as error:
            told = None
            print(f"{bridge.name} is skipped: {error}", file=sys.stderr, flush=True)
        finally:
            bridge.stop()
        if told is not None:
            number, opened, left, more = told
            goal = GOAL if bridge.goal else ""
            print(f"| {bridge.name} | {number:,} | {opened:.1f} | {left:.1f} | {more:.1f} | {goal} |", flush=True)


def measure(bridge: Bridge, count: int) -> tuple[int, float, float, float] | None:
    """How many, and what each of them took, left and took again, in units of 1,024 bytes."""
    warm = _open(bridge, max(10, count // 20))
    if not any(warm):
        return None
    _end(bridge, warm)
    before = _settled(bridge)
    first = _open(bridge, count)
    opened = _settled(bridge) - before
    _end(bridge, first)
    left = _settled(bridge) - before
    _end(bridge, _open(bridge, count))
    more = _settled(bridge) - before - left
    return count, opened / count / 1024, left / count / 1024, more / count / 1024


def _settled(bridge: Bridge) -> int:
    time.sleep(SETTLING)
    return bridge.memory()


def _open(bridge: Bridge, count: int) -> list[str | None]:
    """Each greets and calls once, on connections that are used for many."""
    talk = Talk(bridge.port, bridge.path)
    found = []
    for number in range(count):
        found.append(talk.open())
        talk.call(bridge.params, found[-1], number + 1)
    talk.close()
    return found


def _end(bridge: Bridge, sessions: list[str | None]) -> None:
    talk = Talk(bridge.port, bridge.path)
    for session in sessions:
        if session:
            talk.end(session)
    talk.close()
