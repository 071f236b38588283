"""Tools that make tools; offered where the settings allow it."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta

from app.toolsets import Offer, ToolAnnotations, tool
from app.toolsets.documents.stored_tools import StoredTool
from app.toolsets.documents.watcher import ToolWatcher

_CHANGES = ToolAnnotations(destructive_hint=True, open_world_hint=False)

Name = Annotated[str, Meta(min_length=1, max_length=64, description="The tool's name: letters, digits, _ -")]


def defining_tools(watcher: ToolWatcher) -> list[Offer]:
    """The tools, which keep and delete definitions."""

    @tool(title="Define a tool", annotations=_CHANGES)
    async def define_tool(
        name: Name,
        description: Annotated[str, Meta(min_length=1, max_length=2_000, description="What it does, for a model")],
        input_schema: Annotated[
            dict[str, Any],
            Meta(
                description="A JSON Schema of its arguments: an object of text, numbers, booleans and arrays of them",
                examples=[{"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}],
            ),
        ],
        query: Annotated[
            dict[str, Any],
            Meta(
                description="collection; operation: find (filter, projection, sort, limit) or aggregate (pipeline, "
                'limit). A value "{{name}}" in the filter, $match, $limit or $skip is that argument',
                examples=[{"collection": "people", "filter": {"city": "{{city}}"}, "sort": {"name": 1}}],
            ),
        ],
        title: Annotated[str, Meta(max_length=100)] = "",
    ) -> None:
        """Define a tool that asks a query, or replace the one of that name. Every client of this server sees it."""
        await watcher.define(StoredTool(name, description, input_schema, query, title))

    @tool(title="Remove a tool", annotations=_CHANGES)
    async def remove_tool(name: Name) -> None:
        """Remove a tool that was defined with define_tool."""
        await watcher.forget(name)

    return [define_tool, remove_tool]
