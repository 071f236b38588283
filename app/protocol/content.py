"""What handlers return: content blocks, results, and the definitions of what a server offers."""

from typing import Any

import msgspec
from msgspec import UNSET, Raw, UnsetType


class Wire(msgspec.Struct, kw_only=True, omit_defaults=True, rename="camel"):
    """A struct as it travels: camel case, unset members left out."""


class Annotations(Wire, kw_only=True):
    """Hints on content: for whom, how important, when last modified."""

    audience: list[str] | UnsetType = UNSET
    priority: float | UnsetType = UNSET
    last_modified: str | UnsetType = UNSET


class Icon(Wire, kw_only=True):
    """An image for a tool, prompt, resource or server."""

    src: str
    mime_type: str | UnsetType = UNSET
    sizes: list[str] | UnsetType = UNSET
    theme: str | UnsetType = UNSET


class Block(Wire, tag_field="type", kw_only=True):
    """Any content block."""

    annotations: Annotations | UnsetType = UNSET
    meta: dict[str, Any] | UnsetType = msgspec.field(default=UNSET, name="_meta")


class Text(Block, tag="text", kw_only=True):
    """Plain text."""

    text: str


class Image(Block, tag="image", kw_only=True):
    """A picture: base64 data and its media type."""

    data: str
    mime_type: str


class Audio(Block, tag="audio", kw_only=True):
    """A sound: base64 data and its media type."""

    data: str
    mime_type: str


class ResourceContents(Wire, kw_only=True):
    """The contents of a resource: text, or base64 in `blob`."""

    uri: str
    mime_type: str | UnsetType = UNSET
    text: str | UnsetType = UNSET
    blob: str | UnsetType = UNSET
    meta: dict[str, Any] | UnsetType = msgspec.field(default=UNSET, name="_meta")


class Embedded(Block, tag="resource", kw_only=True):
    """A resource, contents included."""

    resource: ResourceContents


class ResourceLink(Block, tag="resource_link", kw_only=True):
    """A resource by its address."""

    uri: str
    name: str
    title: str | UnsetType = UNSET
    description: str | UnsetType = UNSET
    mime_type: str | UnsetType = UNSET
    size: int | UnsetType = UNSET
    icons: list[Icon] | UnsetType = UNSET


ContentBlock = Text | Image | Audio | Embedded | ResourceLink


class Result(Wire, kw_only=True):
    """What every result carries; the dispatcher fills `result_type` and `_meta` where the revision has them."""

    result_type: str | UnsetType = UNSET
    meta: dict[str, Any] | Raw | UnsetType = msgspec.field(default=UNSET, name="_meta")


class CacheableResult(Result, kw_only=True):
    """A result that a client may keep for `ttl_ms`; filled by the dispatcher where the revision has it."""

    ttl_ms: int | UnsetType = UNSET
    cache_scope: str | UnsetType = UNSET


class ToolResult(Result, kw_only=True):
    """The outcome of a tool: content for a model, and structured content for a program."""

    content: list[ContentBlock]
    structured_content: Any = UNSET
    is_error: bool | UnsetType = UNSET


class PromptMessage(Wire, kw_only=True):
    """One message of a prompt."""

    role: str
    content: ContentBlock


class PromptResult(Result, kw_only=True):
    """A prompt, filled in."""

    messages: list[PromptMessage]
    description: str | UnsetType = UNSET


class ResourceResult(CacheableResult, kw_only=True):
    """What reading a resource gives."""

    contents: list[ResourceContents]


class Completion(Wire, kw_only=True):
    """Suggestions for an argument: at most 100 are sent."""

    values: list[str]
    total: int | UnsetType = UNSET
    has_more: bool | UnsetType = UNSET


class ToolAnnotations(Wire, kw_only=True):
    """Hints on what a tool does."""

    title: str | UnsetType = UNSET
    read_only_hint: bool | UnsetType = UNSET
    destructive_hint: bool | UnsetType = UNSET
    idempotent_hint: bool | UnsetType = UNSET
    open_world_hint: bool | UnsetType = UNSET


class Definition(Wire, kw_only=True):
    """What tools, prompts, resources and templates have in common."""

    name: str
    title: str | UnsetType = UNSET
    description: str | UnsetType = UNSET
    icons: list[Icon] | UnsetType = UNSET
    meta: dict[str, Any] | UnsetType = msgspec.field(default=UNSET, name="_meta")


class ToolDefinition(Definition, kw_only=True):
    """A tool as `tools/list` shows it; the schemas are JSON Schema 2020-12."""

    input_schema: dict[str, Any]
    output_schema: dict[str, Any] | UnsetType = UNSET
    annotations: ToolAnnotations | UnsetType = UNSET


class PromptArgument(Wire, kw_only=True):
    """One argument of a prompt."""

    name: str
    title: str | UnsetType = UNSET
    description: str | UnsetType = UNSET
    required: bool | UnsetType = UNSET


class PromptDefinition(Definition, kw_only=True):
    """A prompt as `prompts/list` shows it."""

    arguments: list[PromptArgument] | UnsetType = UNSET


class ResourceDefinition(Definition, kw_only=True):
    """A resource as `resources/list` shows it."""

    uri: str
    mime_type: str | UnsetType = UNSET
    size: int | UnsetType = UNSET
    annotations: Annotations | UnsetType = UNSET


class TemplateDefinition(Definition, kw_only=True):
    """A resource template as `resources/templates/list` shows it."""

    uri_template: str
    mime_type: str | UnsetType = UNSET
    annotations: Annotations | UnsetType = UNSET


class Implementation(Wire, kw_only=True):
    """A server's or client's name and version."""

    name: str
    version: str
    title: str | UnsetType = UNSET
    description: str | UnsetType = UNSET
    website_url: str | UnsetType = UNSET
    icons: list[Icon] | UnsetType = UNSET


def text(value: str) -> ToolResult:
    """The commonest result: one block of text."""
    return ToolResult(content=[Text(text=value)])
