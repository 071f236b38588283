"""All items of a list, page after page, from servers that may never come to an end."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import msgspec
from msgspec import Raw

from app.gateway.upstream import ListName, UpstreamFailure
from app.gateway.upstreams.wire import encode, is_object
from app.protocol.errors import INTERNAL_ERROR, METHOD_NOT_FOUND

_log = logging.getLogger("slipway.gateway")


@dataclass(frozen=True, slots=True)
class Listed:
    """One kind of list."""

    method: str
    member: str
    capability: str


LISTS: dict[ListName, Listed] = {
    "tools": Listed("tools/list", "tools", "tools"),
    "prompts": Listed("prompts/list", "prompts", "prompts"),
    "resources": Listed("resources/list", "resources", "resources"),
    "templates": Listed("resources/templates/list", "resourceTemplates", "resources"),
}


class _Page(msgspec.Struct):
    tools: list[Raw] = []
    prompts: list[Raw] = []
    resources: list[Raw] = []
    templates: list[Raw] = msgspec.field(name="resourceTemplates", default_factory=list[Raw])
    next_cursor: str | None = msgspec.field(name="nextCursor", default=None)


_decode = msgspec.json.Decoder(_Page).decode


async def all_items(
    ask: Callable[[str, Raw], Awaitable[Raw]], name: ListName, label: str, *, max_pages: int, max_items: int
) -> list[Raw]:
    """Every item that is a JSON object; where a server lists without end, what came until then."""
    listed = LISTS[name]
    items: list[Raw] = []
    seen: set[str] = set()
    params = Raw(b"{}")
    for _ in range(max_pages):
        try:
            answer = await ask(listed.method, params)
        except UpstreamFailure as error:
            if name == "templates" and error.code == METHOD_NOT_FOUND:
                return items  # servers with resources need not have any templates
            raise
        try:
            page = _decode(answer)
        except (msgspec.MsgspecError, RecursionError) as error:
            raise UpstreamFailure(
                INTERNAL_ERROR, f"The server's answer to {listed.method} is no list: {error}."
            ) from None
        items += [item for item in getattr(page, name) if is_object(item)]
        cursor = page.next_cursor
        if not cursor:
            return items
        if cursor in seen:
            _log.warning("server %r: %s comes back to a page that it gave before: cut off there", label, listed.method)
            return items
        if len(items) >= max_items:
            break
        seen.add(cursor)
        params = Raw(encode({"cursor": cursor}))
    _log.warning("server %r: %s has no end: cut off after %d items", label, listed.method, len(items))
    return items[:max_items]
