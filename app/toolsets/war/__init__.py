"""The galactic war of Helldivers 2, as the HellHub collective's HTTP API tells it."""

from app.toolsets.war import tools

__all__ = ["tools"]
