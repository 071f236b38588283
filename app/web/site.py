"""What a browser and other programs read besides the protocol: the pages, their files, and a small REST part."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import FastAPI, Header, Request
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse, Response

from app.protocol.handlers import Registry
from app.protocol.revisions import REVISIONS
from app.web.api import About, api_router, definitions
from app.web.assets import assets
from app.web.map_page import render_map
from app.web.page import Facts, render_page, render_tools

_POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_SAFE = {
    "content-security-policy": _POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
}
_FOR_EVER = "public, max-age=31536000, immutable"
_MAP_NAME = re.compile(r"[A-Za-z0-9._-]{1,128}")


def build_site(registry: Registry, about: About) -> FastAPI:
    """The FastAPI application that answers every path that is not the protocol's."""
    site = FastAPI(
        title=about.service, version=about.version, docs_url=None, redoc_url=None, description="Beside MCP at /mcp."
    )

    @site.middleware("http")
    async def harden(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
        response = await call_next(request)
        response.headers.update(_SAFE)
        return response

    @site.get("/", response_class=HTMLResponse, include_in_schema=False)
    async def page(request: Request) -> HTMLResponse:
        facts = Facts(
            service=about.service,
            version=about.version,
            toolsets=about.toolsets,
            stores=about.stores,
            revisions=list(REVISIONS),
            base=_address(request),
            wants_token=about.wants_token,
            has_map=about.has_map,
            has_servers=about.has_servers,
        )
        return HTMLResponse(render_page(facts, [] if about.wants_token else definitions(registry)))

    @site.get("/parts/tools", response_class=HTMLResponse, include_in_schema=False)
    async def tools_fragment() -> HTMLResponse:
        return HTMLResponse(render_tools(definitions(registry), about.has_servers))

    @site.get("/page/{name}", include_in_schema=False)
    async def asset(name: str, accept_encoding: Annotated[str, Header()] = "") -> Response:
        found = assets().at(name)
        if found is None:
            return JSONResponse({"error": f"there is no {name[:200]!r} here: load the page again"}, 404)
        headers = {"cache-control": _FOR_EVER, "vary": "accept-encoding"}
        if "gzip" not in accept_encoding:
            return Response(found.body, media_type=found.content_type, headers=headers)
        return Response(found.compressed, media_type=found.content_type, headers=headers | {"content-encoding": "gzip"})

    @site.get("/map", include_in_schema=False)
    async def default_map() -> Response:
        return RedirectResponse("map/default")

    @site.get("/map/{session}", response_class=HTMLResponse, include_in_schema=False)
    async def one_map(session: str) -> Response:
        if not about.has_map:
            return JSONResponse({"error": "there are no maps here: add map to MCP_TOOLSETS"}, 404)
        if not _MAP_NAME.fullmatch(session):
            return JSONResponse({"error": "a map's name has 1 to 128 letters, digits, - _ and ."}, 404)
        return HTMLResponse(render_map(about.service, session))

    site.include_router(api_router(registry, about))

    @site.exception_handler(404)
    async def nothing_here(request: Request, _: Exception) -> JSONResponse:
        error = f"there is nothing at {request.url.path[:200]}: MCP is at /mcp, the page at /"
        return JSONResponse({"error": error}, 404)

    return site


def _address(request: Request) -> str:
    """How the browser came here; only shown, so a proxy's word for the scheme is good enough."""
    scheme = "https" if request.headers.get("x-forwarded-proto") == "https" else request.url.scheme
    return f"{scheme}://{request.url.netloc}"
