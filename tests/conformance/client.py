"""What the official suite runs as a client: our own, doing with each scenario's server what the scenario asks."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from contextlib import suppress
from typing import Any

from app.client import Client, ClientError, RemoteError, revision_named

_REFUSED = (RemoteError, ClientError)
_EXAMPLES = {"string": "x", "number": 2, "integer": 2, "boolean": True}


async def accept_defaults(asked: dict[str, Any]) -> dict[str, Any]:
    """Answer a question as a person would who agrees to all that it suggests."""
    fields = asked["requestedSchema"]["properties"]
    return {"action": "accept", "content": {name: f["default"] for name, f in fields.items() if "default" in f}}


def example(schema: dict[str, Any]) -> dict[str, Any]:
    """Arguments that fit a tool's schema well enough."""
    return {name: _EXAMPLES.get(field.get("type"), "x") for name, field in schema.get("properties", {}).items()}


async def explore(client: Client) -> None:
    """Look at everything that is offered, and call every tool."""
    with suppress(*_REFUSED):
        for offered in (await client.request("resources/list")).get("resources", []):
            await client.request("resources/read", {"uri": offered["uri"]})
    with suppress(*_REFUSED):
        for offered in (await client.request("prompts/list")).get("prompts", []):
            await client.request("prompts/get", {"name": offered["name"]})
    schemas = {tool["name"]: tool["inputSchema"] for tool in await client.list_tools()}
    for name, schema in schemas.items():
        with suppress(*_REFUSED):
            if name == "json_schema_echo":
                await client.call_tool(name, {"schema": schemas["json_schema_2020_12_tool"]})
            else:
                await client.call_tool(name, example(schema))


async def main() -> None:
    scenario = os.environ["MCP_CONFORMANCE_SCENARIO"]
    told: dict[str, Any] = json.loads(os.environ.get("MCP_CONFORMANCE_CONTEXT") or "{}")
    # This scenario wants to see a client find out by itself what the server speaks.
    era = "auto" if scenario == "request-metadata" else os.environ["MCP_CONFORMANCE_PROTOCOL_VERSION"]
    async with Client(sys.argv[-1], revision=revision_named(era), elicit=accept_defaults, timeout=15) as client:
        if "toolCalls" not in told:
            await explore(client)
            return
        await client.list_tools()
        for call in told["toolCalls"]:
            await client.call_tool(call["name"], call["arguments"])


if __name__ == "__main__":
    asyncio.run(main())
