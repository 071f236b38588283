"""Clients that other people wrote, against our server as it runs: over every transport and era that they speak."""

import sys
from pathlib import Path

import pytest
from mcp import Client, ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client

TOOLS = ["echo", "server_info", "wait"]


def text_of(result) -> str:
    return result.content[0].text


@pytest.mark.parametrize(("mode", "revision"), [("auto", "2026-07-28"), ("legacy", "2025-11-25")])
async def test_the_python_client_over_http(server, mode, revision):
    async with Client(f"http://{server}/mcp", mode=mode) as client:
        assert client.protocol_version == revision
        assert sorted(tool.name for tool in (await client.list_tools()).tools) == TOOLS
        assert text_of(await client.call_tool("echo", {"text": "héllo"})) == "héllo"
        assert (await client.call_tool("echo", {"txt": 1})).is_error


async def test_the_python_client_over_stdio():
    program = StdioServerParameters(command=sys.executable, args=["-m", "app.cli"], env={"MCP_TOOLSETS": "platform"})
    async with stdio_client(program) as streams, ClientSession(*streams) as session:
        await session.initialize()
        assert sorted(tool.name for tool in (await session.list_tools()).tools) == TOOLS
        assert text_of(await session.call_tool("echo", {"text": "héllo"})) == "héllo"


@pytest.mark.parametrize(("mode", "keeps_a_session"), [("auto", False), ("legacy", True)])
def test_the_typescript_client_2(server, node, packages, run_json, mode, keeps_a_session):
    said = run_json(node, packages / "typescript_v2.mjs", f"http://{server}/mcp", mode, cwd=packages)
    assert said == {"tools": TOOLS, "text": "héllo", "refused": True, "session": keeps_a_session}


@pytest.mark.parametrize(
    ("kind", "address"), [("http", "http://{}/mcp"), ("sse", "http://{}/sse"), ("websocket", "ws://{}/mcp")]
)
def test_the_typescript_client_1(server, node, packages, run_json, kind, address):
    said = run_json(node, packages / "typescript_v1.mjs", address.format(server), kind, cwd=packages)
    assert said == {"tools": TOOLS, "text": "héllo", "progressed": True}


def test_the_inspector_calls_a_tool_from_the_command_line(server, node, packages, run_json):
    inspector = packages / "node_modules" / ".bin" / "mcp-inspector"
    call = ["--method", "tools/call", "--tool-name", "echo", "--tool-arg", "text=hi"]
    said = run_json(node, inspector, "--cli", f"http://{server}/mcp", "--transport", "http", *call, cwd=packages)
    assert said["content"] == [{"type": "text", "text": "hi"}]


async def test_mcp_remote_carries_a_stdio_client(server, node, packages: Path, tmp_path):
    remote = packages / "node_modules" / ".bin" / "mcp-remote"
    program = StdioServerParameters(
        command=str(node),
        args=[str(remote), f"http://{server}/mcp", "--allow-http"],
        # It keeps its state in the home folder.
        env={"HOME": str(tmp_path), "MCP_REMOTE_CONFIG_DIR": str(tmp_path)},
    )
    async with stdio_client(program) as streams, ClientSession(*streams) as session:
        await session.initialize()
        assert text_of(await session.call_tool("echo", {"text": "from afar"})) == "from afar"


def test_the_go_client(server, go_client, run_json):
    said = run_json(go_client, f"http://{server}/mcp")
    assert said == {"tools": TOOLS, "text": "héllo"}
