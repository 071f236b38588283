"""Every path of the registry, and what is answered where there is none."""

from __future__ import annotations

from collections.abc import Mapping

from app.asgi import ASGIApp, Receive, Scope, Send
from app.mesh.problems import Problem, shown
from app.mesh.registry.api import Api, Endpoint
from app.mesh.registry.http import refuse


class Site:
    """Finds who serves a path by what it begins with; the exact ones have been found before."""

    def __init__(self, api: Api, under: Mapping[str, Endpoint]) -> None:
        """`under` are endpoints by the beginning of their paths, the longest first."""
        self._under = [(prefix, api.guarded(endpoint)) for prefix, endpoint in under.items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path: str = scope["path"]
        for prefix, endpoint in self._under:
            if path.startswith(prefix):
                await endpoint(scope, receive, send)
                return
        detail = f"there is nothing at {shown(path)}: see /agents, /discover, /watch, /v0/servers and /federation"
        await refuse(send, Problem(404, "There is nothing here", detail))


def exactly(routes: Mapping[str, Endpoint], api: Api) -> dict[str, ASGIApp]:
    """Endpoints that may refuse, at exact paths."""
    return {path: api.guarded(endpoint) for path, endpoint in routes.items()}
