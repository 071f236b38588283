"""The toolset `documents`: MongoDB where one is configured, SQLite otherwise."""

from __future__ import annotations

from app.cli._equipment import Equipment
from app.cli._problems import WiringError
from app.settings import Settings
from app.toolsets.documents.service import Documents, Limits
from app.toolsets.documents.store import DocumentStore
from app.toolsets.documents.watcher import ToolWatcher


def equip_documents(settings: Settings, equipment: Equipment) -> None:
    """The documents, and the tools that are stored among them."""
    limits = Limits(
        seconds=settings.documents_timeout,
        max_document_bytes=settings.documents_max_document_bytes,
        max_result_bytes=settings.documents_max_result_bytes,
    )
    store = _store(settings)
    documents = Documents(store, limits)
    watcher = ToolWatcher(documents, settings.documents_tools_seconds, defining=settings.documents_define_tools)
    equipment.given += [documents, watcher]
    equipment.stores["documents"] = "memory" if _is_in_memory(settings) else store.kind
    equipment.on_start.append(watcher.start)
    equipment.on_stop += [watcher.close, store.close]
    if not _is_in_memory(settings):
        equipment.checks["documents"] = store.ping


def _store(settings: Settings) -> DocumentStore:
    if settings.mongodb_uri is not None:
        return _mongo(settings.mongodb_uri.get_secret_value(), settings)
    if _is_in_memory(settings) and settings.workers > 1:
        raise WiringError(
            f"MCP_WORKERS={settings.workers} would give each process documents of its own: "
            "set MONGODB_URI, or MCP_DOCUMENTS_PATH to a file that they share."
        )
    from app.toolsets.documents.sqlite import SqliteStore

    path = settings.documents_path
    try:
        return SqliteStore(path, max_bytes=settings.documents_max_bytes, seconds=settings.documents_timeout)
    except OSError as error:
        remedy = "Name a file in a folder that this user may write to."
        raise WiringError(f"MCP_DOCUMENTS_PATH={str(path)!r} is wrong: {error}. {remedy}") from None


def _mongo(uri: str, settings: Settings) -> DocumentStore:
    try:
        from app.toolsets.documents.mongo import MongoStore
    except ImportError:
        raise WiringError(
            "MONGODB_URI is set, but the pymongo package is missing: pip install 'slipway[mongodb]'"
        ) from None
    try:
        return MongoStore(uri, seconds=settings.documents_timeout)
    except ValueError as error:
        remedy = "Percent-encode what is special in the user name and the password."
        raise WiringError(f"MONGODB_URI=(hidden) is wrong: {error}. {remedy}") from None


def _is_in_memory(settings: Settings) -> bool:
    return settings.mongodb_uri is None and settings.documents_path is None
