"""What one server offers, made ready to be served: each tool, prompt and resource as the protocol's handlers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar, cast

import msgspec
from msgspec import UNSET, Raw, UnsetType

from app.gateway.catalogue.addresses import mark
from app.gateway.catalogue.forwarding import Forwarder
from app.gateway.catalogue.names import prefixed, problem_with
from app.protocol.context import CallContext
from app.protocol.passing import Members, PassedPrompt, PassedResource, PassedTemplate, PassedTool, decode_members

STALE = "slipway.dev/stale"
"""In the `_meta` of what is kept from when its server was last reached; its value is a list of that server's id."""

_encode = msgspec.json.Encoder().encode
_decode_value = msgspec.json.Decoder().decode
_decode_contents = msgspec.json.Decoder(list[Members]).decode
_decode_text = msgspec.json.Decoder(str).decode
Item = TypeVar("Item")


class OfferedTool:
    """A tool of a server."""

    __slots__ = ("_forwarder", "_own", "_repeatable", "definition")

    tasks: Literal["forbidden"] = "forbidden"
    asks_first = False

    def __init__(self, forwarder: Forwarder, own: Raw, definition: PassedTool) -> None:
        self._forwarder = forwarder
        self._own = own
        hints = _object(definition.members.get("annotations"))
        self._repeatable = hints.get("readOnlyHint") is True or hints.get("idempotentHint") is True
        self.definition = definition

    def call(self, arguments: Raw | None, context: CallContext) -> Awaitable[Raw]:  # noqa: ARG002 (all is passed on)
        """See `Tool`."""
        return self._forwarder.call_tool(self._own, context, repeatable=self._repeatable)


class OfferedPrompt:
    """A prompt of a server."""

    __slots__ = ("_forwarder", "_own", "definition")

    def __init__(self, forwarder: Forwarder, own: Raw, definition: PassedPrompt) -> None:
        self._forwarder = forwarder
        self._own = own
        self.definition = definition

    def get(self, arguments: Mapping[str, str], context: CallContext) -> Awaitable[Raw]:  # noqa: ARG002
        """See `Prompt`."""
        return self._forwarder.get("prompts/get", "name", self._own, context)

    def complete(self, argument: Mapping[str, str], known: Mapping[str, str]) -> Awaitable[Raw]:
        """Suggestions for an argument."""
        return _complete(self._forwarder, {"type": "ref/prompt", "name": self._own}, argument, known)


class OfferedResource:
    """A resource of a server, or a template, or whatever else the server may have at an address."""

    __slots__ = ("_forwarder", "_marked", "definition", "own")

    def __init__(
        self, forwarder: Forwarder, own: str, definition: PassedResource | PassedTemplate, *, marked: bool
    ) -> None:
        self._forwarder = forwarder
        self._marked = marked
        self.own = own
        """Its address, or its template, as the server itself knows it."""
        self.definition = definition

    @property
    def forwarder(self) -> Forwarder:
        """The way to its server."""
        return self._forwarder

    async def read(self, uri: str, context: CallContext) -> Raw:
        """See `Resource`."""
        server_id = self._forwarder.server_id
        own = uri.removeprefix(mark(server_id, "")) if self._marked else uri
        result = await self._forwarder.get("resources/read", "uri", Raw(_encode(own)), context)
        return _marked_contents(result, server_id) if self._marked else result

    def complete(self, argument: Mapping[str, str], known: Mapping[str, str]) -> Awaitable[Raw]:
        """Suggestions for an argument of the template."""
        return _complete(self._forwarder, {"type": "ref/resource", "uri": self.own}, argument, known)


@dataclass(frozen=True, slots=True)
class Lists:
    """What a server listed, as it came."""

    tools: tuple[bytes, ...] = ()
    prompts: tuple[bytes, ...] = ()
    resources: tuple[bytes, ...] = ()
    templates: tuple[bytes, ...] = ()


@dataclass(slots=True)
class Offers:
    """What a server offers, by name or address, with what could not be served as it is."""

    tools: dict[str, OfferedTool] = field(default_factory=dict[str, OfferedTool])
    prompts: dict[str, OfferedPrompt] = field(default_factory=dict[str, OfferedPrompt])
    resources: dict[str, OfferedResource] = field(default_factory=dict[str, OfferedResource])
    templates: dict[str, OfferedResource] = field(default_factory=dict[str, OfferedResource])
    problems: list[str] = field(default_factory=list[str])


def offers_of(lists: Lists, forwarder: Forwarder, *, beside_others: bool, stale: bool) -> Offers:
    """All that a server listed; with `beside_others`, under prefixed names."""
    found = Offers()
    server_id = forwarder.server_id

    def name_of(own: str) -> str:
        return prefixed(server_id, own) if beside_others else own

    for own, members in _items(lists.tools, "name", "tool", found.problems):
        name = name_of(own)
        offered = OfferedTool(forwarder, members["name"], _tool(name, _shown(members, "name", name, server_id, stale)))
        if _put(found.tools, name, offered, "tool", found.problems):
            problem = problem_with(server_id, own) if beside_others else None
            found.problems.extend([problem] if problem else [])
    for own, members in _items(lists.prompts, "name", "prompt", found.problems):
        name = name_of(own)
        shown = _shown(members, "name", name, server_id, stale)
        _put(
            found.prompts,
            name,
            OfferedPrompt(forwarder, members["name"], _prompt(name, shown)),
            "prompt",
            found.problems,
        )
    for own, members in _items(lists.resources, "uri", "resource", found.problems):
        resource = resource_at(forwarder, own, members, marked=False, stale=stale)
        _put(found.resources, own, resource, "resource", found.problems)
    for own, members in _items(lists.templates, "uriTemplate", "resource template", found.problems):
        template = template_at(forwarder, own, members, marked=False, stale=stale)
        _put(found.templates, own, template, "resource template", found.problems)
    return found


def resource_at(forwarder: Forwarder, own: str, members: Members, *, marked: bool, stale: bool) -> OfferedResource:
    """The resource at a server's own address, shown with the server's mark or without."""
    uri = _address(forwarder, own, marked=marked)
    shown = _shown(members, "uri", uri, forwarder.server_id, stale)
    definition = PassedResource(name=_text(shown.get("name")) or uri, uri=uri, members=shown)
    return OfferedResource(forwarder, own, definition, marked=marked)


def template_at(forwarder: Forwarder, own: str, members: Members, *, marked: bool, stale: bool) -> OfferedResource:
    """The same of a template."""
    uri = _address(forwarder, own, marked=marked)
    shown = _shown(members, "uriTemplate", uri, forwarder.server_id, stale)
    definition = PassedTemplate(name=_text(shown.get("name")) or uri, uri_template=uri, members=shown)
    return OfferedResource(forwarder, own, definition, marked=marked)


def with_mark(offered: OfferedResource) -> OfferedResource:
    """The same resource or template under its marked address."""
    make: Callable[..., OfferedResource] = (
        resource_at if isinstance(offered.definition, PassedResource) else template_at
    )
    return make(offered.forwarder, offered.own, offered.definition.members, marked=True, stale=False)


def unlisted(forwarder: Forwarder, uri: str, *, marked: bool) -> OfferedResource:
    """Whatever the server may have at an address that it does not list."""
    return resource_at(forwarder, uri, {}, marked=marked, stale=False)


def _address(forwarder: Forwarder, own: str, *, marked: bool) -> str:
    return mark(forwarder.server_id, own) if marked else own


def _items(items: tuple[bytes, ...], key: str, what: str, problems: list[str]) -> list[tuple[str, Members]]:
    """Each item with its name or address; one without is told of and left out."""
    found: list[tuple[str, Members]] = []
    for item in items:
        try:
            members = decode_members(item)
            found.append((_decode_text(members[key]), members))
        except (msgspec.DecodeError, KeyError, ValueError):
            shown = item[:80].decode("utf-8", "replace")
            problems.append(f"A {what} without a '{key}' of text is left out: {shown!r}.")
    return found


def _put(known: dict[str, Item], name: str, offered: Item, what: str, problems: list[str]) -> bool:
    if name in known:
        problems.append(f"There are two of the {what} '{name}': the first is served, for only one can be called.")
        return False
    known[name] = offered
    return True


def _shown(members: Members, key: str, name: str, server_id: str, stale: bool) -> Members:
    shown = {**members, key: Raw(_encode(name))}
    if stale:
        meta: Members = {}
        if "_meta" in members:
            try:
                meta = decode_members(members["_meta"])
            except msgspec.DecodeError:
                meta = {}
        shown["_meta"] = Raw(_encode({**meta, STALE: [server_id]}))
    return shown


def _tool(name: str, members: Members) -> PassedTool:
    schema = _object(members.get("inputSchema"))
    return PassedTool(
        name=name,
        title=_text(members.get("title")) or UNSET,
        description=_text(members.get("description")) or UNSET,
        input_schema=schema,
        members=members,
    )


def _prompt(name: str, members: Members) -> PassedPrompt:
    return PassedPrompt(name=name, description=_text(members.get("description")) or UNSET, members=members)


def _text(raw: Raw | None) -> str | UnsetType:
    try:
        return UNSET if raw is None else _decode_text(raw)
    except (msgspec.DecodeError, ValueError):
        return UNSET


def _object(raw: Raw | None) -> dict[str, Any]:
    try:
        value: object = {} if raw is None else _decode_value(raw)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return {}
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def _complete(
    forwarder: Forwarder, reference: Mapping[str, object], argument: Mapping[str, str], known: Mapping[str, str]
) -> Awaitable[Raw]:
    params: dict[str, object] = {"ref": reference, "argument": argument}
    if known:
        params["context"] = {"arguments": known}
    return forwarder.plain("completion/complete", params)


def _marked_contents(result: Raw, server_id: str) -> Raw:
    """The contents under the addresses that this gateway gave them."""
    members = decode_members(result)
    if "contents" not in members:
        return result
    contents = _decode_contents(members["contents"])
    for content in contents:
        own = _text(content.get("uri"))
        if own:
            content["uri"] = Raw(_encode(mark(server_id, own)))
    members["contents"] = Raw(_encode(contents))
    return Raw(_encode(members))
