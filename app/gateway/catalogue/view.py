"""A choice of what the catalogue has, served like a server of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from msgspec import Raw

from app.gateway.catalogue.addresses import literal_length, mark, matches, scheme_of, without_mark
from app.gateway.catalogue.member import Member
from app.gateway.catalogue.offers import OfferedPrompt, OfferedResource, OfferedTool, unlisted, with_mark
from app.listeners import Listeners
from app.protocol.content import Completion
from app.protocol.context import CallContext
from app.protocol.errors import INVALID_PARAMS, ProtocolError
from app.protocol.handlers import ListKind, Prompt, Resource, Skill, Tool

KINDS: tuple[ListKind, ...] = ("tools", "prompts", "resources")
_LONGEST_INSTRUCTIONS = 20_000


@dataclass(frozen=True, slots=True)
class Choice:
    """What a view shows of all servers. `tools` are patterns of prefixed names."""

    servers: tuple[str, ...] | None = None
    """None for all of them."""
    tools: tuple[str, ...] | None = None
    beside_others: bool = True
    """Names are prefixed with their server's id; else there is one server, with the names that it uses."""

    def has(self, server_id: str) -> bool:
        """Whether the server is chosen."""
        return self.servers is None or server_id in self.servers

    def has_tool(self, name: str) -> bool:
        """Whether the tool is chosen, of a server that is."""
        return self.tools is None or any(fnmatchcase(name, pattern) for pattern in self.tools)


class _Ambiguous:
    """An address that several servers have: told, instead of guessed."""

    def __init__(self, offered: OfferedResource, addresses: Sequence[str]) -> None:
        self.definition = offered.definition
        self._addresses = addresses

    async def read(self, uri: str, context: CallContext) -> Raw:  # noqa: ARG002
        """See `Resource`."""
        raise ProtocolError(
            INVALID_PARAMS, f"Several servers have '{uri[:256]}': read one of {', '.join(self._addresses)}."
        )


class View:
    """A `Registry` over members of the catalogue."""

    def __init__(self, choice: Choice) -> None:
        self.choice = choice
        self.generation = 0
        self._members: dict[str, Member] = {}
        self._tools: dict[str, OfferedTool] = {}
        self._prompts: dict[str, OfferedPrompt] = {}
        self._resources: dict[str, OfferedResource] = {}
        self._templates: dict[str, OfferedResource] = {}
        self._ambiguous: dict[str, list[OfferedResource]] = {}
        self._listeners = Listeners[ListKind]()
        self._update_listeners = Listeners[str]()

    @property
    def instructions(self) -> str:
        """What its servers say of themselves."""
        said = [
            (member.id, about.instructions)
            for member in self._members.values()
            if (about := member.upstream.about) is not None and about.instructions
        ]
        if not self.choice.beside_others:
            return said[0][1] if said else ""
        parts = (f"# {server_id} (tools named {server_id}_…)\n{text}" for server_id, text in said)
        return "\n\n".join(parts)[:_LONGEST_INSTRUCTIONS]

    @property
    def has_completions(self) -> bool:
        """See `Registry`."""
        return bool(self._prompts or self._templates)

    def listen(self, listener: Callable[[ListKind], None]) -> Callable[[], None]:
        """See `Registry`."""
        return self._listeners.add(listener)

    def listen_updates(self, listener: Callable[[str], None]) -> None:
        """Be told of resources that changed, by their addresses."""
        self._update_listeners.add(listener)

    def tools(self) -> Sequence[Tool]:
        """See `Registry`."""
        return list(self._tools.values())

    def tool(self, name: str) -> Tool | None:
        """See `Registry`."""
        return self._tools.get(name)

    def prompts(self) -> Sequence[Prompt]:
        """See `Registry`."""
        return list(self._prompts.values())

    def prompt(self, name: str) -> Prompt | None:
        """See `Registry`."""
        return self._prompts.get(name)

    def resources(self) -> Sequence[Resource]:
        """See `Registry`."""
        return list(self._resources.values())

    def templates(self) -> Sequence[Resource]:
        """See `Registry`."""
        return list(self._templates.values())

    def resource(self, uri: str) -> Resource | None:
        """What is at the address: listed, made by a template, or in the keeping of the only server it can be of."""
        if uri in self._ambiguous:
            return self._one_of(self._ambiguous[uri], uri)
        found = self._resources.get(uri)
        if found is not None:
            return found
        placed = self._place(uri)
        if placed is None:
            return None
        member, own = placed
        return unlisted(member.forwarder, own, marked=own != uri)

    def skills(self) -> Sequence[Skill]:
        """None: they do not pass."""
        return ()

    def skill(self, uri: str) -> Skill | None:  # noqa: ARG002
        """None: they do not pass."""
        return None

    async def complete(
        self, reference: Mapping[str, str], argument: str, value: str, others: Mapping[str, str]
    ) -> Completion | Raw:
        """See `Registry`."""
        offered = (
            self._prompts.get(reference["name"])
            if "name" in reference
            else self._templates.get(reference["uri"]) or self._resources.get(reference["uri"])
        )
        if offered is None:
            return Completion(values=[], has_more=False)
        return await offered.complete({"name": argument, "value": value}, others)

    async def watch(self, uri: str, watcher: str) -> None:
        """See `Watchable`."""
        placed = self._place(uri)
        if placed is None:
            raise ProtocolError(INVALID_PARAMS, f"There is no resource '{uri[:256]}': see resources/list.")
        await placed[0].watch(placed[1], watcher)

    def unwatch(self, uri: str, watcher: str) -> None:
        """See `Watchable`."""
        placed = self._place(uri)
        if placed is not None:
            placed[0].unwatch(placed[1], watcher)

    def update(self, members: Mapping[str, Member], changed: set[ListKind]) -> None:
        """Serve what these members offer now, and tell those who listen which lists changed."""
        # By id, so that every replica, and every start, lists them in the same order.
        self._members = {server_id: members[server_id] for server_id in sorted(members) if self.choice.has(server_id)}
        beside = self.choice.beside_others
        offers = [member.offers(beside_others=beside) for member in self._members.values()]
        self._tools = {
            name: tool for offered in offers for name, tool in offered.tools.items() if self.choice.has_tool(name)
        }
        self._prompts = {name: prompt for offered in offers for name, prompt in offered.prompts.items()}
        self._ambiguous = {}
        self._resources = self._apart([offered.resources for offered in offers])
        self._templates = self._apart([offered.templates for offered in offers])
        self.generation += 1
        for kind in KINDS:
            if kind in changed:
                self._listeners.tell(kind)

    def updated(self, member: Member, own: str) -> None:
        """A resource of a member's reads otherwise than before: told under each address that it has."""
        if member.id not in self._members:
            return
        addresses = [own, mark(member.id, own)] if self.choice.beside_others else [own]
        for address in addresses:
            self._update_listeners.tell(address)

    def problems(self) -> list[str]:
        """Addresses that several servers have."""
        return [
            f"Several servers have '{uri}': each is served as {', '.join(_marks(offered))}."
            for uri, offered in self._ambiguous.items()
        ]

    def _apart(self, lists: Sequence[Mapping[str, OfferedResource]]) -> dict[str, OfferedResource]:
        """All under addresses that tell them apart: their own, where only one server has it."""
        holders: dict[str, list[OfferedResource]] = {}
        for offered in lists:
            for uri, resource in offered.items():
                holders.setdefault(uri, []).append(resource)
        found: dict[str, OfferedResource] = {}
        for uri, resources in holders.items():
            if len(resources) == 1:
                found[uri] = resources[0]
            else:
                self._ambiguous[uri] = resources
                found.update({mark(r.forwarder.server_id, uri): with_mark(r) for r in resources})
        return found

    def _one_of(self, offered: Sequence[OfferedResource], uri: str) -> Resource:
        del uri
        return _Ambiguous(offered[0], _marks(offered))

    def _place(self, uri: str) -> tuple[Member, str] | None:
        """The member whose the address is, and what it calls it."""
        if not self.choice.beside_others:
            member = next(iter(self._members.values()), None)
            return None if member is None else (member, uri)
        named = without_mark(uri)
        if named is not None:
            member = self._members.get(named[0])
            return None if member is None else (member, named[1])
        found = self._resources.get(uri) or self._by_template(uri)
        if found is not None:
            return self._members[found.forwarder.server_id], uri
        scheme = scheme_of(uri)
        candidates = [member for member in self._members.values() if scheme in _schemes(member)]
        return (candidates[0], uri) if len(candidates) == 1 else None

    def _by_template(self, uri: str) -> OfferedResource | None:
        fitting = [template for template in self._templates.values() if matches(template.own, uri)]
        return max(fitting, key=lambda template: literal_length(template.own), default=None)


def _marks(offered: Sequence[OfferedResource]) -> list[str]:
    return [mark(resource.forwarder.server_id, resource.own) for resource in offered]


def _schemes(member: Member) -> set[str]:
    offers = member.offers(beside_others=True)
    return {scheme_of(own) for own in (*offers.resources, *offers.templates)} - {""}
