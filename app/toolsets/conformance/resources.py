"""The suite's resources, and a skill."""

from __future__ import annotations

import json
from pathlib import Path

from app.toolsets import Skill, ToolsetRegistry, resource, resource_template
from app.toolsets.conformance.media import RED_DOT

_SKILLS = Path(__file__).parent / "skills"


@resource("test://static-text", mime_type="text/plain")
async def static_text() -> str:
    """A text that never changes."""
    return "This is the content of the static text resource."


@resource("test://static-binary", mime_type="image/png")
async def static_binary() -> bytes:
    """A picture that never changes."""
    return RED_DOT


@resource("test://watched-resource", mime_type="text/plain")
async def watched_resource() -> str:
    """A text that can be subscribed to."""
    return "This resource can be watched."


@resource_template("test://template/{id}/data", mime_type="application/json")
async def template_data(id: str) -> str:  # noqa: A002
    """A document for each id."""
    return json.dumps({"id": id, "templateTest": True, "data": f"Data for ID: {id}"})


def offers(registry: ToolsetRegistry) -> list[Skill]:  # noqa: ARG001
    """The skills that lie beside this module."""
    return [Skill.from_directory(directory) for directory in sorted(_SKILLS.iterdir()) if directory.is_dir()]
