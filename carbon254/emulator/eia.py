"""EIA open data v2: daily spot prices of crude oil and natural gas, as JSON.

Weekdays only; `value` and `total` are strings; the end date is included; an unknown route is HTTP 500 with a
404 inside.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import numpy as np
import orjson

from carbon254.calendars import market_day_span

from .noise import Floats, bell, key, keys, mix, uniform
from .world import Answer, Ask, World

TOPIC = "energy.spot.eia"
CLOCK = "America/New_York"
_MAX_ROWS = 5_000


@dataclass(frozen=True, slots=True)
class Series:
    """One series as EIA describes it; `level` is its usual price in `units`."""

    route: str
    id: str
    level: float
    decimals: int
    units: str
    facts: dict[str, str]


def _series(route: str, id_: str, level: float, decimals: int, units: str, described: str, *facts: str) -> Series:
    names = ("duoarea", "area-name", "product", "product-name", "process", "process-name")
    known = {**dict(zip(names, facts, strict=True)), "series": id_, "series-description": described}
    return Series(route, id_, level, decimals, units, known)


SERIES = (
    _series(
        "petroleum/pri/spt", "RWTC", 72.0, 2, "$/BBL", "Cushing, OK WTI Spot Price FOB (Dollars per Barrel)",
        "YCUOK", "NA", "EPCWTI", "WTI Crude Oil", "PF4", "Spot Price FOB",
    ),
    _series(
        "petroleum/pri/spt", "RBRTE", 76.5, 2, "$/BBL", "Europe Brent Spot Price FOB (Dollars per Barrel)",
        "ZEU", "NA", "EPCBRENT", "UK Brent Crude Oil", "PF4", "Spot Price FOB",
    ),
    _series(
        "natural-gas/pri/fut", "RNGWHHD", 3.1, 2, "$/MMBTU",
        "Henry Hub Natural Gas Spot Price (Dollars per Million Btu)",
        "RGC", "NA", "EPG0", "Natural Gas", "PS0", "Spot Price",
    ),
)  # fmt: skip


def answer(ask: Ask, world: World) -> Answer:
    """One page of a route's daily rows for the series asked for."""
    route = ask.path.strip("/").removeprefix("v2/").removesuffix("/data")
    known = [series for series in SERIES if series.route == route]
    span = _span(ask)
    if not known or not ask.path.rstrip("/").endswith("/data"):
        return Answer(b'{"error":"Not found.","code":404}', "application/json", 500)
    if span is None or ask.get("frequency", "daily") != "daily":
        return Answer(b'{"error":"Invalid frequency, start or end.","code":400}', "application/json", 400)
    asked = ask.all("facets[series][]")
    first, last = span
    wanted = [series for series in known if not asked or series.id in asked]
    days = [first + timedelta(days=turn) for turn in range((last - first).days + 1)]
    days = [day for day in days if day.weekday() < 5]
    starts = np.array([int(market_day_span(day, CLOCK)[0].timestamp()) for day in days], dtype=np.int64)
    release = world.release(TOPIC, ask.address, starts)
    rows = _rows(world, wanted, days[: release.count])
    if ask.get("sort[0][direction]") == "desc":
        rows.reverse()
    return Answer(_page(ask, rows), "application/json", published=release.published if rows else None)


def _span(ask: Ask) -> tuple[date, date] | None:
    """First and last day, both included."""
    try:
        first, last = (date.fromisoformat(ask.get(name)[:10]) for name in ("start", "end"))
    except ValueError:
        return None
    return first, last


def value_of(world: World, series: Series, days: Sequence[date]) -> Floats:
    """Prices of a series on these days, rounded as printed, revisions included."""
    day = np.array([each.toordinal() for each in days], dtype=np.int64)
    slow = np.zeros(len(day))
    for turn, span in enumerate((61, 17, 5)):
        root = key("eia", world.seed, series.id, turn)
        knot, part = day // span, (day % span) / span
        slow += ((1 - part) * bell(mix(root, knot)) + part * bell(mix(root, knot + 1))) * (0.09, 0.04, 0.015)[turn]
    price = series.level * np.exp(slow + 0.004 * bell(mix(key("eia day", world.seed, series.id), day)))
    for revision in world.revisions:
        if revision.topic == TOPIC and revision.location in ("", series.id):
            drawn = uniform(mix(key("eia revision", world.seed, revision.ordinal), keys([series.id]))) < revision.share
            price = price + (day == revision.market_day.toordinal()) * drawn * revision.bump
    return np.round(price, series.decimals)


def _rows(world: World, wanted: list[Series], days: Sequence[date]) -> list[dict[str, Any]]:
    """Rows in order of date, then series."""
    printed = [(series, [f"{value:g}" for value in value_of(world, series, days)]) for series in wanted]
    return [
        {"period": day.isoformat(), **series.facts, "value": values[index], "units": series.units}
        for index, day in enumerate(days)
        for series, values in printed
    ]


def _page(ask: Ask, rows: list[dict[str, Any]]) -> bytes:
    offset, length = int(ask.get("offset", "0")), min(_MAX_ROWS, int(ask.get("length", str(_MAX_ROWS))))
    document = {
        "response": {
            "total": str(len(rows)),
            "dateFormat": "YYYY-MM-DD",
            "frequency": "daily",
            "data": rows[offset : offset + length],
            "description": "Spot prices",
        },
        "request": {"command": ask.path, "params": dict(ask.query)},
        "apiVersion": "2.1.8",
    }
    return orjson.dumps(document)
