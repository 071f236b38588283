"""What a browser and other programs read besides the protocol: the page, its two assets, and a small REST part."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from importlib.resources import files

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, JSONResponse, Response
from pydantic import BaseModel, Field

from app.protocol.content import ToolDefinition
from app.protocol.handlers import Registry
from app.protocol.revisions import REVISIONS
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
_ASSETS = {"page.css": "text/css; charset=utf-8", "page.js": "text/javascript; charset=utf-8"}


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """What the page tells about the running program."""

    service: str
    version: str
    toolsets: Sequence[str]
    stores: dict[str, str]
    wants_token: bool


class Status(BaseModel):
    """What runs."""

    service: str = Field(examples=["slipway"])
    version: str
    tools: int = Field(description="How many tools are served")
    toolsets: list[str]
    stores: dict[str, str] = Field(description="What is kept where", examples=[{"sessions": "redis"}])
    revisions: list[str] = Field(description="The protocol revisions that are spoken, the oldest first")


class ToolSummary(BaseModel):
    """One tool, shortly; `tools/list` of the protocol says all."""

    name: str
    description: str


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
        )
        return HTMLResponse(render_page(facts, [] if about.wants_token else _definitions(registry)))

    @site.get("/page/tools", response_class=HTMLResponse, include_in_schema=False)
    async def tools_fragment() -> HTMLResponse:
        return HTMLResponse(render_tools(_definitions(registry)))

    @site.get("/page/{name}", include_in_schema=False)
    async def asset(name: str) -> Response:
        if name not in _ASSETS:
            return JSONResponse({"error": f"there is no {name!r} here"}, 404)
        body = files("app.web").joinpath(name).read_bytes()
        return Response(body, media_type=_ASSETS[name], headers={"cache-control": "max-age=300"})

    @site.get("/api/status", summary="What runs")
    async def status() -> Status:
        return Status(
            service=about.service,
            version=about.version,
            tools=len(registry.tools()),
            toolsets=list(about.toolsets),
            stores=about.stores,
            revisions=list(REVISIONS),
        )

    @site.get("/api/tools", summary="The tools served, shortly")
    async def tools() -> list[ToolSummary]:
        return [ToolSummary(name=tool.name, description=_text(tool.description)) for tool in _definitions(registry)]

    @site.exception_handler(404)
    async def nothing_here(request: Request, _: Exception) -> JSONResponse:
        error = f"there is nothing at {request.url.path[:200]}: MCP is at /mcp, the page at /"
        return JSONResponse({"error": error}, 404)

    return site


def _address(request: Request) -> str:
    """How the browser came here; only shown, so a proxy's word for the scheme is good enough."""
    scheme = "https" if request.headers.get("x-forwarded-proto") == "https" else request.url.scheme
    return f"{scheme}://{request.url.netloc}"


def _definitions(registry: Registry) -> list[ToolDefinition]:
    return [tool.definition for tool in registry.tools()]


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
