"""The registry: what is offered, found by name, and told about when it changes."""

import sys
from collections.abc import Mapping
from types import ModuleType

import pytest

from app.toolsets import ToolsetRegistry, load, prompt, resource, resource_template, tool
from app.toolsets._registry import collect


@tool
async def first() -> str:
    """First."""
    return ""


@tool
async def second() -> str:
    """Second."""
    return ""


@prompt
async def travel(city: str, country: str = "") -> str:
    """Travel."""
    return f"{city} {country}"


@travel.completes("city")
async def cities(value: str, others: Mapping[str, str]) -> list[str]:
    known = ["Paris", "Porto"] if others.get("country") != "France" else ["Paris"]
    return [city for city in known if city.startswith(value)]


@resource("test://one")
async def one() -> str:
    """One."""
    return ""


@resource_template("test://{id}")
async def many(id: str) -> str:  # noqa: A002
    """Many."""
    return id


def test_things_are_listed_in_the_order_in_which_they_were_added() -> None:
    registry = ToolsetRegistry()
    registry.add(second, first)
    assert [tool.definition.name for tool in registry.tools()] == ["second", "first"]


def test_things_are_found_by_name_and_nothing_is_found_by_another() -> None:
    registry = ToolsetRegistry()
    registry.add(first, travel)
    assert registry.tool("first") is first
    assert registry.tool("second") is None
    assert registry.prompt("travel") is travel


def test_an_address_of_its_own_goes_before_a_template() -> None:
    registry = ToolsetRegistry()
    registry.add(many, one)
    assert registry.resource("test://one") is one
    assert registry.resource("test://two") is many
    assert registry.resource("other://two") is None


def test_a_name_that_is_taken_is_refused() -> None:
    registry = ToolsetRegistry()
    registry.add(first)
    with pytest.raises(ValueError, match="There is already a tool 'first'"):
        registry.add(first)


def test_every_change_is_told_and_starts_a_new_generation() -> None:
    registry = ToolsetRegistry()
    told: list[str] = []
    stop = registry.listen(told.append)
    before = registry.generation
    registry.add(first, travel, one, many)
    assert told == ["tools", "prompts", "resources"]
    assert registry.generation > before
    registry.remove_tool("first")
    assert registry.tools() == []
    registry.remove_tool("first")
    stop()
    registry.add(first)
    assert told == ["tools", "prompts", "resources", "tools"]


async def test_suggestions_come_from_the_argument_asked_about() -> None:
    registry = ToolsetRegistry()
    assert not registry.has_completions
    registry.add(travel, many)
    assert registry.has_completions
    found = await registry.complete({"type": "ref/prompt", "name": "travel"}, "city", "P", {})
    assert (found.values, found.total, found.has_more) == (["Paris", "Porto"], 2, False)
    narrowed = await registry.complete({"type": "ref/prompt", "name": "travel"}, "city", "P", {"country": "France"})
    assert narrowed.values == ["Paris"]
    unknown = await registry.complete({"type": "ref/resource", "uri": "test://{id}"}, "id", "", {})
    assert unknown.values == []


async def test_at_most_a_hundred_suggestions_are_given() -> None:
    @prompt
    async def count(number: str) -> str:
        """Count."""
        return number

    @count.completes("number")
    async def numbers(value: str, others: Mapping[str, str]) -> list[str]:
        return [str(number) for number in range(150)]

    registry = ToolsetRegistry()
    registry.add(count)
    found = await registry.complete({"name": "count"}, "number", "", {})
    assert (len(found.values), found.total, found.has_more) == (100, 150, True)


def test_a_module_offers_what_it_decorates_and_what_its_function_offers() -> None:
    module = ModuleType("toolset")
    inner = ModuleType("toolset.inner")
    inner.first = first  # type: ignore[attr-defined]
    module.inner = inner  # type: ignore[attr-defined]
    module.sys = sys  # type: ignore[attr-defined]
    module.again = first  # type: ignore[attr-defined]
    module.offers = lambda registry: [second]  # type: ignore[attr-defined]
    assert collect(module, ToolsetRegistry()) == [first, second]


def test_toolsets_are_loaded_by_name() -> None:
    registry = load(["platform"], "Be kind.")
    assert registry.instructions == "Be kind."
    assert [tool.definition.name for tool in registry.tools()] == ["echo", "wait", "server_info"]


@pytest.mark.parametrize("name", ["nonesuch", "_registry", "../x", ""])
def test_a_toolset_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="toolset"):
        load([name])
