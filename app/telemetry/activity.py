"""What goes on now: who called lately and what; for people who look, so only as much as they can read."""

from __future__ import annotations

import time
from collections import OrderedDict, deque
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from msgspec import UNSET

from app.protocol.calls import Call

_MOST_CALLS = 30
_MOST_SESSIONS = 50
_FORGOTTEN_AFTER = 900.0


class SeenSession(msgspec.Struct):
    """One session of the older era, by what it did here."""

    client: str
    revision: str
    calls: int
    last: float
    idle: float = 0.0


class SeenCall(msgspec.Struct):
    """One call that was answered."""

    what: str
    client: str
    failed: bool
    milliseconds: float
    at: float
    ago: float = 0.0


class Now(msgspec.Struct):
    """All of it, at one moment."""

    running: int
    sessions: list[SeenSession]
    calls: list[SeenCall]


class _Named(msgspec.Struct):
    name: str = ""


class _Told(msgspec.Struct):
    client: _Named = msgspec.field(default_factory=_Named, name="io.modelcontextprotocol/clientInfo")


class _Params(msgspec.Struct):
    name: str = ""
    meta: _Told = msgspec.field(default_factory=_Told, name="_meta")


_decode = msgspec.json.Decoder(_Params).decode


class Activity:
    """The latest calls and sessions of one process."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.running = 0
        self._clock = clock
        self._sessions: OrderedDict[str, SeenSession] = OrderedDict()
        self._calls: deque[SeenCall] = deque(maxlen=_MOST_CALLS)

    def answered(self, call: Call, seconds: float) -> None:
        """Remember a call."""
        now = self._clock()
        told = _told(call)
        client = told.meta.client.name
        session = call.session
        if session is not None:
            client = _name_of(session.client_info)
            seen = self._sessions.get(session.id)
            if seen is None:
                seen = self._sessions[session.id] = SeenSession(client, session.revision, 0, now)
                if len(self._sessions) > _MOST_SESSIONS:
                    self._sessions.popitem(last=False)
            seen.calls += 1
            seen.last = now
            self._sessions.move_to_end(session.id)
        what = told.name if call.method == "tools/call" and told.name else call.method
        failed = bool(call.failed) or call.tool_failed
        seen_call = SeenCall(what[:128], (client or "?")[:128], failed, round(seconds * 1000, 1), now)
        self._calls.appendleft(seen_call)

    def now(self) -> Now:
        """What is to be shown, the newest first."""
        now = self._clock()
        alive = [seen for seen in reversed(self._sessions.values()) if now - seen.last < _FORGOTTEN_AFTER]
        for seen in alive:
            seen.idle = round(now - seen.last, 1)
        for call in self._calls:
            call.ago = round(now - call.at, 1)
        return Now(self.running, alive, list(self._calls))


def _told(call: Call) -> _Params:
    if call.params is None or call.params is UNSET:
        return _Params()
    try:
        return _decode(call.params)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return _Params()


def _name_of(client_info: Mapping[str, Any] | None) -> str:
    name = (client_info or {}).get("name")
    return name if isinstance(name, str) else ""
