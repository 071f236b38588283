"""Capabilities for tests."""

import asyncio
import logging
import os
import secrets
from pathlib import Path
from typing import Any

from app.mesh.agent import CallFailed, call, capability
from app.telemetry.tracing import current_trace

logger = logging.getLogger("slipway.tests")


@capability(version="1.4.0", timeout=20, tags=("text", "fast"))
async def shout(text: str) -> str:
    """Say it louder, and who said it."""
    return f"{text.upper()} {os.environ['MCP_AGENT_NAME']}:{os.getpid()}"


@capability
async def add(left: int, right: int) -> dict[str, int]:
    """Add two numbers."""
    return {"sum": left + right}


@capability
async def stumble() -> str:
    """Fail, and say why."""
    raise CallFailed("the left foot met the right one")


@capability
async def trace() -> str:
    """The trace that this call belongs to."""
    found = current_trace()
    logger.info("asked for the trace")
    return "" if found is None else found.traceparent


@capability
async def hold(folder: str) -> str:
    """Say that it has begun; end when it may."""
    place = Path(folder)
    (place / f"begun-{os.getpid()}-{secrets.token_hex(4)}").touch()
    while not (place / "go").exists():  # noqa: ASYNC110 (another process says when)
        await asyncio.sleep(0.01)
    return str(os.getpid())


@capability(needs=("shout@^1",))
async def relay(capability: str, arguments: dict[str, Any], version: str = "*", timeout: float = 10) -> dict[str, Any]:
    """Call another agent, and hand on what it answers."""
    logger.info("asking '%s'", capability)
    return {"answer": await call(capability, arguments, version=version, timeout=timeout)}
