"""The first agent: it greets, and says which of its replicas did."""

from __future__ import annotations

import socket
from typing import Annotated

from msgspec import Meta

from app.mesh.agent import capability


@capability(version="1.0.0", timeout=30, tags=("sample",))
async def greeting(
    name: Annotated[str, Meta(min_length=1, max_length=200, description="Who is greeted.")] = "world",
) -> str:
    """Greet somebody."""
    return f"Hello, {name}! This is {socket.gethostname()}."
