"""Maps that agents draw on and people watch: a view, markers and layers, one state for each session."""

from app.toolsets.map import tools

__all__ = ["tools"]
