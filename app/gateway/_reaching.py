"""How a server is reached: its transport, its port, and how our own image is told of both."""

from __future__ import annotations

from urllib.parse import urlsplit

from app.gateway.spec import Place, ServerType, Transport
from app.gateway.templates import Template

_ARCHON_PORT = 8051
_PORT = 8000
_TRANSPORTS: dict[ServerType, Transport] = {
    "npx": "stdio",
    "uv": "stdio",
    "archon": "sse",
    "image": "http",
    "remote": "http",
}


def transport_of(kind: ServerType, template: Template | None, url: str | None) -> Transport:
    """How a server is spoken to whose declaration does not say."""
    if template is not None:
        return template.transport
    if kind == "remote" and url:
        parts = urlsplit(url)
        if parts.scheme in ("ws", "wss"):
            return "websocket"
        return "sse" if parts.path.rstrip("/").endswith("/sse") else "http"
    return _TRANSPORTS[kind]


def usual_port(kind: ServerType, place: Place) -> int:
    """Where a server listens that nobody named a port for."""
    # A pod has an address of its own; on one machine, our own server would meet others on 8000.
    return _ARCHON_PORT if kind == "archon" and place == "process" else _PORT


def listening(kind: ServerType, transport: Transport, port: int | None, place: Place) -> dict[str, str]:
    """How our own image is told where to listen."""
    if kind != "archon":
        return {}
    if port is None:
        return {"MCP_TRANSPORT": transport}
    host = "127.0.0.1" if place == "process" else "0.0.0.0"  # noqa: S104 (a pod's own network)
    return {"MCP_TRANSPORT": transport, "MCP_HOST": host, "MCP_PORT": str(port)}
