"""SPP file browser: `DA-LMP-SL-*.csv` of a market day and `RTBM-LMP-SL-*.csv` of a five-minute interval.

Files are named by the local end of the interval (a `d` marks the repeated hour); columns carry both local and GMT ends.
The last two rows of an interval belong to the western balancing area (BAA SWPW), which is a market run of its own.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta

import numpy as np
import polars as pl

from carbon254.calendars.zones import zone as zone_named

from . import text
from .market import Ints
from .places import places
from .world import Answer, Ask, World, day_starts

CLOCK = "America/Chicago"
_REAL_TIME, _DAY_AHEAD = "iso.rt.lmp.spp", "iso.da.lmp.spp"
_RTBM = re.compile(r"^/(\d{4}/\d\d)/By_Interval/(\d\d)/RTBM-LMP-SL-(\d{12})(d?)\.csv$")
_DA = re.compile(r"^/(\d{4}/\d\d)/By_Day/DA-LMP-SL-(\d{8})0100\.csv$")
_STAMP = "%m/%d/%Y %H:%M:%S"
_COMPONENTS = {"LMP": "lmp", "MLC": "loss", "MCC": "congestion", "MEC": "energy"}


def answer(ask: Ask, world: World) -> Answer:
    """The file asked for by `path`, or 404."""
    wanted = ask.get("path")
    if ask.path.endswith("/rtbm-lmp-by-location"):
        topic, starts, step = _REAL_TIME, _interval(wanted), 300
    elif ask.path.endswith("/da-lmp-by-location"):
        topic, starts, step = _DAY_AHEAD, _day(wanted), 3_600
    else:
        return _missing()
    if starts is None:
        return _missing()
    release = world.release(topic, ask.address, starts)
    if release.count < len(starts):
        return _missing()
    return Answer(_render(world, topic, starts, step), published=release.published)


def _missing() -> Answer:
    return Answer(b'{"status":404,"error":"Not Found","message":"File not found"}', "application/json", 404)


def _interval(wanted: str) -> Ints | None:
    match = _RTBM.match(wanted)
    if not match:
        return None
    folder, day, stamp, second = match.groups()
    try:
        naive = datetime.strptime(stamp, "%Y%m%d%H%M")
    except ValueError:
        return None
    end = naive.replace(tzinfo=zone_named(CLOCK), fold=int(bool(second))).astimezone(UTC)
    start = end - timedelta(minutes=5)
    told, opens = end.astimezone(zone_named(CLOCK)), start.astimezone(zone_named(CLOCK))
    same = told.replace(tzinfo=None) == naive and told.fold == bool(second) and f"{opens:%Y/%m %d}" == f"{folder} {day}"
    return np.array([int(start.timestamp())]) if same and naive.minute % 5 == 0 else None


def _day(wanted: str) -> Ints | None:
    match = _DA.match(wanted)
    try:
        day = date.fromisoformat(match[2]) if match else None
    except ValueError:
        return None
    return day_starts(day, CLOCK, 3_600) if match and day and f"{day:%Y/%m}" == match[1] else None


def _render(world: World, topic: str, starts: Ints, step: int) -> bytes:
    own, west = world.places("spp"), places("spp_west")
    chosen, areas = own + west, ["SPP"] * len(own) + ["SWPW"] * len(west)
    found = world.prices(topic, chosen, starts)
    locations, intervals = len(chosen), len(starts)
    frame = pl.DataFrame(
        {
            "Interval": text.per_interval(text.stamps(text.local(starts, CLOCK, step), _STAMP), locations),
            "GMTIntervalEnd": text.per_interval(text.stamps(text.instants(starts, step), _STAMP), locations),
            "BAA": text.per_location(areas, intervals),
            "Settlement Location": text.per_location(chosen.names, intervals),
            "Pnode": text.per_location(chosen.zones, intervals),
            **{theirs: found.dollars(ours).reshape(-1) for theirs, ours in _COMPONENTS.items()},
        }
    )
    return text.csv_bytes(frame)
