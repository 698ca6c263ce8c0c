"""ISO New England web services v1.1: `hourlylmp` (da, rt) and `fiveminutelmp` of a day, as JSON.

Hours are told by their beginning, with offset. A collection of a single record holds an object instead of a list, and
an empty one is an empty string.
"""

from __future__ import annotations

import re
from datetime import date
from typing import Any

import orjson

from . import text
from .market import Ints
from .places import Places
from .world import Answer, Ask, World, day_starts

CLOCK = "America/New_York"
_PATH = re.compile(
    r"/(?:(hourlylmp)/(da|rt)/(final|prelim)|(fiveminutelmp)/(prelim|final))"
    r"/day/(\d{8})(?:/(?:start)?hour/(\d{1,2}))?(?:/location/([^/.]+)|/locationType/([^/.]+))?(?:\.json)?/?$"
)
_KINDS = {"HUB": "hub", "LOAD ZONE": "zone", "NETWORK NODE": "node"}


def answer(ask: Ask, world: World) -> Answer:
    """The day's prices of one location or of all; a running day gives what is published so far."""
    match = _PATH.search(ask.path)
    try:
        day = date.fromisoformat(match[6]) if match else None
    except ValueError:
        day = None
    if match is None or day is None:
        return Answer(b'{"message":"Not Found"}', "application/json", 404)
    hourly = match[1] is not None
    topic = "iso.da.lmp.isone" if match[2] == "da" else "iso.rt.lmp.isone"
    starts = day_starts(day, CLOCK, 3_600 if hourly else 300)
    release = world.release(topic, ask.address, starts)
    starts = starts[: release.count]
    if match[7]:
        hour = int(match[7])
        starts = starts[[moment.hour == hour for moment in text.local(starts, CLOCK)]]
    outer, inner = ("HourlyLmps", "HourlyLmp") if hourly else ("FiveMinLmps", "FiveMinLmp")
    rows = _rows(world, topic, _chosen(world, match[8], match[9]), starts) if len(starts) else []
    return Answer(_collection(outer, inner, rows), "application/json", published=release.published if rows else None)


def _chosen(world: World, location: str | None, kind: str | None) -> Places:
    everything = world.places("isone")
    if location:
        return everything.named([location])
    return everything.of_type(_KINDS.get(kind.upper().replace("%20", " "), kind)) if kind else everything


def _collection(outer: str, inner: str, rows: list[dict[str, Any]]) -> bytes:
    if not rows:
        return orjson.dumps({outer: ""})
    return orjson.dumps({outer: {inner: rows[0] if len(rows) == 1 else rows}})


def _rows(world: World, topic: str, chosen: Places, starts: Ints) -> list[dict[str, Any]]:
    found = world.prices(topic, chosen, starts)
    places = [
        {"@LocId": id_, "@LocType": zone if zone in _KINDS else "NETWORK NODE", "$": name}
        for id_, name, zone in zip(chosen.ids, chosen.names, chosen.zones, strict=True)
    ]
    stamps = [moment.isoformat(timespec="milliseconds") for moment in text.local(starts, CLOCK)]
    columns = [_numbers(found.dollars(name).reshape(-1).tolist()) for name in ("lmp", "energy", "congestion", "loss")]
    return [
        {
            "BeginDate": stamps[index // len(places)],
            "Location": places[index % len(places)],
            "LmpTotal": total,
            "EnergyComponent": energy,
            "CongestionComponent": congestion,
            "LossComponent": loss,
        }
        for index, (total, energy, congestion, loss) in enumerate(zip(*columns, strict=True))
    ]


def _numbers(values: list[float]) -> list[float | int]:
    """Whole numbers are printed without a point."""
    return [int(value) if value.is_integer() else value for value in values]
