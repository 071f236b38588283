"""GeoJSON: what is drawn, what is refused, and what the refusal says."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.toolsets.map.geojson import MOST_FEATURES, MOST_POSITIONS, GeoJsonChecker, InvalidGeoJson

RING = [[0, 0], [0, 1], [1, 1], [0, 0]]


def feature(geometry: Any, **more: Any) -> dict[str, Any]:
    return {"type": "Feature", "properties": {}, "geometry": geometry, **more}


def shape(kind: str, coordinates: Any) -> dict[str, Any]:
    return {"type": kind, "coordinates": coordinates}


@pytest.mark.parametrize(
    "document",
    [
        shape("Point", [180, 90]),
        shape("Point", [-180, -90, 8848.5]),
        shape("MultiPoint", []),
        shape("LineString", [[179, 0], [-179, 0]]),
        shape("MultiLineString", [[[0, 0], [1, 1]]]),
        shape("Polygon", [RING, RING]),
        shape("MultiPolygon", [[RING]]),
        {"type": "GeometryCollection", "geometries": [shape("Point", [0, 0])]},
        feature(None),
        feature(shape("Point", [0, 0]), properties=None, id=7, bbox=[0, 0, 0, 0]),
        {"type": "FeatureCollection", "features": [], "name": "foreign members are fine"},
        {"type": "FeatureCollection", "features": [], "crs": {"properties": {"name": "urn:ogc:def:crs:OGC:1.3:CRS84"}}},
    ],
)
def test_what_the_standard_allows_is_taken(document):
    GeoJsonChecker().check(document)


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ({}, "geojson.type is missing: send one of FeatureCollection"),
        ({"type": "Topology"}, 'geojson.type is "Topology"'),
        ({"type": "FeatureCollection"}, "geojson.features is missing: send an array."),
        ({"type": "FeatureCollection", "features": [1]}, r"geojson.features\[0\] is 1: send an object."),
        ({"type": "FeatureCollection", "features": [shape("Point", [0, 0])]}, r'features\[0\].type is "Point"'),
        ({"type": "Feature", "properties": {}}, "geojson.geometry is missing"),
        (feature(shape("Point", [0, 0]), properties=[]), "geojson.properties is "),
        (shape("Point", None), "geojson.coordinates is missing"),
        (shape("Point", [1]), r"geojson.coordinates is \[1\]: send \[longitude, latitude\] as numbers"),
        (shape("Point", [0, "1"]), r'is \[0,"1"\]: send'),
        (shape("Point", [True, False]), "as numbers"),
        (shape("Point", [float("nan"), 0]), "as numbers"),
        (shape("Point", [float("inf"), 0]), "as numbers"),
        (shape("Point", [0, 0, 0, 0, 0]), "as numbers"),
        (shape("Point", [181, 0]), "longitude from -180 to 180"),
        (shape("Point", [0, -90.001]), "latitude from -90 to 90"),
        (shape("Point", [48.2, 116.4]), "They seem to be swapped"),
        (shape("LineString", [[0, 0]]), "has 1 positions: a line has two or more"),
        (shape("Polygon", [[[0, 0], [1, 1], [0, 0]]]), r"coordinates\[0\] has 3 positions: a ring has four"),
        (
            shape("Polygon", [[[0, 0], [0, 1], [1, 1], [1, 0]]]),
            r"coordinates\[0\] is not closed: it begins at \[0,0\] and ends at \[1,0\]. Repeat the first",
        ),
        (feature(shape("MultiPolygon", [[RING], [[[0, 0]]]])), r"geojson.geometry.coordinates\[1\]\[0\] has 1"),
        ({"type": "FeatureCollection", "features": [], "crs": {"properties": {"name": "EPSG:3857"}}}, "not WGS 84"),
    ],
)
def test_what_is_wrong_is_said_with_its_place_and_its_remedy(document, said):
    with pytest.raises(InvalidGeoJson, match=said):
        GeoJsonChecker().check(document)


def test_too_many_features_positions_and_levels_are_refused():
    many = {"type": "FeatureCollection", "features": [feature(None)] * (MOST_FEATURES + 1)}
    with pytest.raises(InvalidGeoJson, match=f"more than {MOST_FEATURES} features"):
        GeoJsonChecker().check(many)
    with pytest.raises(InvalidGeoJson, match=f"more than {MOST_POSITIONS} positions"):
        GeoJsonChecker().check(shape("MultiPoint", [[0, 0]] * (MOST_POSITIONS + 1)))
    nested: dict[str, Any] = shape("Point", [0, 0])
    for _ in range(10):
        nested = {"type": "GeometryCollection", "geometries": [nested]}
    with pytest.raises(InvalidGeoJson, match="nested more than 8 deep"):
        GeoJsonChecker().check(nested)


def test_features_are_counted():
    checker = GeoJsonChecker()
    checker.check({"type": "FeatureCollection", "features": [feature(None)] * 3})
    assert checker.features == 3


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(),
        lambda inner: (
            st.lists(inner)
            | st.dictionaries(
                st.sampled_from(["type", "features", "geometry", "coordinates", "properties", "geometries"]),
                inner | st.sampled_from(["Feature", "FeatureCollection", "Point", "Polygon", "GeometryCollection"]),
            )
        ),
    )
)
def test_nothing_makes_the_checker_fail_in_another_way(document):
    with suppress(InvalidGeoJson):
        GeoJsonChecker().check(document)
