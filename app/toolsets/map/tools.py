"""The tools of a map, and its state as a resource that can be watched."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta

from app.protocol.errors import UNAVAILABLE, ProtocolError
from app.protocol.handlers import ResourceNotFound
from app.sessions.store import StoreUnavailable
from app.toolsets import CallContext, Offer, ToolAnnotations, ToolFailure, ToolsetRegistry, resource_template, tool
from app.toolsets.map.geojson import GeoJsonChecker, InvalidGeoJson
from app.toolsets.map.geometry import distance
from app.toolsets.map.model import DEFAULT_SESSION, Edit, Edited, Snapshot, encoded, is_session
from app.toolsets.map.service import Maps
from app.toolsets.map.shapes import (
    LAYER_COLOR,
    MARKER_COLOR,
    Cleared,
    Color,
    Description,
    Distance,
    Found,
    Id,
    Label,
    Latitude,
    LayerSet,
    Longitude,
    MapContents,
    MapSession,
    MarkerSet,
    Name,
    Nearby,
    NewId,
    Place,
    ViewSet,
    Zoom,
    layer_of,
    marker_of,
    markers_of,
    view_of,
)
from app.toolsets.map.store import EditRefused
from app.toolsets.map.way import point_of, way_along

URI = "map://state/"
_IN_A_THREAD = 64 * 1024
_ADDS = ToolAnnotations(read_only_hint=False, destructive_hint=False, idempotent_hint=False, open_world_hint=False)
_SETS = ToolAnnotations(read_only_hint=False, destructive_hint=False, idempotent_hint=True, open_world_hint=False)
_REMOVES = ToolAnnotations(read_only_hint=False, destructive_hint=True, idempotent_hint=True, open_world_hint=False)
_TELLS = ToolAnnotations(read_only_hint=True, open_world_hint=False)

Radius = Annotated[float, Meta(gt=0, le=20_038, description="How far to look, in kilometres")]
Limit = Annotated[int, Meta(ge=1, le=100, description="How many markers at most")]
Places = Annotated[list[Place], Meta(min_length=2, max_length=100, description="Where to go, in order: two or more")]
GeoJson = Annotated[
    dict[str, Any], Meta(description="GeoJSON (RFC 7946): a FeatureCollection, a Feature or a geometry, [longitude, …]")
]


class MapTools:
    """The functions that become the tools, on the maps of one process."""

    def __init__(self, maps: Maps, registry: ToolsetRegistry) -> None:
        self._maps = maps
        self._registry = registry

    async def set_view(
        self,
        latitude: Latitude,
        longitude: Longitude,
        zoom: Zoom,
        context: CallContext,
        map_session: MapSession = None,
    ) -> ViewSet:
        """Move everybody's map to a place."""
        values = encoded({"latitude": latitude, "longitude": longitude, "zoom": zoom})
        edited, where = await self._edit(context, map_session, Edit("put", "view", "view", values))
        return ViewSet(**where, view=view_of(edited.values))

    async def add_marker(
        self,
        latitude: Latitude,
        longitude: Longitude,
        context: CallContext,
        label: Label = "",
        description: Description = "",
        color: Color = MARKER_COLOR,
        id: NewId = None,  # noqa: A002 (what a client sends is called so)
        map_session: MapSession = None,
    ) -> MarkerSet:
        """Put a marker on the map; people who watch see it at once."""
        place = {"latitude": latitude, "longitude": longitude}
        values = encoded({**place, "label": label, "description": description, "color": color})
        edited, where = await self._edit(context, map_session, Edit("add", "marker", id or "", values))
        return MarkerSet(**where, marker=marker_of(edited.id, edited.values))

    async def update_marker(
        self,
        id: Id,  # noqa: A002
        context: CallContext,
        latitude: Latitude | None = None,
        longitude: Longitude | None = None,
        label: Label | None = None,
        description: Description | None = None,
        color: Color | None = None,
        map_session: MapSession = None,
    ) -> MarkerSet:
        """Move or change a marker; what is left out stays as it is."""
        place = {"latitude": latitude, "longitude": longitude}
        sent = {**place, "label": label, "description": description, "color": color}
        values = {name: value for name, value in sent.items() if value is not None}
        if not values:
            raise ToolFailure(f"Nothing to change was sent for marker '{id}'. Send at least one of {', '.join(sent)}.")
        edited, where = await self._edit(context, map_session, Edit("set", "marker", id, encoded(values)))
        return MarkerSet(**where, marker=marker_of(edited.id, edited.values))

    async def remove_marker(self, id: Id, context: CallContext, map_session: MapSession = None) -> MarkerSet:  # noqa: A002
        """Take a marker off the map."""
        edited, where = await self._edit(context, map_session, Edit("remove", "marker", id))
        return MarkerSet(**where, marker=marker_of(edited.id, edited.values))

    async def add_layer(
        self,
        geojson: GeoJson,
        name: Name,
        context: CallContext,
        color: Color = LAYER_COLOR,
        visible: bool = True,
        id: NewId = None,  # noqa: A002
        map_session: MapSession = None,
    ) -> LayerSet:
        """Draw GeoJSON on the map: points, lines and areas in WGS 84."""
        shapes = msgspec.json.encode(geojson)
        most = self._maps.limits.max_layer_bytes
        if len(shapes) > most:
            raise ToolFailure(f"The GeoJSON has {len(shapes)} bytes, {most} is the most: simplify it, or send several.")
        checker = GeoJsonChecker()
        try:
            if len(shapes) < _IN_A_THREAD:
                checker.check(geojson)
            else:
                await asyncio.to_thread(checker.check, geojson)
        except InvalidGeoJson as error:
            raise ToolFailure(f"Argument {error}") from None
        values = encoded({"name": name, "color": color, "visible": visible, "features": checker.features})
        edit = Edit("add", "layer", id or "", values | {"geojson": shapes})
        edited, where = await self._edit(context, map_session, edit)
        return LayerSet(**where, layer=layer_of(edited.id, edited.values))

    async def set_layer_visibility(
        self,
        id: Id,  # noqa: A002
        visible: bool,
        context: CallContext,
        map_session: MapSession = None,
    ) -> LayerSet:
        """Show or hide a layer."""
        edit = Edit("set", "layer", id, encoded({"visible": visible}))
        edited, where = await self._edit(context, map_session, edit)
        return LayerSet(**where, layer=layer_of(edited.id, edited.values))

    async def remove_layer(self, id: Id, context: CallContext, map_session: MapSession = None) -> LayerSet:  # noqa: A002
        """Take a layer off the map."""
        edited, where = await self._edit(context, map_session, Edit("remove", "layer", id))
        return LayerSet(**where, layer=layer_of(edited.id, edited.values))

    async def measure_distance(self, places: Places, context: CallContext, map_session: MapSession = None) -> Distance:
        """Measure the way along two or more places, as the crow flies; a place is coordinates or a marker's id."""
        snapshot = Snapshot()
        if any(place.marker is not UNSET for place in places):
            snapshot = await self._read(_session(context, map_session))
        return way_along([point_of(place, number, snapshot) for number, place in enumerate(places)])

    async def find_nearby(
        self,
        latitude: Latitude,
        longitude: Longitude,
        radius_km: Radius,
        context: CallContext,
        limit: Limit = 20,
        map_session: MapSession = None,
    ) -> Nearby:
        """Find the markers within a radius of a place, the nearest first."""
        session = _session(context, map_session)
        snapshot = await self._read(session)
        far = [
            Found(marker, round(distance(latitude, longitude, marker.latitude, marker.longitude), 1))
            for marker in markers_of(snapshot)
        ]
        near = sorted((found for found in far if found.metres <= radius_km * 1000), key=lambda found: found.metres)
        return Nearby(**_where(session, snapshot.position.version), found=near[:limit], within=len(near))

    async def clear(
        self,
        context: CallContext,
        what: Annotated[Literal["all", "markers", "layers"], Meta(description="What to take away")] = "all",
        map_session: MapSession = None,
    ) -> Cleared:
        """Take everything off the map, or all markers, or all layers."""
        kinds: dict[str, Literal["all", "marker", "layer"]] = {"all": "all", "markers": "marker", "layers": "layer"}
        _, where = await self._edit(context, map_session, Edit("clear", kinds[what]))
        return Cleared(**where, cleared=what)

    async def get_state(self, context: CallContext, map_session: MapSession = None) -> MapContents:
        """Tell what is on the map: its view, its markers, and its layers without their shapes."""
        session = _session(context, map_session)
        snapshot = await self._read(session)
        view = snapshot.entries["view"].get("view")
        return MapContents(
            **_where(session, snapshot.position.version),
            view=None if view is None else view_of(view.values),
            markers=markers_of(snapshot),
            layers=[layer_of(name, entry.values) for name, entry in snapshot.ordered("layer")],
        )

    async def state(self, session: str) -> str:
        """Everything on one map, with the GeoJSON of its layers. Subscribe to hear of changes."""
        if not is_session(session):
            raise ResourceNotFound
        try:
            return (await self._maps.store.read(session, shapes=True)).encode().decode()
        except StoreUnavailable as error:
            raise ProtocolError(UNAVAILABLE, f"The maps' store does not answer: {_again(error)}.") from None

    async def _edit(self, context: CallContext, name: str | None, edit: Edit) -> tuple[Edited, dict[str, Any]]:
        session = _session(context, name)
        try:
            edited = await self._maps.store.edit(session, edit)
        except EditRefused as error:
            raise ToolFailure(str(error)) from None
        except StoreUnavailable as error:
            unknown = "it is not known whether the map changed. get_state tells"
            raise ToolFailure(f"The maps' store does not answer: {unknown}; {_again(error)}.") from None
        self._registry.updated(URI + session)
        return edited, _where(session, edited.position.version)

    async def _read(self, session: str) -> Snapshot:
        try:
            return await self._maps.store.read(session, shapes=False)
        except StoreUnavailable as error:
            raise ToolFailure(f"The maps' store does not answer: {_again(error)}.") from None


def offers(registry: ToolsetRegistry) -> list[Offer]:
    """The tools and the resource, on the maps that the wiring gave."""
    tools = MapTools(registry.given(Maps) or Maps(), registry)
    state = resource_template(URI + "{session}", name="map", title="Map", mime_type="application/json")
    return [
        tool(title="Set the view", annotations=_SETS)(tools.set_view),
        tool(title="Add a marker", annotations=_ADDS)(tools.add_marker),
        tool(title="Update a marker", annotations=_SETS)(tools.update_marker),
        tool(title="Remove a marker", annotations=_REMOVES)(tools.remove_marker),
        tool(title="Add a layer", annotations=_ADDS)(tools.add_layer),
        tool(title="Show or hide a layer", annotations=_SETS)(tools.set_layer_visibility),
        tool(title="Remove a layer", annotations=_REMOVES)(tools.remove_layer),
        tool(title="Measure a distance", annotations=_TELLS)(tools.measure_distance),
        tool(title="Find markers nearby", annotations=_TELLS)(tools.find_nearby),
        tool(title="Clear the map", annotations=_REMOVES)(tools.clear),
        tool(title="What is on the map", annotations=_TELLS)(tools.get_state),
        state(tools.state),
    ]


def _session(context: CallContext, name: str | None) -> str:
    """Which map a call means: the one it names, its MCP session's, or the one of all who have neither."""
    if name is None and context.session_id is not None and is_session(context.session_id):
        return context.session_id
    return name or DEFAULT_SESSION


def _where(session: str, version: int) -> dict[str, Any]:
    return {"session": session, "version": version, "page": f"/map/{session}"}


def _again(error: StoreUnavailable) -> str:
    return f"try again in {error.retry_after} s"
