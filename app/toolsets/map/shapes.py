"""What the tools take and give, as their schemas show it."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from app.toolsets.map.model import SESSION_PATTERN, Snapshot, Values

MARKER_COLOR, LAYER_COLOR = "#d1495b", "#2a7f9e"
Latitude = Annotated[float, Meta(ge=-90, le=90, description="Degrees north of the equator, -90 to 90")]
Longitude = Annotated[float, Meta(ge=-180, le=180, description="Degrees east of Greenwich, -180 to 180")]
Zoom = Annotated[float, Meta(ge=0, le=16, description="0 shows the whole world; each step doubles the scale")]
Label = Annotated[str, Meta(max_length=200, description="A short text beside the marker")]
Description = Annotated[str, Meta(max_length=2_000, description="What a person reads when they open the marker")]
Color = Annotated[str, Meta(pattern=r"^#[0-9a-fA-F]{6}$", description="A colour as #rrggbb")]
Id = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{1,64}$", description="Letters, digits, - and _; 64 at most")]
NewId = Annotated[Id | None, Meta(description="An id of your choice; where it is left out, one is made for you")]
Name = Annotated[str, Meta(min_length=1, max_length=200, description="What the layer is called")]
MapSession = Annotated[
    Annotated[str, Meta(pattern=SESSION_PATTERN)] | None,
    Meta(description="Which map to use; where it is left out: your MCP session's, or without one 'default'"),
]


class Marker(msgspec.Struct):
    """A place on the map."""

    id: str
    latitude: float
    longitude: float
    label: str
    description: str
    color: str


class Layer(msgspec.Struct):
    """A layer of GeoJSON, without its shapes."""

    id: str
    name: str
    color: str
    visible: bool
    features: int


class View(msgspec.Struct):
    """What part of the map people are shown."""

    latitude: float
    longitude: float
    zoom: float


class OnMap(msgspec.Struct, kw_only=True):
    """Which map it is, and where a person sees it."""

    session: str
    version: int
    """Grows by one with each change."""
    page: str
    """The path of the page that shows this map, on this server."""


class ViewSet(OnMap):
    """The view that is shown now."""

    view: View


class MarkerSet(OnMap):
    """The marker as it is now, or as it was when it was removed."""

    marker: Marker


class LayerSet(OnMap):
    """The layer as it is now, or as it was when it was removed."""

    layer: Layer


class Cleared(OnMap):
    """Which kinds are empty now."""

    cleared: Literal["all", "markers", "layers"]


class MapContents(OnMap):
    """Everything on the map but the shapes of its layers, which the resource map://state/<session> has."""

    view: View | None
    markers: list[Marker]
    layers: list[Layer]


class Place(msgspec.Struct, forbid_unknown_fields=True):
    """A place by its coordinates, or by the id of a marker."""

    latitude: Latitude | UnsetType = UNSET
    longitude: Longitude | UnsetType = UNSET
    marker: Id | UnsetType = UNSET


class Leg(msgspec.Struct):
    """From one place to the next."""

    metres: float
    initial_bearing: float | None
    """Degrees clockwise from north; null where every direction leads there."""


class Distance(msgspec.Struct):
    """How far it is along great circles."""

    metres: float
    kilometres: float
    legs: list[Leg]


class Found(msgspec.Struct):
    """A marker, and how far away it is."""

    marker: Marker
    metres: float


class Nearby(OnMap):
    """The markers within the radius, the nearest first."""

    found: list[Found]
    within: int
    """How many there are within the radius, where `limit` leaves some out."""


_marker = msgspec.json.Decoder(Marker).decode
_layer = msgspec.json.Decoder(Layer).decode
_view = msgspec.json.Decoder(View).decode


def marker_of(name: str, values: Values) -> Marker:
    """A marker from its properties."""
    return _marker(_object(values, id=name))


def layer_of(name: str, values: Values) -> Layer:
    """A layer from its properties."""
    return _layer(_object(values, id=name))


def view_of(values: Values) -> View:
    """A view from its properties."""
    return _view(_object(values))


def markers_of(snapshot: Snapshot) -> list[Marker]:
    """All markers, the oldest first."""
    return [marker_of(name, entry.values) for name, entry in snapshot.ordered("marker")]


def _object(values: Values, **more: str) -> bytes:
    return msgspec.json.encode({**more, **{name: msgspec.Raw(value) for name, value in values.items()}})
