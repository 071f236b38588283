"""Keeps the tools that are offered in step with those that are stored, while the server runs."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from typing import Any

import msgspec

from app.protocol.handlers import Tool, ToolFailure
from app.toolsets import ToolsetRegistry
from app.toolsets.documents.errors import Refused, shown
from app.toolsets.documents.filters import compile_filter
from app.toolsets.documents.service import Documents
from app.toolsets.documents.store import TOOLS, DuplicateId, Extent, Filter, Query
from app.toolsets.documents.stored_tools import StoredTool, make_tool, parse_stored_tool
from app.toolsets.documents.updates import compile_update
from app.toolsets.documents.values import Document

logger = logging.getLogger("slipway.documents")

MOST_TOOLS = 500
_MOST_BYTES = 8 * 1024 * 1024
_PATIENCE_AT_START = 3.0
_decode = msgspec.json.Decoder(dict[str, Any]).decode


class ToolWatcher:
    """Looks every so often; each replica looks for itself."""

    def __init__(self, documents: Documents, interval: float, *, defining: bool = False) -> None:
        self.defining = defining
        """Whether clients may define tools."""
        self._documents = documents
        self._interval = interval
        self._registry: ToolsetRegistry | None = None
        self._offered: dict[str, tuple[bytes, Tool | None]] = {}
        """What was made of each definition; None of one that is wrong, so that it is told once."""
        self._watching: asyncio.Task[None] | None = None
        self._looking = asyncio.Lock()
        self._away = False

    def offer_to(self, registry: ToolsetRegistry) -> None:
        """Where the tools are put."""
        self._registry = registry

    async def start(self) -> None:
        """Look for the first time, without waiting long for a store that does not answer, and then go on."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_PATIENCE_AT_START):
                await self._look_quietly()
        self._watching = asyncio.create_task(self._watch(), name="stored tools")

    async def close(self) -> None:
        """Look no more."""
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.gather(self._watching, return_exceptions=True)

    async def define(self, stored: StoredTool) -> None:
        """Keep a definition, in place of one of that name. Raises `Refused` for one that would not work."""
        made = make_tool(stored, self._documents)
        if self._is_taken(made.definition.name):
            raise Refused(f"There is already a tool '{stored.name}' which is not a stored one: use another name.")
        kept = {
            "name": stored.name,
            "title": stored.title,
            "description": stored.description,
            # As text: what is in them may begin with $, which names of fields may not everywhere.
            "inputSchema": _text(stored.input_schema),
            "query": _text(stored.query),
        }
        store, wanted = self._documents.store, _named(stored.name)
        done = await store.update(TOOLS, wanted, compile_update({"$set": kept}), many=False, schema=None)
        if not done.matched:
            with suppress(DuplicateId):  # somebody else defines it at the same time
                await store.insert(TOOLS, [{"_id": stored.name, **kept}])
        await self.look()

    async def forget(self, name: str) -> None:
        """Delete a definition. Raises `Refused` where there is none."""
        if not await self._documents.store.delete(TOOLS, _named(name), many=True):
            known = ", ".join(self._offered) or "none"
            raise Refused(f"There is no stored tool {shown(name)}. There are: {known}.")
        await self.look()

    async def look(self) -> None:
        """Offer what is stored now, and tell of what changed."""
        async with self._looking:
            everything = Query(filter=Filter({}, compile_filter({})))
            extent = Extent(documents=MOST_TOOLS, size=_MOST_BYTES, seconds=self._documents.limits.seconds)
            found = await self._documents.store.find(TOOLS, everything, extent)
            if found.more:
                logger.warning("only the first %s stored tools are offered", len(found.documents))
            self._offer(_by_name([bytes(document) for document in found.documents]))

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(self._interval)
            await self._look_quietly()

    async def _look_quietly(self) -> None:
        try:
            await self.look()
        except ToolFailure as failure:
            if not self._away:
                logger.warning("stored tools stay as they are: %s", failure)
            self._away = True
        else:
            self._away = False

    def _offer(self, definitions: dict[str, bytes]) -> None:
        if self._registry is None:
            return
        for name in [name for name, (body, _) in self._offered.items() if definitions.get(name) != body]:
            _, gone = self._offered.pop(name)
            if gone is not None:
                self._registry.remove_tool(name)
        made: list[Tool] = []
        for name, body in definitions.items():
            if name not in self._offered:
                new = self._made(name, body)
                self._offered[name] = (body, new)
                if new is not None:
                    made.append(new)
        if made:
            self._registry.add(*made)

    def _made(self, name: str, body: bytes) -> Tool | None:
        try:
            made = make_tool(parse_stored_tool(body), self._documents)
            if self._is_taken(name):
                raise Refused("another toolset has a tool of that name.")
        except Refused as refused:
            logger.warning("the stored tool %s is not offered: %s", shown(name), refused)
            return None
        return made

    def _is_taken(self, name: str) -> bool:
        ours = self._offered.get(name)
        return (
            (ours is None or ours[1] is None) and self._registry is not None and self._registry.tool(name) is not None
        )


def _named(name: str) -> Filter:
    wanted: Document = {"name": name}
    return Filter(wanted, compile_filter(wanted))


def _text(value: object) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _by_name(bodies: list[bytes]) -> dict[str, bytes]:
    """The definitions, the first of each name; what has no name is left out."""
    found: dict[str, bytes] = {}
    for body in bodies:
        name: object = _decode(body).get("name")
        if isinstance(name, str):
            found.setdefault(name, body)
    return found
