"""National Weather Service forecasts: `/forecast/hourly`, `/forecast` (day and night periods) and raw grid data.

All three are GeoJSON features with `properties.updateTime`. Period answers have `periods[]` with startTime and endTime
(offsets), temperature with unit F or C, dewpoint, relativeHumidity, probabilityOfPrecipitation, windSpeed. Raw grid
data has one layer an element, `values[]` of {validTime: start/ISO duration, value}; layers have steps of their own, so
a value is repeated for each hour it is valid, and an hour without a value of a layer is null there.

The issue time is updateTime, else generatedAt. The three kinds share place and issue time, so they are three sources:
`NWS`, `NWS periods`, `NWS grid`.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import polars as pl

from carbon254.errors import NothingYet, PayloadRefused, SettingsError
from carbon254.wire import json

from ..card import duration
from ..contract import MERGED, Payload, Rows, rejects
from .units import degrees, percent, speed
from .where import spot

_TOPIC = "weather.forecast.nws"
_UTC = pl.Datetime("us", "UTC")
_HOUR = timedelta(hours=1)
_LONGEST = timedelta(days=15)
_ELEMENTS = {
    "temperature": ("temperature", degrees),
    "dewpoint": ("dew_point", degrees),
    "relativeHumidity": ("relative_humidity", percent),
    "windSpeed": ("wind_speed", speed),
    "probabilityOfPrecipitation": ("precipitation_probability", percent),
}
_VALUES = [ours for ours, _ in _ELEMENTS.values()]
_SCHEMA = {
    "forecast_time": _UTC,
    "forecast_end": _UTC,
    **dict.fromkeys(_VALUES, pl.Float64),
    "source": pl.String,
    "line": pl.Int64,
}
_Bad = tuple[int, str, str]


def recognise(name: str, head: bytes) -> list[str]:
    """GeoJSON of the weather service with forecast periods, or a grid point's layers."""
    if not head.lstrip().startswith(b"{") or b"api.weather.gov" not in head:
        return []
    forecast = b'"periods"' in head and b'"startTime"' in head
    grid = b"wx:Gridpoint" in head and b'"validTimes"' in head
    return [_TOPIC] if forecast or grid else []


def parse(payload: Payload) -> Iterator[Rows]:
    """Forecast rows in the payload's order. Raises PayloadRefused for an error or another kind of answer."""
    answer, properties = _feature(payload.data)
    issued = _stamp(properties.get("updateTime")) or _stamp(properties.get("generatedAt"))
    if issued is None:
        raise PayloadRefused("the forecast does not say when it was issued (updateTime, generatedAt)")
    periods = properties.get("periods")
    merged: list[tuple[int, int]] = []
    repeats: list[int] = []
    rows, bad = _periods(periods) if isinstance(periods, list) else _grid(properties, merged, repeats)
    if not rows and not bad:
        raise NothingYet("the forecast is empty; it will be asked for again")
    place = spot(answer, payload.name, list(payload.stream.options.get("places", [])))
    frame = pl.DataFrame(rows, schema=_SCHEMA, orient="row").with_columns(
        pl.lit(place.name).alias("location"),
        pl.lit(issued, dtype=_UTC).alias("issued_at"),
        pl.lit(_stamp(properties.get("generatedAt")), dtype=_UTC).alias("published_at"),
        pl.lit(place.latitude, dtype=pl.Float64).alias("latitude"),
        pl.lit(place.longitude, dtype=pl.Float64).alias("longitude"),
    )
    found = rejects([b[0] for b in bad], [b[1] for b in bad], [b[2] for b in bad])
    parts = pl.DataFrame(merged, schema=MERGED, orient="row") if merged else None
    yield Rows(frame, found, merged=parts, repeats=pl.Series(repeats, dtype=pl.Int64))


def _feature(data: bytes) -> tuple[dict[str, Any], dict[str, Any]]:
    answer = json.loads(data)
    properties = answer.get("properties") if isinstance(answer, dict) else None
    if not isinstance(properties, dict):
        said = orjson.dumps(answer).decode()[:200]
        raise PayloadRefused(f"not a forecast of the weather service (no properties): {said}")
    return answer, properties


def _stamp(text: Any) -> datetime | None:
    """An instant from ISO text with an offset; None for anything else."""
    try:
        moment = datetime.fromisoformat(text)
        return moment.astimezone(UTC) if moment.tzinfo else None
    except (TypeError, ValueError, OverflowError):
        return None


def _periods(periods: list[Any]) -> tuple[list[tuple[Any, ...]], list[_Bad]]:
    rows, bad = [], []
    for number, period in enumerate(periods, 1):
        try:
            rows.append((*_period(period), number))
        except ValueError as error:
            bad.append((number, str(error), orjson.dumps(period).decode()))
    return rows, bad


def _period(period: Any) -> tuple[Any, ...]:
    if not isinstance(period, dict):
        raise ValueError("a period is not an object")
    start, end = _stamp(period.get("startTime")), _stamp(period.get("endTime"))
    if start is None or end is None or end <= start:
        raise ValueError("startTime and endTime are not a span of time with offsets")
    units = {"temperature": (period.get("temperatureUnit"),)}
    values = [make(period.get(theirs), *units.get(theirs, ())) for theirs, (_, make) in _ELEMENTS.items()]
    return start, end, *values, "NWS" if end - start == _HOUR else "NWS periods"


def _grid(
    properties: dict[str, Any], merged: list[tuple[int, int]], repeats: list[int]
) -> tuple[list[tuple[Any, ...]], list[_Bad]]:
    """Rows of the hours and values that cannot be read, numbered as the layers list them.

    An hour's row has the number of the first value in it; `merged` gets the others as (record, line),
    and `repeats` those that say again what stands.
    """
    lines: dict[datetime, int] = {}
    hours: dict[datetime, dict[str, float | None]] = {}
    bad: list[_Bad] = []
    found = [name for name in _ELEMENTS if isinstance(properties.get(name), dict)]
    if "temperature" not in found:
        raise PayloadRefused("not a forecast of the weather service: neither periods nor a temperature layer")
    number = 0
    for theirs in found:
        layer, (ours, make) = properties[theirs], _ELEMENTS[theirs]
        values = layer.get("values")
        for item in values if isinstance(values, list) else []:
            number += 1
            try:
                start, end = _span(item)
                value = make(item.get("value"), layer.get("uom"))
            except (ValueError, SettingsError) as error:
                bad.append((number, f"{theirs}: {error}", orjson.dumps(item).decode()))
                continue
            steps = [start + step * _HOUR for step in range(-(-(end - start) // _HOUR))]
            if all(ours in hours.get(hour, {}) and hours[hour][ours] == value for hour in steps):
                repeats.append(number)
                continue
            for hour in steps:
                hours.setdefault(hour, {})[ours] = value
                if lines.setdefault(hour, number) != number:
                    merged.append((number, lines[hour]))
    rows = [
        (start, start + _HOUR, *(hours[start].get(name) for name in _VALUES), "NWS grid", lines[start])
        for start in sorted(hours)
    ]
    return rows, bad


def _span(item: Any) -> tuple[datetime, datetime]:
    text = item.get("validTime") if isinstance(item, dict) else None
    first, _, length = text.partition("/") if isinstance(text, str) else ("", "", "")
    start = _stamp(first)
    if start is None:
        raise ValueError(f"{text!r} is not a start with an offset and a duration")
    span = duration(length)
    if not timedelta(0) < span <= _LONGEST:
        raise ValueError(f"a value valid for {length} is not a forecast")
    return start, start + span
