"""What Kubernetes and Prometheus ask: /health, /livez, /ready and /metrics."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from app.asgi import ASGIApp, Receive, Scope, Send, respond, respond_json
from app.lifecycle import Readiness
from app.telemetry.metrics import CONTENT_TYPE, Metrics


class Probes:
    """The four endpoints; each is cheap and none waits for more than a second."""

    def __init__(
        self, *, service: str, version: str, readiness: Readiness, tools: Callable[[], int], metrics: Metrics
    ) -> None:
        self._service = service
        self._version = version
        self._readiness = readiness
        self._tools = tools
        self._metrics = metrics

    def routes(self) -> dict[str, ASGIApp]:
        return {
            "/health": _only_get(self._health),
            "/livez": _only_get(self._livez),
            "/ready": _only_get(self._ready),
            "/metrics": _only_get(self._render),
        }

    async def _health(self, send: Send) -> None:
        await respond_json(send, 200, {"status": "healthy", "service": self._service, "version": self._version})

    async def _livez(self, send: Send) -> None:
        # Alive means that the event loop turns: a dependency that is down must not have us restarted.
        await respond_json(send, 200, {"status": "alive"})

    async def _ready(self, send: Send) -> None:
        health = await self._readiness.health()
        answer = {"status": health.status, "tools": self._tools(), "dependencies": health.dependencies}
        await respond_json(send, 200 if health.ready else 503, answer)

    async def _render(self, send: Send) -> None:
        await respond(send, 200, self._metrics.render(), content_type=CONTENT_TYPE.encode())


def _only_get(endpoint: Callable[[Send], Awaitable[None]]) -> ASGIApp:
    async def answer(scope: Scope, _receive: Receive, send: Send) -> None:
        if scope["method"] in ("GET", "HEAD"):
            await endpoint(send)
        else:
            error = {"error": f"{scope['method']} is not served here: use GET"}
            await respond_json(send, 405, error, headers=((b"allow", b"GET, HEAD"),))

    return answer
