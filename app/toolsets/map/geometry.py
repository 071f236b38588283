"""Distances on the globe. Nothing here minds the antimeridian or the poles."""

from __future__ import annotations

from math import atan2, cos, degrees, hypot, radians, sin, sqrt

EARTH_RADIUS = 6_371_008.8
"""The mean radius, in metres; a sphere of it is at most half a percent off."""


def distance(latitude: float, longitude: float, other_latitude: float, other_longitude: float) -> float:
    """Metres along the great circle (haversine)."""
    here, there = radians(latitude), radians(other_latitude)
    across = sin(radians(other_longitude - longitude) / 2) ** 2
    half = sin((there - here) / 2) ** 2 + cos(here) * cos(there) * across
    half = min(1.0, half)  # antipodes: rounding must not leave the domain
    return 2 * EARTH_RADIUS * atan2(sqrt(half), sqrt(1 - half))


def bearing(latitude: float, longitude: float, other_latitude: float, other_longitude: float) -> float | None:
    """The direction to set out in, in degrees clockwise from north; None where there is none or every one is right."""
    here, there = radians(latitude), radians(other_latitude)
    turn = radians(other_longitude - longitude)
    east = sin(turn) * cos(there)
    north = cos(here) * sin(there) - sin(here) * cos(there) * cos(turn)
    if hypot(east, north) < 1e-12:
        return None
    return degrees(atan2(east, north)) % 360
