"""The dispatcher, watched: every answer is counted, timed and, where asked for, logged."""

from __future__ import annotations

import logging
from time import perf_counter
from typing import TYPE_CHECKING, Any

from app.protocol.calls import Call
from app.protocol.dispatcher import Dispatcher
from app.protocol.errors import INTERNAL_ERROR, UNAVAILABLE, ProtocolError
from app.protocol.messages import encode_error
from app.protocol.pacing import TimeLimit, TimeLimitPassed
from app.telemetry.activity import Activity
from app.telemetry.metrics import Metrics
from app.telemetry.tracing import current_call

if TYPE_CHECKING:
    from app.telemetry.spans import Spans

logger = logging.getLogger("slipway.calls")

_UNLIMITED = frozenset(("tools/call", "subscriptions/listen"))  # each tool has its own limit; listening has none


class ObservedDispatcher(Dispatcher):
    """Answers as `Dispatcher` does, and tells `metrics` and `activity`."""

    def __init__(
        self,
        *args: Any,
        metrics: Metrics,
        log_calls: bool,
        activity: Activity | None = None,
        spans: Spans | None = None,
        time_limit: float = 300.0,
        **named: Any,
    ) -> None:
        super().__init__(*args, **named)
        self._limit = TimeLimit(time_limit)
        metrics.expect({*self._with_handshake, *self._stateless})
        self._metrics = metrics
        self._activity = activity or Activity()
        self._spans = spans
        self._log_calls = log_calls
        self._running = metrics.running

    async def answer(self, call: Call) -> bytes:
        began = perf_counter()
        span = None if self._spans is None else self._spans.begin(call)
        token = current_call.set(call)
        self._running.inc()
        self._activity.running += 1
        try:
            if call.method in _UNLIMITED:
                return await super().answer(call)
            return await self._limit.run(super().answer(call))
        except TimeLimitPassed:
            call.failed = UNAVAILABLE
            message = f"'{call.method[:128]}' did not finish within {self._limit.seconds:g} s: try again later."
            return encode_error(call.id, ProtocolError(UNAVAILABLE, message))
        except BaseException:
            call.failed = call.failed or INTERNAL_ERROR  # cancelled: there is no answer to count as one
            raise
        finally:
            seconds = perf_counter() - began
            self._running.dec()
            self._activity.running -= 1
            self._activity.answered(call, seconds)
            self._metrics.answered(call.method, call.failed, seconds)
            if self._log_calls:
                self._log(call, seconds)
            if self._spans is not None and span is not None:
                self._spans.end(span, call)
            current_call.reset(token)

    def _log(self, call: Call, seconds: float) -> None:
        fields = {
            "method": call.method[:128],
            "code": call.failed,
            "milliseconds": round(seconds * 1000, 3),
            "revision": call.revision.name,
            "caller": call.caller.subject,
        }
        logger.info("answered", extra={"fields": fields})
