"""A server made with the official package: `python official_server.py stdio|streamable-http|sse [port]`."""

import sys
from typing import Any

from mcp.server.mcpserver import Context, MCPServer
from pydantic import BaseModel

server = MCPServer("official", instructions="Add numbers.")


class Who(BaseModel):
    name: str


@server.tool()
async def add(a: int, b: int) -> int:
    """Add."""
    return a + b


@server.tool()
async def count(ctx: Context[Any, Any], to: int) -> str:
    """Report progress."""
    for number in range(1, to + 1):
        await ctx.report_progress(number, to)
    return f"counted to {to}"


@server.tool()
async def greet(ctx: Context[Any, Any]) -> str:
    """Ask a person."""
    answer = await ctx.elicit("Who are you?", Who)
    return f"hello {answer.data.name}" if answer.action == "accept" else answer.action


@server.resource("note://one")
async def note() -> str:
    """A note."""
    return "noted"


if __name__ == "__main__":
    transport = sys.argv[1]
    if transport == "stdio":
        server.run("stdio")
    else:
        server.run(transport, host="127.0.0.1", port=int(sys.argv[2]))
