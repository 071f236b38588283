"""HTTP+SSE with the client of the `mcp` package."""

from __future__ import annotations

from mcp import ClientSession
from mcp.client.sse import sse_client


async def test_the_official_client_lists_and_calls_tools(serve) -> None:
    server = await serve()
    async with sse_client(f"{server.http}/sse") as (read, write), ClientSession(read, write) as session:
        hello = await session.initialize()
        assert hello.server_info.name == "slipway"
        assert "echo" in {tool.name for tool in (await session.list_tools()).tools}
        result = await session.call_tool("echo", {"text": "hello"})
        assert result.content[0].text == "hello"
