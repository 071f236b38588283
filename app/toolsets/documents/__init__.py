"""Documents that agents keep: collections, queries and aggregations, in MongoDB or embedded."""

from __future__ import annotations

from app.toolsets import Offer, ToolsetRegistry
from app.toolsets.documents.defining import defining_tools
from app.toolsets.documents.service import Documents
from app.toolsets.documents.tools import document_tools
from app.toolsets.documents.watcher import ToolWatcher


def offers(registry: ToolsetRegistry) -> list[Offer]:
    """The tools for the documents that were given; for documents in memory where none were."""
    tools = document_tools(registry.given(Documents) or _in_memory())
    watcher = registry.given(ToolWatcher)
    if watcher is not None:
        watcher.offer_to(registry)
        if watcher.defining:
            tools += defining_tools(watcher)
    return tools


def _in_memory() -> Documents:
    from app.toolsets.documents.sqlite import SqliteStore

    return Documents(SqliteStore(max_bytes=64 * 1024 * 1024, seconds=5))
