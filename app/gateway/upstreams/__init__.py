"""External servers as `Upstream`s, over any transport, in either era of the protocol."""

from __future__ import annotations

from typing import TYPE_CHECKING

from app.gateway.launcher import Endpoint, UrlEndpoint
from app.gateway.upstreams.link import Link
from app.gateway.upstreams.options import UpstreamOptions
from app.gateway.upstreams.server import ServerUpstream

if TYPE_CHECKING:
    from collections.abc import Callable

    from app.gateway.upstream import News, Upstream

__all__ = ["UpstreamOptions", "open_upstream"]


def open_upstream(server_id: str, endpoint: Endpoint, options: UpstreamOptions | None = None) -> Upstream:
    """The upstream of a server, to be opened; within a running event loop. Raises `ValueError` for a wrong address."""
    chosen = options or UpstreamOptions()

    def make(tell: Callable[[News], None], lost: Callable[[str], None]) -> Link:
        return _link(server_id, endpoint, chosen, tell, lost)

    return ServerUpstream(server_id, make, chosen)


def _link(
    label: str,
    endpoint: Endpoint,
    options: UpstreamOptions,
    tell: Callable[[News], None],
    lost: Callable[[str], None],
) -> Link:
    from app.gateway.upstreams.stream_link import Channel, Lost, StreamLink, Take

    if not isinstance(endpoint, UrlEndpoint):
        from app.gateway.upstreams.stdio import connect_stdio

        async def start(take: Take, ended: Lost) -> Channel:
            return await connect_stdio(endpoint, take, ended)

        return StreamLink(label, start, options, tell, lost, era=options.era)
    match endpoint.transport:
        case "http":
            from app.gateway.upstreams.http_link import HttpLink

            return HttpLink(label, endpoint, options, tell, lost)
        case "sse":
            from app.gateway.upstreams.sse import connect_sse

            async def listen(take: Take, ended: Lost) -> Channel:
                return await connect_sse(endpoint, options, take, ended)

            return StreamLink(label, listen, options, tell, lost, era="handshake")
        case "websocket":
            from app.gateway.upstreams.websocket import connect_websocket

            async def connect(take: Take, ended: Lost) -> Channel:
                return await connect_websocket(endpoint, options, take, ended)

            return StreamLink(label, connect, options, tell, lost, era=options.era)
        case "stdio":
            raise ValueError(f"Server {label!r} has a URL and the transport 'stdio': use http, sse or websocket.")
