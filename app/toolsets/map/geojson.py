"""GeoJSON (RFC 7946), checked before it is drawn: what is wrong, where, and what would be right."""

from __future__ import annotations

from collections.abc import Callable
from math import isfinite
from typing import Any, cast

import msgspec

MOST_FEATURES = 10_000
MOST_POSITIONS = 100_000
_DEEPEST = 8
_GEOMETRIES = ("Point", "MultiPoint", "LineString", "MultiLineString", "Polygon", "MultiPolygon", "GeometryCollection")


class InvalidGeoJson(Exception):
    """What was sent is no GeoJSON that can be drawn; the message says why."""


class GeoJsonChecker:
    """Walks one document. `features` and `positions` say what it found."""

    def __init__(self) -> None:
        self.features = 0
        self.positions = 0
        self._shapes: dict[str, Callable[[Any, str], None]] = {
            "Point": self._position,
            "MultiPoint": self._each(self._position),
            "LineString": self._line,
            "MultiLineString": self._each(self._line),
            "Polygon": self._each(self._ring),
            "MultiPolygon": self._each(self._each(self._ring)),
        }

    def check(self, document: object) -> None:
        """Raise `InvalidGeoJson` unless the document is a FeatureCollection, a Feature or a geometry."""
        body = _object(document, "geojson")
        crs = body.get("crs")
        if crs is not None and "CRS84" not in str(crs) and "4326" not in str(crs):
            raise InvalidGeoJson("geojson.crs is not WGS 84: convert the coordinates to WGS 84 and leave crs out.")
        kind = body.get("type")
        if kind == "FeatureCollection":
            for number, feature in enumerate(_list(body.get("features"), "geojson.features")):
                self._feature(feature, f"geojson.features[{number}]")
        elif kind == "Feature":
            self._feature(body, "geojson")
        elif kind in _GEOMETRIES:
            self.features = 1
            self._geometry(body, "geojson", 0)
        else:
            known = ", ".join(("FeatureCollection", "Feature", *_GEOMETRIES))
            raise InvalidGeoJson(f"geojson.type is {_shown(kind)}: send one of {known}.")

    def _feature(self, value: object, where: str) -> None:
        feature = _object(value, where)
        if feature.get("type") != "Feature":
            raise InvalidGeoJson(f'{where}.type is {_shown(feature.get("type"))}: send "Feature".')
        self.features += 1
        if self.features > MOST_FEATURES:
            raise InvalidGeoJson(f"{where}: there are more than {MOST_FEATURES} features: send fewer, or simplify.")
        if not isinstance(feature.get("properties"), dict | None):
            raise InvalidGeoJson(f"{where}.properties is {_shown(feature['properties'])}: send an object or null.")
        if "geometry" not in feature:
            raise InvalidGeoJson(f"{where}.geometry is missing: send a geometry or null.")
        if feature["geometry"] is not None:
            self._geometry(feature["geometry"], f"{where}.geometry", 0)

    def _geometry(self, value: object, where: str, depth: int) -> None:
        geometry = _object(value, where)
        kind = geometry.get("type")
        if kind == "GeometryCollection":
            if depth >= _DEEPEST:
                raise InvalidGeoJson(f"{where}: collections are nested more than {_DEEPEST} deep: send them flat.")
            for number, part in enumerate(_list(geometry.get("geometries"), f"{where}.geometries")):
                self._geometry(part, f"{where}.geometries[{number}]", depth + 1)
            return
        shape = self._shapes.get(kind) if isinstance(kind, str) else None
        if shape is None:
            raise InvalidGeoJson(f"{where}.type is {_shown(kind)}: send one of {', '.join(_GEOMETRIES)}.")
        shape(geometry.get("coordinates"), f"{where}.coordinates")

    def _each(self, shape: Callable[[Any, str], None]) -> Callable[[Any, str], None]:
        def check(value: object, where: str) -> None:
            for number, part in enumerate(_list(value, where)):
                shape(part, f"{where}[{number}]")

        return check

    def _line(self, value: object, where: str) -> None:
        line = _list(value, where)
        if len(line) < 2:
            raise InvalidGeoJson(f"{where} has {len(line)} positions: a line has two or more.")
        for number, position in enumerate(line):
            self._position(position, f"{where}[{number}]")

    def _ring(self, value: object, where: str) -> None:
        ring = _list(value, where)
        if len(ring) < 4:
            raise InvalidGeoJson(
                f"{where} has {len(ring)} positions: a ring has four or more, the last like the first."
            )
        for number, position in enumerate(ring):
            self._position(position, f"{where}[{number}]")
        if ring[0] != ring[-1]:
            ends = f"begins at {_shown(ring[0])} and ends at {_shown(ring[-1])}"
            raise InvalidGeoJson(f"{where} is not closed: it {ends}. Repeat the first position at the end.")

    def _position(self, value: object, where: str) -> None:
        self.positions += 1
        if self.positions > MOST_POSITIONS:
            raise InvalidGeoJson(f"{where}: there are more than {MOST_POSITIONS} positions: simplify the shapes.")
        position = _list(value, where)
        if not 2 <= len(position) <= 4 or not all(map(_is_number, position)):
            raise InvalidGeoJson(f"{where} is {_shown(value)}: send [longitude, latitude] as numbers.")
        longitude, latitude = position[0], position[1]
        if -180 <= longitude <= 180 and -90 <= latitude <= 90:
            return
        swapped = " They seem to be swapped." if abs(latitude) <= 180 and abs(longitude) <= 90 else ""
        raise InvalidGeoJson(
            f"{where} is {_shown(value)}: send [longitude from -180 to 180, latitude from -90 to 90].{swapped}"
        )


def _object(value: object, where: str) -> dict[str, Any]:
    if isinstance(value, dict):
        return cast("dict[str, Any]", value)
    raise InvalidGeoJson(f"{where} is {_shown(value)}: send an object.")


def _list(value: object, where: str) -> list[Any]:
    if isinstance(value, list):
        return cast("list[Any]", value)
    raise InvalidGeoJson(f"{where} is {_shown(value)}: send an array.")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)


def _shown(value: object) -> str:
    text = "missing" if value is None else msgspec.json.encode(value).decode()
    return text if len(text) <= 80 else text[:79] + "…"
