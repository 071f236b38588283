"""Tools, prompts, resources and skills from plain functions and files, in toolsets that are modules of this package."""

from app.protocol.content import (
    Annotations,
    Audio,
    Completion,
    ContentBlock,
    Embedded,
    Icon,
    Image,
    PromptMessage,
    PromptResult,
    ResourceContents,
    ResourceLink,
    ResourceResult,
    Text,
    ToolAnnotations,
    ToolResult,
)
from app.protocol.context import CallContext, Elicited, InputRequest
from app.protocol.handlers import ToolFailure
from app.toolsets._about import About
from app.toolsets._prompt import prompt
from app.toolsets._registry import Offer, ToolsetRegistry, load
from app.toolsets._resource import resource, resource_template
from app.toolsets._skill import Skill
from app.toolsets._tool import tool

__all__ = [
    "About",
    "Annotations",
    "Audio",
    "CallContext",
    "Completion",
    "ContentBlock",
    "Elicited",
    "Embedded",
    "Icon",
    "Image",
    "InputRequest",
    "Offer",
    "PromptMessage",
    "PromptResult",
    "ResourceContents",
    "ResourceLink",
    "ResourceResult",
    "Skill",
    "Text",
    "ToolAnnotations",
    "ToolFailure",
    "ToolResult",
    "ToolsetRegistry",
    "load",
    "prompt",
    "resource",
    "resource_template",
    "tool",
]
