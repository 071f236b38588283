"""The API as a whole: its endpoints, its errors and its documentation, added to a site or by itself."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from fastapi import APIRouter, FastAPI
from fastapi.responses import HTMLResponse

from app.gateway.manager.manager import Manager
from app.gateway.rest.access import Access, Reader
from app.gateway.rest.docs import render_docs
from app.gateway.rest.problems import RestError, tell_problems
from app.gateway.rest.servers import servers_router
from app.gateway.rest.templates import templates_router
from app.gateway.templates import Templates


class Rest:
    """`more` are routers of others. Set `closing` when draining begins, so that streams end."""

    def __init__(
        self,
        manager: Manager,
        templates: Templates,
        *,
        access: Access | None = None,
        more: Sequence[APIRouter] = (),
        closing: asyncio.Event | None = None,
    ) -> None:
        self._manager = manager
        self._templates = templates
        self._access = access or Access()
        self._more = more
        self.closing = closing or asyncio.Event()

    def add_to(self, site: FastAPI) -> None:
        """Serve it beside what the site serves."""
        site.state.access = self._access
        tell_problems(site)
        for router in (
            servers_router(self._manager, self.closing),
            templates_router(self._templates),
            *self._more,
        ):
            site.include_router(router)

        @site.api_route("/servers/{server}/mcp", methods=["GET", "POST", "DELETE"], include_in_schema=False)
        async def not_served(server: str, _caller: Reader) -> None:
            """What is served is answered before it comes here."""
            status = self._manager.get(server)
            reason = f" ({status.reason})" if status.reason else ""
            raise RestError(503, f"{status.id} is {status.phase}{reason}: try again once it is ready")

        @site.get("/docs", response_class=HTMLResponse, include_in_schema=False)
        async def docs() -> HTMLResponse:
            return HTMLResponse(render_docs(site.openapi()))

    def site(self, title: str, version: str) -> FastAPI:
        """It alone."""
        site = FastAPI(title=title, version=version, docs_url=None, redoc_url=None)
        self.add_to(site)
        return site
