"""The operator as a program: waits for the lease, works while it holds it, answers probes all the time."""

from __future__ import annotations

import asyncio
import logging
import os
from contextlib import suppress
from typing import Final

import msgspec

from app.asgi import ASGIApp, Receive, Scope, Send, respond, respond_json
from app.lifecycle import Lifecycle
from app.operator.kube import Kube
from app.operator.lease import Lease, Pace
from app.operator.telemetry import OperatorMetrics
from app.operator.term import Duties, Term
from app.telemetry.metrics import CONTENT_TYPE

logger = logging.getLogger("slipway.operator")

_AFTER_FAILURE_SECONDS: Final = 5.0
_LONGEST_END: Final = 20.0


class Candidacy(msgspec.Struct, frozen=True, kw_only=True):
    """The lease that the leader holds."""

    lease: str
    namespace: str
    pace: Pace = Pace()


class Operator:
    """One replica. Started and stopped on the event loop of the probes."""

    def __init__(self, duties: Duties, candidacy: Candidacy, *, version: str) -> None:
        self.metrics = OperatorMetrics(version=version)
        self._duties = duties
        self._kube = Kube(duties.login, counted=self.metrics.called)
        self._lease = Lease(
            self._kube,
            namespace=candidacy.namespace,
            name=candidacy.lease,
            identity=duties.identity,
            pace=candidacy.pace,
        )
        self._term: Term | None = None
        self._electing: asyncio.Task[None] | None = None

    @property
    def leads(self) -> bool:
        return self._term is not None

    @property
    def alive(self) -> bool:
        """Whether it does its work, or waits as it should."""
        electing = self._electing is not None and not self._electing.done()
        return electing and not (self._term is not None and self._term.stuck)

    async def start(self) -> None:
        self._electing = asyncio.create_task(self._elect())

    async def stop(self) -> None:
        """End the work, and let another replica begin at once."""
        if self._electing is not None:
            self._electing.cancel()
            with suppress(asyncio.CancelledError):
                await self._electing
        await self._kube.close()

    async def _elect(self) -> None:
        while True:
            logger.info("waiting for the lease", extra={"fields": {"identity": self._duties.identity}})
            await self._lease.acquire()
            failed = await self._lead()
            if failed:
                await asyncio.sleep(_AFTER_FAILURE_SECONDS)

    async def _lead(self) -> bool:
        """Work until the lease is lost or the work fails. Whether it failed."""
        logger.info("leading", extra={"fields": {"identity": self._duties.identity}})
        term = self._term = Term(self._duties, self.metrics, permitted=lambda: self._lease.holds)
        self.metrics.leader.set(1)
        term.start()
        keeping, ending = asyncio.create_task(self._lease.keep()), asyncio.create_task(term.ended())
        try:
            await asyncio.wait((keeping, ending), return_when=asyncio.FIRST_COMPLETED)
        finally:
            term.stop()
            keeping.cancel()
            self.metrics.leader.set(0)
            try:
                async with asyncio.timeout(_LONGEST_END):
                    await ending
            except TimeoutError:
                # It changes nothing any more without the lease, but a second one beside it would be confusing.
                logger.critical("the work does not end: ending the process")
                os._exit(1)
            self._term = None
            await self._lease.release()
            logger.info("no longer leading", extra={"fields": {"identity": self._duties.identity}})
        return term.failure is not None


def application(operator: Operator, lifecycle: Lifecycle, *, version: str) -> ASGIApp:
    """What Kubernetes and Prometheus ask the operator; its life is the application's."""

    async def probe(path: str, send: Send) -> None:
        if path == "/livez":
            alive = operator.alive
            await respond_json(send, 200 if alive else 503, {"status": "alive" if alive else "stuck"})
        elif path == "/ready":
            ready = operator.alive and not lifecycle.draining
            answer = {"status": "ready" if ready else "draining", "role": "leader" if operator.leads else "standby"}
            await respond_json(send, 200 if ready else 503, answer)
        elif path == "/health":
            await respond_json(send, 200, {"status": "healthy", "service": "slipway-operator", "version": version})
        elif path == "/metrics":
            await respond(send, 200, operator.metrics.render(), content_type=CONTENT_TYPE.encode())
        else:
            known = "/livez, /ready, /health, /metrics"
            await respond_json(send, 404, {"error": f"there is nothing at {path[:200]}: ask for {known}"})

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _live(operator, receive, send)
        elif scope["type"] != "http":
            await receive()
            await send({"type": "websocket.close", "code": 1008, "reason": "there is no WebSocket here"})
        elif scope["method"] not in ("GET", "HEAD"):
            error = {"error": f"{scope['method']} is not served here: use GET"}
            await respond_json(send, 405, error, headers=((b"allow", b"GET, HEAD"),))
        else:
            await probe(scope["path"], send)

    return serve


async def _live(operator: Operator, receive: Receive, send: Send) -> None:
    await receive()
    await operator.start()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await operator.stop()
    await send({"type": "lifespan.shutdown.complete"})
