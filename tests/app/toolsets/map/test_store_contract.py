"""What every store of maps does, in memory and in Redis alike."""

from __future__ import annotations

import asyncio
import json

import pytest

from app.toolsets.map.model import NOWHERE, Edit, Patch, Position, encoded
from app.toolsets.map.store import EditRefused, MapStore


def marker(name: str = "", *, latitude: float = 1, longitude: float = 2, label: str = "") -> Edit:
    values = {"latitude": latitude, "longitude": longitude, "label": label, "description": "", "color": "#000000"}
    return Edit("add", "marker", name, encoded(values))


def layer(name: str = "", size: int = 10) -> Edit:
    values = encoded({"name": "n", "color": "#000000", "visible": True, "features": 1})
    return Edit("add", "layer", name, values | {"geojson": b'"' + b"x" * (size - 2) + b'"'})


def move(name: str, **values: object) -> Edit:
    return Edit("set", "marker", name, encoded(values))


async def whole(store: MapStore, name: str) -> dict:
    return json.loads((await store.read(name, shapes=True)).encode())


async def test_a_map_that_nobody_touched_is_empty(store, name):
    snapshot = await store.read(name, shapes=True)
    assert snapshot.position == NOWHERE
    assert json.loads(snapshot.encode()) == {"version": 0, "view": None, "markers": {}, "layers": {}}
    assert await store.changes(name, NOWHERE) == (NOWHERE, [])


async def test_a_marker_that_was_added_is_read_with_all_its_properties(store, name):
    edited = await store.edit(name, marker("home", latitude=-90, longitude=180, label="<b>ünï"))
    assert (edited.id, edited.position.version) == ("home", 1)
    assert (await whole(store, name))["markers"] == {
        "home": {
            "latitude": -90,
            "longitude": 180,
            "label": "<b>ünï",
            "description": "",
            "color": "#000000",
            "order": 1,
        }
    }


async def test_ids_are_made_where_none_is_given_and_never_twice(store, name):
    await store.edit(name, marker("marker-2"))
    ids = [(await store.edit(name, marker())).id for _ in range(3)]
    assert ids == ["marker-1", "marker-3", "marker-4"]
    await store.edit(name, Edit("remove", "marker", "marker-4"))
    assert (await store.edit(name, marker())).id == "marker-5"


async def test_an_edit_answers_with_every_property_but_the_shapes(store, name):
    await store.edit(name, marker("m", label="before"))
    edited = await store.edit(name, move("m", label="after"))
    assert list(edited.values) == ["latitude", "longitude", "label", "description", "color"]
    assert edited.values["label"] == b'"after"'
    assert list((await store.edit(name, layer("l"))).values) == ["name", "color", "visible", "features"]
    removed = await store.edit(name, Edit("remove", "layer", "l"))
    assert list(removed.values) == ["name", "color", "visible", "features"]


async def test_shapes_are_read_only_where_they_are_asked_for(store, name):
    await store.edit(name, layer("l"))
    assert "geojson" in (await store.read(name, shapes=True)).entries["layer"]["l"].values
    assert "geojson" not in (await store.read(name, shapes=False)).entries["layer"]["l"].values


async def test_the_view_is_put_and_put_again(store, name):
    for zoom in (3, 4):
        await store.edit(name, Edit("put", "view", "view", encoded({"latitude": 1, "longitude": 2, "zoom": zoom})))
    assert (await whole(store, name))["view"] == {"latitude": 1, "longitude": 2, "zoom": 4}


@pytest.mark.parametrize(
    "edit", [move("gone", label="x"), Edit("remove", "marker", "gone"), Edit("remove", "layer", "gone")]
)
async def test_what_is_not_there_cannot_be_changed_or_removed(store, name, edit):
    await store.edit(name, marker("m"))
    with pytest.raises(EditRefused, match=f"There is no {edit.kind} 'gone' on this map"):
        await store.edit(name, edit)
    assert (await store.read(name, shapes=False)).position.version == 1


async def test_a_refused_edit_makes_no_map(store, name):
    with pytest.raises(EditRefused):
        await store.edit(name, move("gone", label="x"))
    assert (await store.read(name, shapes=False)).position == NOWHERE


async def test_an_id_that_is_taken_is_refused_with_the_remedy(store, name):
    await store.edit(name, marker("m"))
    with pytest.raises(EditRefused, match=r"already a marker 'm'.*update_marker"):
        await store.edit(name, marker("m"))


async def test_caps_hold_for_markers_layers_and_bytes(make_store, name):
    store = await make_store(max_markers=2, max_layers=1, max_bytes=1_000)
    for _ in range(2):
        await store.edit(name, marker())
    with pytest.raises(EditRefused, match="has 2 markers, which is the most"):
        await store.edit(name, marker())
    with pytest.raises(EditRefused, match="more than 1000 bytes"):
        await store.edit(name, layer("big", 990))
    await store.edit(name, layer("small", 100))
    with pytest.raises(EditRefused, match="has 1 layers"):
        await store.edit(name, layer())


async def test_what_is_removed_or_cleared_makes_room(make_store, name):
    store = await make_store(max_markers=1, max_layers=1, max_bytes=1_000)
    for _ in range(3):
        await store.edit(name, layer("l", 800))
        await store.edit(name, Edit("remove", "layer", "l"))
        await store.edit(name, layer("l", 800))
        await store.edit(name, marker())
        await store.edit(name, Edit("clear", "all"))


async def test_clearing_one_kind_leaves_the_others(store, name):
    view = Edit("put", "view", "view", encoded({"latitude": 1, "longitude": 2, "zoom": 3}))
    for edit in (view, marker("m"), layer("l"), Edit("clear", "marker")):
        await store.edit(name, edit)
    found = await whole(store, name)
    assert (found["markers"], list(found["layers"]), found["view"]["zoom"]) == ({}, ["l"], 3)
    await store.edit(name, Edit("clear", "all"))
    assert await whole(store, name) == {"version": 5, "view": None, "markers": {}, "layers": {}}


async def test_a_cap_on_maps_refuses_new_ones_only(make_store, name):
    store = await make_store(max_maps=1_000_000)
    await store.edit(name, marker("m"))
    full = await make_store(max_maps=0) if type(store).__name__ == "RedisMapStore" else store
    if full is store:
        store.limits = type(store.limits)(max_maps=1)
    with pytest.raises(EditRefused, match="maps, which is the most"):
        await full.edit(f"{name}-other", marker())
    await full.edit(name, marker())


async def test_changes_after_a_position_are_told_in_order(store, name):
    first = (await store.edit(name, marker("a"))).position
    await store.edit(name, move("a", label="new"))
    await store.edit(name, Edit("remove", "marker", "a"))
    position, made = await store.changes(name, first)
    assert position == Position(first.epoch, 3)
    assert [(change.version, change.edit.verb, change.edit.id) for change in made] == [
        (2, "set", "a"),
        (3, "remove", "a"),
    ]
    assert dict(made[0].edit.values) == {"label": b'"new"'}
    assert await store.changes(name, position) == (position, [])


@pytest.mark.parametrize("after", [None, NOWHERE, Position("other", 1)])
async def test_changes_after_an_unknown_position_are_not_told(store, name, after):
    position = (await store.edit(name, marker())).position
    assert await store.changes(name, after) == (position, None)


async def test_changes_beyond_the_end_are_not_told(store, name):
    position = (await store.edit(name, marker())).position
    assert (await store.changes(name, Position(position.epoch, 2))).made is None


@pytest.mark.parametrize("limits", [{"max_log": 2}, {"max_log_bytes": 100}])
async def test_changes_that_the_log_dropped_are_not_told(make_store, name, limits):
    store = await make_store(**limits)
    first = (await store.edit(name, marker("a"))).position
    for label in ("x" * 40, "y" * 40, "z" * 40):
        last = (await store.edit(name, move("a", label=label))).position
    assert (await store.changes(name, first)).made is None
    assert len((await store.changes(name, Position(last.epoch, 2))).made) == 2


async def test_listeners_hear_the_name_of_a_map_that_changes(make_store, name):
    store, other = await make_store(), await make_store()
    heard: asyncio.Queue[str | None] = asyncio.Queue()
    listener = other if type(store).__name__ == "RedisMapStore" else store
    listener.listen(heard.put_nowait)
    async with asyncio.timeout(5):
        if listener is other:
            assert await heard.get() is None  # the link came up
        await store.edit(name, marker())
        while await heard.get() != name:
            pass


async def test_patches_of_changes_lead_from_one_state_to_the_next(store, name):
    """Whatever was done, applying the patch to the earlier state gives the later one."""
    await store.edit(name, marker("a"))
    await store.edit(name, layer("l"))
    before, position = await whole(store, name), (await store.read(name, shapes=False)).position
    edits = [
        move("a", label="moved", latitude=5),
        marker("b"),
        Edit("remove", "marker", "a"),
        Edit("clear", "layer"),
        layer("l"),
        marker("a", label="again"),
        Edit("set", "layer", "l", encoded({"visible": False})),
    ]
    for edit in edits:
        await store.edit(name, edit)
    changes = await store.changes(name, position)
    patch = json.loads(Patch(changes.position, changes.made).encode())
    assert applied(before, patch) == await whole(store, name)


def applied(state: dict, patch: dict) -> dict:
    """As the page does it."""
    state = json.loads(json.dumps(state))
    state["version"] = patch["version"]
    if "view" in patch:
        state["view"] = patch["view"]
    for kind in patch.get("cleared", ()):
        state[kind] = {}
    for kind in ("markers", "layers"):
        for name, values in patch.get(kind, {}).items():
            if values is None:
                state[kind].pop(name, None)
            else:
                state[kind][name] = {**state[kind].get(name, {}), **values}
    return state


async def test_edits_of_different_properties_at_once_are_all_kept(make_store, name):
    store = await make_store()
    other = await make_store() if type(store).__name__ == "RedisMapStore" else store
    await store.edit(name, marker("m"))
    await asyncio.gather(
        store.edit(name, move("m", label="one")),
        other.edit(name, move("m", latitude=50, longitude=60)),
        other.edit(name, move("m", color="#ffffff")),
    )
    found = (await whole(store, name))["markers"]["m"]
    assert (found["label"], found["latitude"], found["longitude"], found["color"]) == ("one", 50, 60, "#ffffff")


async def test_a_map_ends_when_nobody_used_it_for_its_time_to_live(name, shared_redis):
    from app.toolsets.map.memory import MemoryMapStore
    from app.toolsets.map.model import MapLimits
    from app.toolsets.map.redis import RedisMapStore

    now = 0.0
    memory = MemoryMapStore(MapLimits(ttl=10), clock=lambda: now)
    first = (await memory.edit(name, marker("m"))).position
    now = 9
    assert (await memory.read(name, shapes=False)).position == first  # reading keeps it
    now = 18
    assert (await memory.read(name, shapes=False)).position == first
    now = 28
    assert (await memory.read(name, shapes=False)).position == NOWHERE
    assert (await memory.edit(name, marker("m"))).position.epoch != first.epoch

    redis = RedisMapStore(shared_redis.url, MapLimits(ttl=100))
    await redis.edit(name, marker("m"))
    assert 90 < int(shared_redis.cli("ttl", f"map_state:{name}")) <= 100
    shared_redis.cli("del", f"map_state:{name}")  # as if its time had passed; its log outlived it by a moment
    assert (await redis.edit(name, marker("m"))).position.version == 1
    await redis.close()
