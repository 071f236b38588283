"""Tools that change what the server offers, for clients that listen."""

from __future__ import annotations

from app.toolsets import Offer, ToolsetRegistry, tool


def offers(registry: ToolsetRegistry) -> list[Offer]:
    """The tools that change this registry's lists."""

    @tool
    async def test_trigger_tool_change() -> str:
        """Says that the list of tools has changed."""
        registry.changed("tools")
        return "The list of tools has changed."

    @tool
    async def test_trigger_prompt_change() -> str:
        """Says that the list of prompts has changed."""
        registry.changed("prompts")
        return "The list of prompts has changed."

    return [test_trigger_tool_change, test_trigger_prompt_change]
