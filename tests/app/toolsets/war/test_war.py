"""What the tools tell of the war as it was recorded, and what they refuse."""

from __future__ import annotations

import asyncio

import pytest

from app.protocol.handlers import InvalidArguments
from app.toolsets import ToolFailure, load


async def test_the_war_is_told_with_its_age(war) -> None:
    answer = await war("get_war_status")
    assert answer == {
        "ageSeconds": 0.0,
        "stale": False,
        "war": {
            "index": 801,
            "startDate": "2024-01-23T20:05:13.000Z",
            "endDate": "2028-02-08T20:04:55.000Z",
            "time": "1972-11-11T20:12:10.000Z",
            "updatedAt": "2026-11-21T11:00:00.000Z",
        },
    }


async def test_all_planets_are_gathered_from_the_pages_of_the_api(war, upstream) -> None:
    answer = await war("get_planets", limit=300)
    assert answer["total"] == 260
    assert [planet["id"] for planet in answer["planets"]] == list(range(1, 261))
    assert [request.query["start"] for request in upstream.asked] == ["0", "100", "200"]


async def test_a_list_of_planets_can_be_read_on(war) -> None:
    first = await war("get_planets", limit=259)
    assert first["nextOffset"] == 259
    rest = await war("get_planets", limit=259, offset=first["nextOffset"])
    assert ([planet["id"] for planet in rest["planets"]], rest["nextOffset"]) == ([260], None)


@pytest.mark.parametrize(
    ("arguments", "total"),
    [
        ({"name": "heet"}, 1),
        ({"owner": "terminids"}, 130),
        ({"owner": "Termin"}, 0),
        ({"sector": "altus", "contested": True}, 2),
        ({"name": "<script>{{7*7}}\u0000' OR 1=1"}, 0),
    ],
)
async def test_planets_are_filtered(war, arguments, total) -> None:
    assert (await war("get_planets", **arguments))["total"] == total


async def test_a_planet_is_found_by_id_and_by_name_whatever_its_case(war) -> None:
    by_id, by_name = await war("get_planet", planet=3), await war("get_planet", planet=" hEETH ")
    assert by_id["planet"] == by_name["planet"]
    planet = by_id["planet"]
    assert planet["position"] == {"x": 0.25, "y": -0.5}
    assert (planet["biome"]["name"], planet["effects"][0]["name"], planet["owner"]) == (
        "Jungle",
        "Rainstorms",
        "Terminids",
    )


@pytest.mark.parametrize("tool", ["get_planet", "get_statistics"])
async def test_a_planet_that_there_is_not_is_named_with_what_to_do(war, tool) -> None:
    with pytest.raises(ToolFailure, match=r"'planet' is 9999: there is no such planet\. get_planets lists all"):
        await war(tool, planet=9999)
    with pytest.raises(ToolFailure, match=r"there is no such planet\. Did you mean Heeth\?"):
        await war(tool, planet="Hee")


async def test_campaigns_are_told_with_their_planets_the_most_players_first(war) -> None:
    campaigns = (await war("get_campaigns"))["campaigns"]
    assert [(campaign["id"], campaign["planet"]["id"], campaign["planet"]["players"]) for campaign in campaigns] == [
        (240, 240, 240),
        (3, 3, 3),
    ]


async def test_statistics_are_of_the_galaxy_or_of_one_planet(war) -> None:
    galaxy = await war("get_statistics")
    assert (galaxy["of"], galaxy["statistics"]["bugKills"]) == ("galaxy", 38471552786)
    planet = await war("get_statistics", planet="Heeth")
    assert (planet["of"], planet["statistics"]["deaths"]) == ("Heeth", 3)


async def test_major_orders_are_told_without_the_games_markup(war) -> None:
    (order,) = (await war("get_major_orders"))["orders"]
    assert order["briefing"] == "Hold Heeth against <b onmouseover=alert(1)>them</b>."
    assert (order["progress"], order["reward"], order["tasks"][0]["valueTypes"]) == (
        [1, 0],
        {"type": 1, "amount": 45},
        [3, 11, 12],
    )


@pytest.mark.parametrize(
    ("tool", "arguments", "said"),
    [
        ("get_planet", {}, "'planet' is missing"),
        ("get_planet", {"planet": 0}, "'planet' is 0"),
        ("get_planet", {"planet": -1}, "'planet' is -1"),
        ("get_planet", {"planet": ""}, "'planet' is \"\""),
        ("get_planet", {"planet": 1.5}, "'planet' is 1.5"),
        ("get_planet", {"planet": None}, "'planet' is null"),
        ("get_planet", {"planet": [3]}, "'planet' is"),
        ("get_planet", {"planet": "x" * 101}, "'planet' is"),
        ("get_planet", {"plante": 3}, "Did you mean 'planet'?"),
        ("get_planets", {"limit": 0}, "'limit' is 0"),
        ("get_planets", {"limit": 301}, "'limit' is 301"),
        ("get_planets", {"offset": -1}, "'offset' is -1"),
        ("get_planets", {"contested": "yes"}, "'contested' is \"yes\""),
        ("get_war_status", {"x": 1}, "no arguments"),
    ],
)
async def test_wrong_arguments_are_told_and_nothing_is_asked(war, upstream, tool, arguments, said) -> None:
    with pytest.raises(InvalidArguments) as refused:
        await war(tool, **arguments)
    assert said in str(refused.value)
    assert upstream.asked == []


async def test_many_callers_at_once_cause_one_request(war, upstream) -> None:
    answers = await asyncio.gather(*(war("get_war_status") for _ in range(100)))
    assert {answer["war"]["index"] for answer in answers} == {801}
    assert upstream.paths() == ["/api/war"]


async def test_an_answer_is_used_again_and_connections_are_kept(war, upstream) -> None:
    for _ in range(3):
        await war("get_war_status")
        await war("get_statistics")
        await war("get_planet", planet=3)
    assert len(upstream.asked) == 3
    assert upstream.connections == 1


def test_every_tool_has_a_description_and_both_schemas() -> None:
    tools = load(["war"]).tools()
    assert [tool.definition.name for tool in tools] == [
        "get_war_status",
        "get_planets",
        "get_planet",
        "get_campaigns",
        "get_statistics",
        "get_major_orders",
    ]
    for tool in tools:
        assert tool.definition.description
        assert tool.definition.output_schema["type"] == "object"
