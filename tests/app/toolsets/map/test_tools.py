"""The tools of the map, called as a client calls them."""

from __future__ import annotations

import asyncio
import json
from types import SimpleNamespace

import pytest

from app.protocol.calls import ANONYMOUS, Call
from app.protocol.context import CallContext
from app.protocol.errors import ProtocolError
from app.protocol.params import Meta
from app.protocol.revisions import NEWEST
from app.sessions.store import StoreUnavailable
from app.toolsets import load


async def test_the_toolset_has_these_tools_and_each_says_what_it_does(registry):
    names = [tool.definition.name for tool in registry.tools()]
    assert names == [
        "set_view",
        "add_marker",
        "update_marker",
        "remove_marker",
        "add_layer",
        "set_layer_visibility",
        "remove_layer",
        "measure_distance",
        "find_nearby",
        "clear",
        "get_state",
    ]
    for tool in registry.tools():
        assert tool.definition.description
        assert tool.definition.output_schema["type"] == "object"
        assert tool.definition.input_schema["properties"]["map_session"]["default"] is None


async def test_a_marker_lives_from_adding_to_removing(call_tool):
    added = await call_tool("add_marker", latitude=48.2, longitude=16.4, label="Wien", id="w")
    assert added == {
        "marker": {
            "id": "w",
            "latitude": 48.2,
            "longitude": 16.4,
            "label": "Wien",
            "description": "",
            "color": "#d1495b",
        },
        "session": "default",
        "version": 1,
        "page": "/map/default",
    }
    updated = await call_tool("update_marker", id="w", label="Vienna", color="#000000")
    assert updated["marker"] == added["marker"] | {"label": "Vienna", "color": "#000000"}
    removed = await call_tool("remove_marker", id="w")
    assert removed["marker"] == updated["marker"]
    assert (await call_tool("get_state"))["markers"] == []


async def test_the_state_has_everything_in_the_order_it_was_added(call_tool):
    await call_tool("set_view", latitude=1, longitude=2, zoom=3)
    for name in ("b", "a"):
        await call_tool("add_marker", id=name, latitude=0, longitude=0)
    point = {"type": "Point", "coordinates": [0, 0]}
    await call_tool("add_layer", id="l", name="Layer", geojson=point, visible=False)
    state = await call_tool("get_state")
    assert state["view"] == {"latitude": 1, "longitude": 2, "zoom": 3}
    assert [marker["id"] for marker in state["markers"]] == ["b", "a"]
    assert state["layers"] == [{"id": "l", "name": "Layer", "color": "#2a7f9e", "visible": False, "features": 1}]


async def test_a_layer_is_shown_hidden_and_removed(call_tool):
    await call_tool("add_layer", name="n", geojson={"type": "Point", "coordinates": [0, 0]})
    assert (await call_tool("set_layer_visibility", id="layer-1", visible=False))["layer"]["visible"] is False
    assert (await call_tool("set_layer_visibility", id="layer-1", visible=True))["layer"]["visible"] is True
    await call_tool("remove_layer", id="layer-1")
    with pytest.raises(call_tool.Wrong, match="There is no layer 'layer-1'"):
        await call_tool("set_layer_visibility", id="layer-1", visible=True)


@pytest.mark.parametrize(("what", "left"), [("all", (0, 0)), ("markers", (0, 1)), ("layers", (1, 0))])
async def test_clearing_takes_away_what_was_named(call_tool, what, left):
    await call_tool("add_marker", latitude=0, longitude=0)
    await call_tool("add_layer", name="n", geojson={"type": "Point", "coordinates": [0, 0]})
    assert (await call_tool("clear", what=what))["cleared"] == what
    state = await call_tool("get_state")
    assert (len(state["markers"]), len(state["layers"])) == left


async def test_distances_run_over_coordinates_and_markers(call_tool):
    await call_tool("add_marker", id="start", latitude=0, longitude=179)
    places = [{"marker": "start"}, {"latitude": 0, "longitude": -179}, {"latitude": 90, "longitude": 5}]
    found = await call_tool("measure_distance", places=places)
    assert [leg["initial_bearing"] for leg in found["legs"]] == [90, 0]
    assert [round(leg["metres"] / 1000) for leg in found["legs"]] == [222, 10_008]
    assert found["kilometres"] == pytest.approx(found["metres"] / 1000)


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ({"marker": "nobody"}, r"'places\[1\].marker' is \"nobody\": there is no such marker"),
        ({}, r"'places\[1\]': send either latitude and longitude, or marker"),
        ({"latitude": 1}, "send either"),
        ({"latitude": 1, "longitude": 1, "marker": "m"}, "send either"),
        ({"latitude": 91, "longitude": 0}, r"'places\[1\].latitude' is 91"),
        ({"lat": 1, "lon": 2}, r"'places\[1\].lat' is unknown"),
    ],
)
async def test_a_place_that_makes_no_sense_is_refused(call_tool, place, said):
    with pytest.raises(call_tool.Wrong, match=said):
        await call_tool("measure_distance", places=[{"latitude": 0, "longitude": 0}, place])


async def test_markers_nearby_are_found_across_the_antimeridian_and_around_the_poles(call_tool):
    places = {"here": (0, 179.9), "over": (0, -179.9), "far": (0, 170), "pole": (90, -60), "arctic": (89.5, 100)}
    for name, (latitude, longitude) in places.items():
        await call_tool("add_marker", id=name, latitude=latitude, longitude=longitude)
    near = await call_tool("find_nearby", latitude=0, longitude=180, radius_km=50)
    assert {found["marker"]["id"] for found in near["found"]} == {"here", "over"}
    north = await call_tool("find_nearby", latitude=89.8, longitude=-80, radius_km=100)
    assert [found["marker"]["id"] for found in north["found"]] == ["pole", "arctic"]
    all_of_it = await call_tool("find_nearby", latitude=0, longitude=0, radius_km=20_037, limit=2)
    assert (len(all_of_it["found"]), all_of_it["within"]) == (2, 5)
    assert all_of_it["found"][0]["metres"] <= all_of_it["found"][1]["metres"]


@pytest.mark.parametrize(
    ("tool", "arguments", "said"),
    [
        ("add_marker", b'{"latitude": 90.0001, "longitude": 0}', "'latitude' is 90.0001"),
        ("add_marker", b'{"latitude": 0, "longitude": -180.5}', "'longitude' is -180.5"),
        ("add_marker", b'{"latitude": NaN, "longitude": 0}', "not JSON|latitude"),
        ("add_marker", b'{"latitude": 1e999, "longitude": 0}', "out of range|latitude"),
        ("add_marker", b'{"latitude": "48", "longitude": 0}', "'latitude' is \"48\""),
        ("add_marker", b'{"latitude": 48}', "'longitude' is missing"),
        ("add_marker", b'{"latitude": 0, "longitude": 0, "lable": "x"}', "'lable' is unknown. Did you mean 'label'"),
        ("add_marker", b'{"latitude": 0, "longitude": 0, "color": "red"}', "'color' is \"red\""),
        ("add_marker", b'{"latitude": 0, "longitude": 0, "id": "a:b"}', "'id' is \"a:b\""),
        ("add_marker", b'{"latitude": 0, "longitude": 0, "map_session": "a b"}', "'map_session' is \"a b\""),
        ("update_marker", b'{"id": "m"}', "Send at least one of latitude, longitude, label"),
        ("update_marker", b'{"id": "m", "label": "x"}', "There is no marker 'm'"),
        ("set_view", b'{"latitude": 0, "longitude": 0, "zoom": 17}', "'zoom' is 17"),
        ("find_nearby", b'{"latitude": 0, "longitude": 0, "radius_km": 0}', "'radius_km' is 0"),
        ("measure_distance", b'{"places": [{"latitude": 0, "longitude": 0}]}', "'places' is "),
        ("clear", b'{"what": "everything"}', "'what' is \"everything\""),
        ("add_layer", b'{"geojson": [], "name": "n"}', "'geojson' is "),
        ("add_layer", b'{"geojson": {"type": "Point", "coordinates": [0, 91]}, "name": "n"}', "Argument geojson.coord"),
        ("add_layer", b'{"geojson": {"type": "Point", "coordinates": [0, 0]}, "name": ""}', "'name' is \"\""),
    ],
)
async def test_bad_input_is_refused_by_name_and_with_the_remedy(call_tool, tool, arguments, said):
    with pytest.raises((call_tool.Wrong, ProtocolError), match=said):
        await call_tool(tool, arguments)
    assert (await call_tool("get_state"))["version"] == 0


async def test_geojson_beyond_the_limit_is_refused_and_what_is_large_but_allowed_is_taken(call_tool):
    line = {"type": "LineString", "coordinates": [[step / 100, 0] for step in range(5_000)]}
    assert (await call_tool("add_layer", name="n", geojson=line))["layer"]["features"] == 1
    line["coordinates"] *= 2
    with pytest.raises(call_tool.Wrong, match="65536 is the most: simplify it"):
        await call_tool("add_layer", name="n", geojson=line)


@pytest.mark.parametrize("text", ["<script>alert(1)</script>", "{{7*7}}", "a\u0000b\u202e", "😀", "__proto__", "\\\"'"])
async def test_hostile_text_is_kept_as_it_is(call_tool, text):
    added = await call_tool("add_marker", latitude=0, longitude=0, label=text, description=text)
    assert (added["marker"]["label"], added["marker"]["description"]) == (text, text)


async def test_each_session_has_a_map_of_its_own(registry):
    async def add(session_id: str | None, **more: str) -> str:
        session = None if session_id is None else SimpleNamespace(id=session_id)
        context = CallContext(Call("1", "tools/call", None, NEWEST, session, ANONYMOUS, None), Meta())
        raw = json.dumps({"latitude": 0, "longitude": 0, **more}).encode()
        result = await registry.tool("add_marker").call(raw, context)
        return json.loads(bytes(result.structured_content))["session"]

    assert await add(None) == "default"
    assert await add("0123456789abcdef") == "0123456789abcdef"
    assert await add("0123456789abcdef", map_session="shared") == "shared"
    assert await add(None, map_session="shared") == "shared"
    assert await add("no name / of a map") == "default"


async def test_each_change_is_told_to_who_watches_the_resource(registry, call_tool):
    told: list[str] = []
    registry.listen_updates(told.append)
    await call_tool("add_marker", latitude=0, longitude=0, map_session="a")
    await call_tool("get_state", map_session="b")
    await call_tool("clear", map_session="b")
    with pytest.raises(call_tool.Wrong):
        await call_tool("remove_marker", id="gone", map_session="a")
    assert told == ["map://state/a", "map://state/b"]


async def test_the_resource_has_the_whole_map(registry, call_tool, context):
    point = {"type": "Point", "coordinates": [0, 0]}
    await call_tool("add_layer", id="l", name="n", geojson=point, map_session="a")
    read = await registry.resource("map://state/a").read("map://state/a", context)
    body = json.loads(read.contents[0].text)
    assert body["layers"]["l"]["geojson"] == point
    assert read.contents[0].mime_type == "application/json"


async def test_a_store_that_is_away_is_a_tool_error_that_says_what_is_known(maps, call_tool, monkeypatch):
    async def away(*args: object, **named: object) -> None:
        raise StoreUnavailable("gone")

    monkeypatch.setattr(maps.store, "edit", away)
    monkeypatch.setattr(maps.store, "read", away)
    with pytest.raises(call_tool.Wrong, match="not known whether the map changed"):
        await call_tool("add_marker", latitude=0, longitude=0)
    with pytest.raises(call_tool.Wrong, match="does not answer: try again in 2 s"):
        await call_tool("get_state")


async def test_two_hundred_writers_at_once_lose_no_marker(call_tool):
    await asyncio.gather(*(call_tool("add_marker", latitude=0, longitude=0) for _ in range(200)))
    markers = (await call_tool("get_state"))["markers"]
    assert {marker["id"] for marker in markers} == {f"marker-{number}" for number in range(1, 201)}


def test_without_a_store_given_the_toolset_keeps_its_maps_itself():
    assert load(["map"]).tool("add_marker") is not None
