"""An agent that needs another: `slipway agent --module letters`, beside one that greets, which needs no module."""

from app.mesh.agent import call, capability


@capability(version="1.0.0", timeout=10, tags=("text",), needs=("greeting@^1",))
async def write_letter(to: str, body: str) -> str:
    """Write a letter that begins with another agent's greeting."""
    opening = await call("greeting", {"name": to}, version="^1")
    return f"{opening}\n\n{body}\n"
