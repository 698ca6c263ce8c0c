"""Which place an answer of the weather service is for.

Told in turn by the grid square in its `id` (raw grid data), by the middle of its geometry (the nearest place of the
card within 15 km), or by the grid square in the file's name. Else it is the square itself, else the file's name.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

_SQUARE = re.compile(r"([A-Z]{3})[/_-](\d{1,3})[,_-](\d{1,3})")
_NEAR_KM = 15.0
_KM_A_DEGREE = 111.2
_DEPTH = 8


@dataclass(frozen=True, slots=True)
class Spot:
    """A place by name; degrees where the answer has a geometry."""

    name: str
    latitude: float | None
    longitude: float | None


def spot(answer: Mapping[str, Any], file_name: str, places: list[Mapping[str, Any]]) -> Spot:
    """The place of an answer; `places` as on the card: name, office, x, y, latitude, longitude."""
    latitude, longitude = _middle(answer.get("geometry"))
    properties = answer.get("properties")
    inner = properties.get("@id") if isinstance(properties, dict) else None
    square = _square(answer.get("id")) or _square(inner)
    name = _named(square, places) or _nearest(latitude, longitude, places)
    square = square or _square(file_name)
    name = name or _named(square, places) or square or PurePath(file_name).stem or "unknown"
    return Spot(name, latitude, longitude)


def _square(text: Any) -> str | None:
    found = _SQUARE.search(text) if isinstance(text, str) else None
    return f"{found[1]}/{found[2]},{found[3]}" if found else None


def _named(square: str | None, places: list[Mapping[str, Any]]) -> str | None:
    return next((p["name"] for p in places if f"{p['office']}/{p['x']},{p['y']}" == square), None)


def _nearest(latitude: float | None, longitude: float | None, places: list[Mapping[str, Any]]) -> str | None:
    if latitude is None or longitude is None:
        return None
    narrow = math.cos(math.radians(latitude))

    def away(place: Mapping[str, Any]) -> float:
        return math.hypot(place["latitude"] - latitude, (place["longitude"] - longitude) * narrow) * _KM_A_DEGREE

    best = min(places, key=away, default=None)
    return best["name"] if best and away(best) <= _NEAR_KM else None


def _middle(geometry: Any) -> tuple[float | None, float | None]:
    """(latitude, longitude) of the middle of the box around every position of a GeoJSON geometry."""
    found = list(_positions(geometry, 0))
    if not found:
        return None, None
    longitudes, latitudes = [p[0] for p in found], [p[1] for p in found]
    return round((min(latitudes) + max(latitudes)) / 2, 5), round((min(longitudes) + max(longitudes)) / 2, 5)


def _positions(node: Any, depth: int) -> Iterator[tuple[float, float]]:
    if depth > _DEPTH:
        return
    if isinstance(node, dict):
        for key in ("coordinates", "geometries"):
            yield from _positions(node.get(key), depth + 1)
    elif isinstance(node, list) and len(node) >= 2 and all(type(value) in (int, float) for value in node):
        if abs(node[0]) <= 180 and abs(node[1]) <= 90:
            yield float(node[0]), float(node[1])
    elif isinstance(node, list):
        for item in node:
            yield from _positions(item, depth + 1)
