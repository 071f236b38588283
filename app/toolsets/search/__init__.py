"""The web: search it by a provider of the operator's choice, and read its pages as text."""

from app.toolsets.search import tools

__all__ = ["tools"]
