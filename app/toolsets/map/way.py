"""The way along places, as the crow flies."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from msgspec import UNSET

from app.toolsets import ToolFailure
from app.toolsets.map.geometry import bearing, distance
from app.toolsets.map.model import Snapshot
from app.toolsets.map.shapes import Distance, Leg, Place, marker_of


def point_of(place: Place, number: int, snapshot: Snapshot) -> tuple[float, float]:
    """The coordinates of one of the places: its own, or those of the marker that it names. Raises `ToolFailure`."""
    latitude, longitude, name = place.latitude, place.longitude, place.marker
    if name is UNSET and latitude is not UNSET and longitude is not UNSET:
        return latitude, longitude
    if name is UNSET or latitude is not UNSET or longitude is not UNSET:
        raise ToolFailure(f"Argument 'places[{number}]': send either latitude and longitude, or marker.")
    entry = snapshot.entries["marker"].get(name)
    if entry is None:
        raise ToolFailure(
            f"Argument 'places[{number}].marker' is \"{name}\": there is no such marker on this map. "
            "get_state lists the ids that there are."
        )
    marker = marker_of(name, entry.values)
    return marker.latitude, marker.longitude


def way_along(points: Sequence[tuple[float, float]]) -> Distance:
    """How long it is, and where each of its parts leads."""
    legs: list[Leg] = []
    for (latitude, longitude), (next_latitude, next_longitude) in pairwise(points):
        way = (latitude, longitude, next_latitude, next_longitude)
        turn = bearing(*way)
        legs.append(Leg(round(distance(*way), 1), None if turn is None else round(turn, 2) % 360))
    total = sum(leg.metres for leg in legs)
    return Distance(round(total, 1), round(total / 1000, 4), legs)
