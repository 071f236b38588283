"""What the protocol asks of those who offer tools, prompts and resources: `app.toolsets` implements these."""

from collections.abc import Awaitable, Mapping, Sequence
from typing import Protocol

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


class InvalidArguments(Exception):
    """The arguments of a tool do not fit its input schema; the message says which and why."""


class Tool(Protocol):
    """One tool; `call` decodes the arguments itself, in one pass."""

    @property
    def definition(self) -> ToolDefinition:
        """What `tools/list` shows."""
        ...

    def call(self, arguments: msgspec.Raw | None, context: CallContext) -> Awaitable[ToolResult]:
        """Run the tool; raises `InvalidArguments`. Any other error becomes an `isError` result with its message."""
        ...


class Prompt(Protocol):
    """One prompt."""

    @property
    def definition(self) -> PromptDefinition:
        """What `prompts/list` shows."""
        ...

    def get(self, arguments: Mapping[str, str], context: CallContext) -> Awaitable[PromptResult]:
        """Fill the prompt in; raises `InvalidArguments`."""
        ...


class Resource(Protocol):
    """One resource, or a template of many."""

    @property
    def definition(self) -> ResourceDefinition | TemplateDefinition:
        """What `resources/list` or `resources/templates/list` shows."""
        ...

    def read(self, uri: str, context: CallContext) -> Awaitable[ResourceResult]:
        """The contents at `uri`."""
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

    def complete(
        self, reference: Mapping[str, str], argument: str, value: str, others: Mapping[str, str]
    ) -> Awaitable[Completion]:
        """Suggestions for a prompt's (`reference["name"]`) or a template's (`reference["uri"]`) argument."""
        ...
