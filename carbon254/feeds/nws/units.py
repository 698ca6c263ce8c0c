"""The weather service's ways of writing a quantity → degC, km/h, percent.

A quantity is a bare number with a unit beside it, an object {"unitCode": "wmoUnit:degC", "value": 5}, an object with
minValue and maxValue, or for the wind a text: `10 mph`, `5 to 10 mph`, `0 km/h`. A range gives its middle. Anything
else raises ValueError, so that a value with an unknown unit is never taken for one in ours.
"""

from __future__ import annotations

import math
import re
from typing import Any, TypeGuard

_WIND = re.compile(r"^(\d+(?:\.\d+)?)(?: to (\d+(?:\.\d+)?))? ?(mph|km/h|kt|m/s)$")
_SPEEDS = {
    "mph": 1.609344,
    "km/h": 1.0,
    "km_h-1": 1.0,
    "kt": 1.852,
    "m/s": 3.6,
    "m_s-1": 3.6,
}


def degrees(value: Any, unit: Any = None) -> float | None:
    """Degrees Celsius; null stays null."""
    number, unit = _split(value, unit)
    if number is None:
        return None
    if unit in ("C", "degC"):
        return number
    if unit in ("F", "degF"):
        return round((number - 32.0) / 1.8, 6)
    raise ValueError(f"{unit!r} is not a unit of temperature")


def percent(value: Any, unit: Any = "percent") -> float | None:
    """Percent; null stays null."""
    number, unit = _split(value, unit)
    if number is not None and unit != "percent":
        raise ValueError(f"{unit!r} is not percent")
    return number


def speed(value: Any, unit: Any = None) -> float | None:
    """Kilometres an hour; null and an empty text stay null."""
    if isinstance(value, str):
        return _spoken(value.strip())
    number, unit = _split(value, unit)
    if number is None:
        return None
    if unit not in _SPEEDS:
        raise ValueError(f"{unit!r} is not a unit of speed")
    return round(number * _SPEEDS[unit], 6)


def _spoken(text: str) -> float | None:
    if not text:
        return None
    found = _WIND.match(text)
    if not found:
        raise ValueError(f"{text!r} is not a wind speed")
    low = float(found[1])
    high = float(found[2]) if found[2] else low
    return round((low + high) / 2 * _SPEEDS[found[3]], 6)


def _split(value: Any, unit: Any) -> tuple[float | None, Any]:
    if isinstance(value, dict):
        unit = value.get("unitCode", value.get("uom", unit))
        ends = [float(end) for end in (value.get("minValue"), value.get("maxValue")) if _is_number(end)]
        value = value.get("value")
        if value is None and len(ends) == 2:
            value = sum(ends) / 2
    unit = unit.rsplit(":", 1)[-1] if isinstance(unit, str) else unit
    if value is None:
        return None, unit
    if not _is_number(value):
        raise ValueError(f"{value!r} is not a number")
    return float(value), unit


def _is_number(value: Any) -> TypeGuard[float]:
    return type(value) in (int, float) and math.isfinite(value)
