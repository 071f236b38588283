"""The peers of `gateway_calls.py`: installed once into folders of their own, and how each is started."""

import json
import os
import secrets
import shlex
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from pathlib import Path

from gateway_bridges import HERE, Bridge

CACHE = Path.home() / ".cache" / "slipway-tests"
NPM = {"supergateway": "4.0.0", "mcp-proxy": "6.7.19"}
PYPI = {
    "mcp-proxy": ["mcp-proxy==0.13.0"],
    "fastmcp": ["fastmcp==4.1.2", "uvicorn", "httptools", "uvloop"],
    "contextforge": ["mcp-contextforge-gateway==1.0.7.post20260921"],
    "mcp-hangar": ["mcp-hangar==2.34.4"],
}
ADMINISTRATOR = "admin@example.com"


def python_of(peer: str) -> Path:
    """The interpreter of an environment that has only this peer."""
    folder = CACHE / f"bench-peers-{peer}"
    python = folder / "bin" / "python"
    if not (folder / ".done").exists():
        uv = shutil.which("uv") or str(Path(sys.executable).parent / "uv")
        subprocess.run([uv, "venv", "-q", "--clear", "--python", sys.executable, str(folder)], check=True, timeout=120)
        subprocess.run([uv, "pip", "install", "-q", "--python", str(python), *PYPI[peer]], check=True, timeout=900)
        (folder / ".done").touch()
    return python


def node_of(peer: str) -> list[str]:
    """The command of a package of npm."""
    folder = CACHE / f"bench-peers-npm-{peer}"
    if not (folder / ".done").exists():
        folder.mkdir(parents=True, exist_ok=True)
        npm, wanted = shutil.which("npm") or "npm", f"{peer}@{NPM[peer]}"
        command = [npm, "install", "--ignore-scripts", "--no-audit", "--no-fund", "--silent", "--prefix", str(folder)]
        subprocess.run([*command, wanted], check=True, timeout=600)
        (folder / ".done").touch()
    return [shutil.which("node") or "node", str((folder / "node_modules" / ".bin" / peer).resolve())]


def supergateway() -> Callable[[Bridge], list[str]]:
    words = [*node_of("supergateway"), "--outputTransport", "streamableHttp", "--stateful", "--logLevel", "none"]
    return lambda bridge: [*words, "--port", str(bridge.port), "--stdio", shlex.join(bridge.upstream)]


def proxy_of_npm() -> Callable[[Bridge], list[str]]:
    words = [*node_of("mcp-proxy"), "--server", "stream", "--host", "127.0.0.1"]
    return lambda bridge: [*words, "--port", str(bridge.port), "--", *bridge.upstream]


def proxy_of_pypi() -> Callable[[Bridge], list[str]]:
    words = [str(python_of("mcp-proxy").parent / "mcp-proxy"), "--log-level", "ERROR"]
    return lambda bridge: [*words, "--port", str(bridge.port), "--", *bridge.upstream]


def fastmcp() -> Callable[[Bridge], list[str]]:
    words = [str(python_of("fastmcp")), str(HERE / "peers" / "fast_proxy.py")]
    return lambda bridge: [*words, str(bridge.port), *bridge.upstream]


def translate() -> Callable[[Bridge], list[str]]:
    words = [str(python_of("contextforge")), "-m", "mcpgateway.translate", "--expose-streamable-http"]
    more = ["--logLevel", "error", "--host", "127.0.0.1"]
    return lambda bridge: [*words, *more, "--port", str(bridge.port), "--stdio", shlex.join(bridge.upstream)]


def contextforge() -> Callable[[Bridge], list[str]]:
    words = [str(python_of("contextforge").parent / "uvicorn"), "mcpgateway.main:app", "--log-level", "error"]
    return lambda bridge: [*words, "--host", "127.0.0.1", "--port", str(bridge.port)]


def contextforge_environment(folder: Path) -> dict[str, str]:
    """A database of its own, no client asked who it is, the pages switched off: as little as it can do."""
    return {
        "DATABASE_URL": f"sqlite:///{folder / 'mcp.db'}",
        "JWT_SECRET_KEY": secrets.token_hex(32),
        "AUTH_ENCRYPTION_SECRET": secrets.token_hex(32),
        "PLATFORM_ADMIN_PASSWORD": secrets.token_urlsafe(16) + "aA1!",
        "BASIC_AUTH_PASSWORD": secrets.token_urlsafe(16) + "aA1!",
        "PLATFORM_ADMIN_EMAIL": ADMINISTRATOR,
        "MCP_REQUIRE_AUTH": "false",
        "MCPGATEWAY_UI_ENABLED": "false",
        "SSRF_ALLOW_LOCALHOST": "true",
        "SSRF_ALLOW_PRIVATE_NETWORKS": "true",
        "RATE_LIMITING_ENABLED": "false",
        "CACHE_TYPE": "memory",
        "LOG_LEVEL": "ERROR",
    }


def register(bridge: Bridge) -> None:
    """Tell ContextForge of the server, as its administrator."""
    words = ["-m", "mcpgateway.utils.create_jwt_token", "--username", ADMINISTRATOR, "--admin", "--exp", "10"]
    secret = ["--secret", bridge.environment["JWT_SECRET_KEY"]]
    command = [str(python_of("contextforge")), *words, *secret]
    said = subprocess.run(
        command, env={**os.environ, **bridge.environment}, capture_output=True, text=True, check=True, timeout=60
    ).stdout
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {said.split()[-1]}"}
    server = {"name": "echo", "url": bridge.upstream[0], "transport": "STREAMABLEHTTP", "visibility": "public"}
    url = f"http://127.0.0.1:{bridge.port}/gateways"
    urllib.request.urlopen(urllib.request.Request(url, json.dumps(server).encode(), headers), timeout=60).read()


def hangar() -> Callable[[Bridge], list[str]]:
    words = [str(python_of("mcp-hangar").parent / "mcp-hangar")]

    def command(bridge: Bridge) -> list[str]:
        remote = bridge.upstream[0].startswith("http")
        how = {"mode": "remote", "endpoint": bridge.upstream[0]} if remote else {}
        how = how or {"mode": "subprocess", "command": bridge.upstream}
        file = bridge.folder / "config.yaml"
        file.write_text(json.dumps({"mcp_servers": {"echo": how}, "rate_limit": {"rps": 100_000, "burst": 100_000}}))
        return [*words, "--config", str(file), "serve", "--http", "--port", str(bridge.port), "--log-level", "ERROR"]

    return command
