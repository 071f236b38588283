"""Who gets what a server says: answers go to their calls, notifications and requests to the client they concern."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from msgspec import UNSET, Raw

from app.gateway.upstream import Downstream, News, UpstreamFailure, UpstreamUnavailable
from app.gateway.upstreams import wire
from app.gateway.upstreams.asking import Asker
from app.gateway.upstreams.calls import RunningCall
from app.protocol.errors import INTERNAL_ERROR

_log = logging.getLogger("slipway.gateway")
_SHOWN = 200
_REPORTED = 20
"""Unusable messages of one server that are logged: who floods does not flood the log."""
_FOR_NOBODY = "notifications/subscriptions/acknowledged"


class Conversation:
    """All requests that run at one server, by the integers that we number them with: no two ever share one."""

    def __init__(self, label: str, tell: Callable[[News], None], reply: Callable[[bytes], Awaitable[None]]) -> None:
        self.calls: dict[int, RunningCall] = {}
        self._label = label
        self._tell = tell
        self._last = 0
        self._unusable = 0
        self._asker = Asker(label, self.calls, reply)
        self._loop = asyncio.get_running_loop()

    def begin(self, method: str, downstream: Downstream | None) -> RunningCall:
        """A new request, which `end` must follow."""
        self._last += 1
        call = RunningCall(self._last, method, downstream, self._loop)
        self.calls[call.number] = call
        return call

    def end(self, call: RunningCall) -> None:
        """Whatever still comes for it is dropped."""
        self.calls.pop(call.number, None)
        call.end()

    def lose(self, message: str) -> None:
        """The server is gone, and with it all that ran."""
        for call in tuple(self.calls.values()):
            call.fail(UpstreamUnavailable(message))
        self._asker.close()

    def take(self, data: bytes, own: RunningCall | None = None) -> None:
        """One message of the server's; `own` is the request on whose stream it came."""
        try:
            message = wire.decode(data)
        except wire.Malformed as problem:
            self._take_unusable(data, problem, own)
            return
        if message.method is UNSET:
            self._answer(message, own)
        elif message.id is UNSET:
            self._notice(message.method, wire.EMPTY if message.params is UNSET else message.params, own)
        else:
            request_id = wire.usable_id(message.id)
            if request_id is None:
                self.report(f"it sent the request {message.method[:64]!r} with an id that is none")
            else:
                params = wire.EMPTY if message.params is UNSET else message.params
                self._asker.take(request_id, message.method, params, own)

    def report(self, problem: str, data: bytes = b"") -> None:
        """Log that the server said something that cannot be used."""
        self._unusable += 1
        if self._unusable <= _REPORTED:
            shown = f": {data[:_SHOWN].decode('utf-8', 'replace')!r}" if data else ""
            last = " (no more of this is logged)" if self._unusable == _REPORTED else ""
            _log.warning("server %r: %s%s%s", self._label, problem, shown, last)

    def _answer(self, message: wire.Incoming, own: RunningCall | None) -> None:
        number = message.id
        call = self.calls.get(number) if type(number) is int else None
        if call is None:
            if message.error is not UNSET and (number is None or number is UNSET):
                self._unaddressed(message.error, own)
            elif type(number) is not int or number > self._last or number < 1:
                self.report("it answered a request that was never made")
            return  # late, or twice
        if message.result is not UNSET:
            if wire.is_object(message.result):
                call.settle(message.result)
            else:
                call.fail(UpstreamFailure(INTERNAL_ERROR, "The server answered with a result that is not an object."))
        elif message.error is not UNSET:
            call.fail(wire.failure(message.error))
        else:
            call.fail(UpstreamFailure(INTERNAL_ERROR, "The server answered with neither a result nor an error."))

    def _unaddressed(self, error: Raw, own: RunningCall | None) -> None:
        """An error without an id: whose it is shows where it came, or that there is only one that it can be."""
        if own is None and len(self.calls) == 1:
            own = next(iter(self.calls.values()))
        if own is None:
            self.report("it told an error that belongs to no request", bytes(error))
        else:
            own.fail(wire.failure(error))

    def _notice(self, method: str, params: Raw, own: RunningCall | None) -> None:
        if method == "notifications/progress":
            self._progress(method, params)
        elif method == "notifications/message":
            call = own if own is not None else self._asker.only_call()
            if call is not None and call.downstream is not None:
                call.note(method, params)
            else:
                self._tell(News(method, params))
        elif method == "notifications/cancelled":
            self._asker.cancel(params)
        elif method != _FOR_NOBODY:
            self._tell(News(method, params))

    def _progress(self, method: str, params: Raw) -> None:
        """Progress goes to the client under the token that the client gave."""
        try:
            members = wire.decode_members(params)
            token: Any = msgspec.json.decode(members["progressToken"])
        except (msgspec.MsgspecError, KeyError, RecursionError):
            self.report("it told a progress that is not well-formed")
            return
        call = self.calls.get(token) if type(token) is int else None
        if call is None or call.downstream is None:
            return
        wanted = call.downstream.progress_token
        if wanted is not None:
            members["progressToken"] = Raw(wire.encode(wanted))
            call.note(method, Raw(wire.encode(members)))

    def _take_unusable(self, data: bytes, problem: wire.Malformed, own: RunningCall | None) -> None:
        if wire.is_batch(data):
            try:
                items = wire.decode_batch(data)
            except wire.Malformed as worse:
                problem = worse
            else:
                for item in items:
                    if wire.is_batch(item):
                        self.report("it sent a batch in a batch")
                    else:
                        self.take(item, own)
                return
        self.report(str(problem), data)
        call = self.calls.get(problem.answers) if isinstance(problem.answers, int) else None
        if call is not None:
            call.fail(UpstreamFailure(INTERNAL_ERROR, f"The server's answer cannot be used: {problem}."))
