"""Results and definitions as older revisions know them: what a revision lacks is left out or said in text."""

from typing import Any

import msgspec
from msgspec import UNSET

from app.protocol.content import (
    Audio,
    ContentBlock,
    Definition,
    PromptDefinition,
    PromptMessage,
    PromptResult,
    ResourceLink,
    Text,
    ToolDefinition,
    ToolResult,
)
from app.protocol.passing import Passed, shown
from app.protocol.revisions import Revision


def block_for(block: ContentBlock, revision: Revision) -> ContentBlock:
    """The block itself, or text in its place where the revision does not have its kind."""
    if isinstance(block, Audio) and not revision.audio:
        return Text(text=f"[audio, {block.mime_type}: not shown in this protocol revision]")
    if isinstance(block, ResourceLink) and not revision.resource_links:
        return Text(text=f"{block.name}: {block.uri}")
    return block


def tool_result_for(result: ToolResult, revision: Revision) -> ToolResult:
    """A tool's result without what the revision lacks."""
    return ToolResult(
        content=[block_for(block, revision) for block in result.content],
        structured_content=result.structured_content if revision.structured_output else UNSET,
        is_error=result.is_error,
        meta=result.meta,
    )


def prompt_result_for(result: PromptResult, revision: Revision) -> PromptResult:
    """A prompt without what the revision lacks."""
    messages = [PromptMessage(role=m.role, content=block_for(m.content, revision)) for m in result.messages]
    return PromptResult(messages=messages, description=result.description, meta=result.meta)


def definition_for(definition: Definition, revision: Revision) -> object:
    """A definition without what the revision lacks."""
    if isinstance(definition, Passed):
        return shown(definition, revision)
    changes: dict[str, Any] = {}
    if not revision.titles:
        changes["title"] = UNSET
    if not revision.icons:
        changes["icons"] = UNSET
    if isinstance(definition, ToolDefinition):
        if not revision.tool_annotations:
            changes["annotations"] = UNSET
        if not revision.structured_output:
            changes["output_schema"] = UNSET
    if isinstance(definition, PromptDefinition) and not revision.titles and definition.arguments is not UNSET:
        changes["arguments"] = [msgspec.structs.replace(a, title=UNSET) for a in definition.arguments]
    return msgspec.structs.replace(definition, **changes) if changes else definition
