"""What the protocol asks of those who offer tools, prompts and resources: `app.toolsets` implements these."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Literal, Protocol, runtime_checkable

import msgspec

from app.protocol.content import (
    Completion,
    PromptDefinition,
    PromptResult,
    ResourceDefinition,
    ResourceResult,
    TemplateDefinition,
    ToolDefinition,
    ToolResult,
)
from app.protocol.context import CallContext

ListKind = Literal["tools", "prompts", "resources"]


class ToolFailure(Exception):
    """A tool's own failure; the client's model is told its message. Of any other error, only that there was one."""


class ResourceNotFound(Exception):
    """Raised by a template's `read` for an address that it matches but that nothing is at."""


class InvalidArguments(Exception):
    """The arguments of a tool or prompt do not fit; the message says which and why."""


class Tool(Protocol):
    """One tool; `call` decodes the arguments itself, in one pass."""

    @property
    def definition(self) -> ToolDefinition:
        """What `tools/list` shows."""
        ...

    @property
    def tasks(self) -> Literal["forbidden", "optional", "required"]:
        """Whether a call may, must or must not become a task that the client polls."""
        ...

    @property
    def asks_first(self) -> bool:
        """A call becomes a task only once the tool awaits `context.detach()`, not at once."""
        ...

    def call(self, arguments: msgspec.Raw | None, context: CallContext) -> Awaitable[ToolResult | msgspec.Raw]:
        """Run the tool; raises `InvalidArguments`, `ToolFailure` and what the context raises. Let the latter pass.

        Another server's result, here as in all that follows, is returned as it came: encoded.
        """
        ...


class Prompt(Protocol):
    """One prompt."""

    @property
    def definition(self) -> PromptDefinition:
        """What `prompts/list` shows."""
        ...

    def get(self, arguments: Mapping[str, str], context: CallContext) -> Awaitable[PromptResult | msgspec.Raw]:
        """Fill the prompt in; raises `InvalidArguments`."""
        ...


class Resource(Protocol):
    """One resource, or a template of many."""

    @property
    def definition(self) -> ResourceDefinition | TemplateDefinition:
        """What `resources/list` or `resources/templates/list` shows."""
        ...

    def read(self, uri: str, context: CallContext) -> Awaitable[ResourceResult | msgspec.Raw]:
        """The contents at `uri`."""
        ...


class Skill(Protocol):
    """One skill: a directory of resources with a `SKILL.md` at its root."""

    @property
    def uri(self) -> str:
        """The address of its `SKILL.md`."""
        ...

    @property
    def entry(self) -> Mapping[str, Any]:
        """What `skills/list` and `skills/get` show: `uri`, `frontmatter`, `resources`."""
        ...

    @property
    def directories(self) -> Mapping[str, Sequence[ResourceDefinition]]:
        """The direct children of each of its directories, by the directory's address."""
        ...


class Registry(Protocol):
    """Everything a server offers. The sequences are in the order they are listed in."""

    @property
    def generation(self) -> int:
        """Grows with every change, so that encoded lists can be kept until then."""
        ...

    @property
    def instructions(self) -> str:
        """How to use this server, told to clients; may be empty."""
        ...

    @property
    def has_completions(self) -> bool:
        """Whether `complete` ever suggests anything."""
        ...

    def listen(self, listener: Callable[[ListKind], None]) -> Callable[[], None]:
        """Tell `listener` which list changed, until the function that this returns is called."""
        ...

    def tools(self) -> Sequence[Tool]:
        """All tools."""
        ...

    def tool(self, name: str) -> Tool | None:
        """The tool of that name: one dict look-up."""
        ...

    def prompts(self) -> Sequence[Prompt]:
        """All prompts."""
        ...

    def prompt(self, name: str) -> Prompt | None:
        """The prompt of that name."""
        ...

    def resources(self) -> Sequence[Resource]:
        """All resources with an address of their own."""
        ...

    def templates(self) -> Sequence[Resource]:
        """All resource templates."""
        ...

    def resource(self, uri: str) -> Resource | None:
        """The resource at that address, or the template that matches it."""
        ...

    def skills(self) -> Sequence[Skill]:
        """All skills."""
        ...

    def skill(self, uri: str) -> Skill | None:
        """The skill whose `SKILL.md` is at that address."""
        ...

    def complete(
        self, reference: Mapping[str, str], argument: str, value: str, others: Mapping[str, str]
    ) -> Awaitable[Completion | msgspec.Raw]:
        """Suggestions for a prompt's (`reference["name"]`) or a template's (`reference["uri"]`) argument."""
        ...


@runtime_checkable
class Watchable(Protocol):
    """A registry that has to be told which of its resources somebody wants to hear of."""

    async def watch(self, uri: str, watcher: str) -> None:
        """Somebody subscribed; raises `ProtocolError` where there will be no news of that resource."""
        ...

    def unwatch(self, uri: str, watcher: str) -> None:
        """They wish to hear of it no longer."""
        ...
