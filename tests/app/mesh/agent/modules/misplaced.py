"""An agent that has something of its own to offer."""

from app.mesh.agent import capability


@capability
async def whisper() -> str:
    """Say it quietly."""
    return "psst"
