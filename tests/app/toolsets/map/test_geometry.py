"""Distances, also where longitudes jump and where they all meet."""

from __future__ import annotations

from math import pi

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.toolsets.map.geometry import EARTH_RADIUS, bearing, distance

HALF = pi * EARTH_RADIUS
DEGREE = HALF / 180
latitudes, longitudes = st.floats(-90, 90), st.floats(-180, 180)


@pytest.mark.parametrize(
    ("way", "metres"),
    [
        ((0, 0, 0, 0), 0),
        ((0, 179.5, 0, -179.5), DEGREE),
        ((0, 180, 0, -180), 0),
        ((90, 0, 90, 135), 0),
        ((90, 10, -90, -70), HALF),
        ((0, 0, 0, 180), HALF),
        ((89, 0, 89, 180), 2 * DEGREE),
        ((52.5200, 13.4050, 48.8566, 2.3522), 877_460),
    ],
)
def test_a_distance_is_the_shortest_way_over_the_globe(way, metres):
    assert distance(*way) == pytest.approx(metres, abs=50)


@given(latitudes, longitudes, latitudes, longitudes)
def test_a_distance_is_the_same_both_ways_and_never_beyond_half_around(a, b, c, d):
    there = distance(a, b, c, d)
    assert 0 <= there <= HALF + 1e-6
    assert there == pytest.approx(distance(c, d, a, b), abs=1e-3)


@pytest.mark.parametrize(
    ("way", "degrees"),
    [((0, 0, 10, 0), 0), ((0, 0, 0, 10), 90), ((0, 179, 0, -179), 90), ((0, -179, 0, 179), 270), ((0, 0, -1, 0), 180)],
)
def test_a_bearing_says_where_to_set_out(way, degrees):
    assert bearing(*way) == pytest.approx(degrees)


def test_there_is_no_bearing_to_where_one_is_or_to_the_other_side_of_the_globe():
    assert bearing(10, 20, 10, 20) is None
    assert bearing(0, 0, 0, 180) is None
