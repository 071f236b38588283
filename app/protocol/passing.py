"""What another server said, passed on: nothing is lost that the client's revision knows, nothing is validated again.

Definitions and results of other servers stay the JSON they came as; only members that a revision asks for are added,
and those that it lacks are left out.
"""

from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

import msgspec
from msgspec import UNSET, Raw

from app.protocol.content import (
    ContentBlock,
    PromptDefinition,
    ResourceDefinition,
    TemplateDefinition,
    Text,
    ToolDefinition,
)
from app.protocol.revisions import Revision

Members = dict[str, Raw]
"""A JSON object whose values are kept as they are written."""

decode_members = msgspec.json.Decoder(Members).decode
_encode = msgspec.json.Encoder().encode
_decode_blocks = msgspec.json.Decoder(list[Raw]).decode
_COMPLETE = Raw(b'"complete"')
_PRIVATE = Raw(b'"private"')
_NEVER_KEPT = Raw(b"0")


class PassedTool(ToolDefinition, kw_only=True):
    """A tool as another server defines it."""

    members: Members


class PassedPrompt(PromptDefinition, kw_only=True):
    """A prompt as another server defines it."""

    members: Members


class PassedResource(ResourceDefinition, kw_only=True):
    """A resource as another server defines it."""

    members: Members


class PassedTemplate(TemplateDefinition, kw_only=True):
    """A resource template as another server defines it."""

    members: Members


@runtime_checkable
class Passed(Protocol):
    """A definition that is shown as its members say."""

    members: Members


def shown(definition: Passed, revision: Revision) -> Members:
    """A definition's members without those that the revision lacks."""
    lacking = [
        name
        for name, known in (
            ("title", revision.titles),
            ("icons", revision.icons),
            ("outputSchema", revision.structured_output),
        )
        if not known
    ]
    if not revision.tool_annotations and isinstance(definition, ToolDefinition):
        lacking.append("annotations")
    members = definition.members
    return {name: value for name, value in members.items() if name not in lacking} if lacking else members


def passed_result(raw: Raw, revision: Revision, server_meta: Raw, *, cacheable: bool = False) -> Raw:
    """A result of another server's, as the client's revision knows it, with `server_meta` where it lacks `_meta`."""
    if revision.stateless:
        members = decode_members(raw)
        members.setdefault("resultType", _COMPLETE)
        members.setdefault("_meta", server_meta)
        if cacheable:
            members.setdefault("ttlMs", _NEVER_KEPT)
            members.setdefault("cacheScope", _PRIVATE)
        return Raw(_encode(members))
    written = bytes(raw)
    newer = b'"resultType"' in written
    older = not (revision.structured_output and revision.resource_links and revision.audio)
    return _for_session(raw, revision, older=older) if newer or older else raw


def _for_session(raw: Raw, revision: Revision, *, older: bool) -> Raw:
    members = decode_members(raw)
    for name in ("resultType", "ttlMs", "cacheScope"):
        members.pop(name, None)
    if older:
        members.pop("structuredContent", None)
        if "content" in members:
            members["content"] = _blocks_for(members["content"], revision)
        if "messages" in members:
            members["messages"] = _messages_for(members["messages"], revision)
    return Raw(_encode(members))


class _Kind(msgspec.Struct, rename="camel"):
    type: str = ""
    name: str = ""
    uri: str = ""
    mime_type: str = ""


_decode_kind = msgspec.json.Decoder(_Kind).decode


def _block_for(block: Raw, revision: Revision) -> Raw | ContentBlock:
    kind = _decode_kind(block)
    if kind.type == "audio" and not revision.audio:
        return Text(text=f"[audio, {kind.mime_type}: not shown in this protocol revision]")
    if kind.type == "resource_link" and not revision.resource_links:
        return Text(text=f"{kind.name}: {kind.uri}")
    return block


def _blocks_for(content: Raw, revision: Revision) -> Raw:
    return Raw(_encode([_block_for(block, revision) for block in _decode_blocks(content)]))


def _messages_for(messages: Raw, revision: Revision) -> Raw:
    changed: list[Mapping[str, Any]] = []
    for message in _decode_blocks(messages):
        members = decode_members(message)
        content = members.get("content", UNSET)
        changed.append(members if content is UNSET else {**members, "content": _block_for(content, revision)})
    return Raw(_encode(changed))
