"""Agents: programs that tell the mesh what they can do, and call others by what those can do.

from app.mesh.agent import call, capability

@capability(version="1.2.0", timeout=10, tags=("text",), needs=("translate@^1",))
async def summarize(text: str, language: str) -> str:
    short = text[:200]
    return await call("translate", {"text": short, "to": language})
"""

from app.mesh.agent.calling import CallFailed, MeshError, NobodyThere, TookTooLong, call
from app.mesh.agent.declaring import capability

__all__ = ["CallFailed", "MeshError", "NobodyThere", "TookTooLong", "call", "capability"]
