"""Everything a server offers, by name: toolsets put in, the dispatcher takes out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib import import_module
from types import ModuleType
from typing import Literal, TypeVar, cast

from app.listeners import Listeners
from app.protocol.content import Completion
from app.protocol.handlers import Prompt, Resource, Tool
from app.toolsets._about import About
from app.toolsets._prompt import Completing, FunctionPrompt
from app.toolsets._resource import FunctionResource, FunctionTemplate
from app.toolsets._skill import Skill
from app.toolsets._tool import FunctionTool

Kind = Literal["tools", "prompts", "resources"]
Offer = Tool | FunctionPrompt | FunctionResource | FunctionTemplate | Skill

Value = TypeVar("Value")

MAX_SUGGESTIONS = 100


class ToolsetRegistry:
    """What is offered now. Lists keep the order in which things were added."""

    def __init__(self, instructions: str = "", about: About | None = None) -> None:
        self.instructions = instructions
        self.about = about or About()
        self.generation = 0
        self._tools: dict[str, Tool] = {}
        self._prompts: dict[str, FunctionPrompt] = {}
        self._resources: dict[str, Resource] = {}
        self._templates: dict[str, FunctionTemplate] = {}
        self._skills: dict[str, Skill] = {}
        self._listeners = Listeners[Kind]()
        self._update_listeners = Listeners[str]()
        self._given: dict[type, object] = {}

    @property
    def has_completions(self) -> bool:
        """Whether `complete` ever suggests anything."""
        return any(offer.completers for offer in (*self._prompts.values(), *self._templates.values()))

    def tools(self) -> Sequence[Tool]:
        """All tools."""
        return list(self._tools.values())

    def tool(self, name: str) -> Tool | None:
        """The tool of that name."""
        return self._tools.get(name)

    def prompts(self) -> Sequence[Prompt]:
        """All prompts."""
        return list(self._prompts.values())

    def prompt(self, name: str) -> Prompt | None:
        """The prompt of that name."""
        return self._prompts.get(name)

    def resources(self) -> Sequence[Resource]:
        """All resources with an address of their own."""
        return list(self._resources.values())

    def templates(self) -> Sequence[Resource]:
        """All resource templates."""
        return list(self._templates.values())

    def resource(self, uri: str) -> Resource | None:
        """The resource at that address, or the first template that matches it."""
        found = self._resources.get(uri)
        if found is not None:
            return found
        return next((template for template in self._templates.values() if template.matches(uri)), None)

    def skills(self) -> Sequence[Skill]:
        """All skills."""
        return list(self._skills.values())

    def skill(self, uri: str) -> Skill | None:
        """The skill whose `SKILL.md` is at that address."""
        return self._skills.get(uri)

    async def complete(
        self, reference: Mapping[str, str], argument: str, value: str, others: Mapping[str, str]
    ) -> Completion:
        """Suggestions for an argument of a prompt (`name`) or of a template (`uri`); none where nobody knows any."""
        offer: Completing | None = (
            self._prompts.get(reference["name"]) if "name" in reference else self._templates.get(reference["uri"])
        )
        completer = offer.completers.get(argument) if offer is not None else None
        if completer is None:
            return Completion(values=[], has_more=False)
        found = await completer(value, others)
        if isinstance(found, Completion):
            return found
        return Completion(values=list(found[:MAX_SUGGESTIONS]), total=len(found), has_more=len(found) > MAX_SUGGESTIONS)

    def add(self, *offers: Offer) -> None:
        """Offer more. Raises `ValueError` where a name or an address is already taken."""
        for offer in offers:
            self._add(offer)
        kinds: dict[Kind, None] = dict.fromkeys(_kind(offer) for offer in offers)
        for kind in kinds:
            self.changed(kind)

    def remove_tool(self, name: str) -> None:
        """Stop offering a tool; one that is not there is no error."""
        if self._tools.pop(name, None) is not None:
            self.changed("tools")

    def changed(self, kind: Kind) -> None:
        """Tell all listeners that a list is not what it was."""
        self.generation += 1
        self._listeners.tell(kind)

    def listen(self, listener: Callable[[Kind], None]) -> Callable[[], None]:
        """Be told of changes, until the function that this returns is called."""
        return self._listeners.add(listener)

    def updated(self, uri: str) -> None:
        """Tell all listeners that the resource at `uri` reads otherwise than before."""
        self._update_listeners.tell(uri)

    def listen_updates(self, listener: Callable[[str], None]) -> None:
        """Be told of resources that changed."""
        self._update_listeners.add(listener)

    def give(self, value: object) -> None:
        """Put in what a toolset needs of the outside (a store, a client, limits), to be asked for by its type."""
        self._given[type(value)] = value

    def given(self, kind: type[Value]) -> Value | None:
        """What was given of that type; None where nothing was, as in a test that loads a toolset on its own."""
        return cast("Value | None", self._given.get(kind))

    def _add(self, offer: Offer) -> None:
        if isinstance(offer, FunctionPrompt):
            _put(self._prompts, offer.definition.name, offer, "prompt")
        elif isinstance(offer, FunctionResource):
            _put(self._resources, offer.definition.uri, offer, "resource")
        elif isinstance(offer, FunctionTemplate):
            _put(self._templates, offer.definition.uri_template, offer, "resource template")
        elif isinstance(offer, Skill):
            _put(self._skills, offer.uri, offer, "skill")
            for file in offer.files:
                _put(self._resources, file.definition.uri, file, "resource")
        else:
            _put(self._tools, offer.definition.name, offer, "tool")


def load(
    names: Iterable[str], instructions: str = "", about: About | None = None, *, given: Iterable[object] = ()
) -> ToolsetRegistry:
    """A registry of the toolsets of those names, modules of this package, for which `given` is to be found.

    A toolset offers whatever its module (and, for a package, the modules that it imports of itself) has decorated, and
    what its function `offers(registry)` returns, if it has one.
    """
    registry = ToolsetRegistry(instructions, about)
    for value in given:
        registry.give(value)
    for name in names:
        registry.add(*collect(_toolset(name), registry))
    return registry


def collect(module: ModuleType, registry: ToolsetRegistry) -> list[Offer]:
    """What a module offers, in the order in which it defines it."""
    found: dict[int, Offer] = {}
    for value in vars(module).values():
        if isinstance(value, (FunctionTool, FunctionPrompt, FunctionResource, FunctionTemplate, Skill)):
            found[id(value)] = value
        elif isinstance(value, ModuleType) and value.__name__.startswith(f"{module.__name__}."):
            found.update({id(offer): offer for offer in collect(value, registry)})
    made = cast("Callable[[ToolsetRegistry], Iterable[Offer]] | None", getattr(module, "offers", None))
    if made is not None:
        found.update({id(offer): offer for offer in made(registry)})
    return list(found.values())


def _toolset(name: str) -> ModuleType:
    if not name.isidentifier() or name.startswith("_"):
        raise ValueError(f"'{name}' cannot be the name of a toolset: letters, digits and underscores only")
    try:
        return import_module(f"app.toolsets.{name}")
    except ModuleNotFoundError as error:
        if error.name != f"app.toolsets.{name}":
            raise
        raise ValueError(f"There is no toolset '{name}'. See the names in app/toolsets/.") from None


def _put(known: dict[str, Value], name: str, offer: Value, what: str) -> None:
    if name in known:
        raise ValueError(f"There is already a {what} '{name}'; give one of the two another name.")
    known[name] = offer


def _kind(offer: Offer) -> Kind:
    if isinstance(offer, FunctionPrompt):
        return "prompts"
    return "resources" if isinstance(offer, (FunctionResource, FunctionTemplate, Skill)) else "tools"
