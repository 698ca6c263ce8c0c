"""ISO New England: web services v1.1, `hourlylmp` (da, rt) and `fiveminutelmp` of a day, as JSON; the public CSV files.

Hours are told by their beginning, with offset. A collection of a single record holds an object instead of a list, and
an empty one is an empty string. A public file is there once all of its intervals are.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from typing import Any

import orjson
import polars as pl

from carbon254.calendars.zones import zone as zone_named

from . import text
from .market import Ints
from .places import Places
from .world import Answer, Ask, World, day_starts

CLOCK = "America/New_York"
_PATH = re.compile(
    r"/(?:(hourlylmp)/(da|rt)/(final|prelim)|(fiveminutelmp)/(prelim|final))"
    r"/day/(\d{8})(?:/(?:start)?hour/(\d{1,2}))?(?:/location/([^/.]+)|/locationType/([^/.]+))?(?:\.json)?/?$"
)
_FILE = re.compile(
    r"/histRpts/(?:da-lmp/WW_DALMP_ISO_(?P<da>\d{8})|rt-lmp/lmp_rt_(?:prelim|final)_(?P<hourly>\d{8})"
    r"|5min-rt-(?:prelim|final)/lmp_5min_(?P<five>\d{8})_(?P<first>\d\d)-(?P<last>\d\d))\.csv$"
)
_PLACE, _PARTS = ("Location ID", "Location Name", "Location Type"), (
    "Energy Component", "Congestion Component", "Marginal Loss Component"
)  # fmt: skip
_HOURLY = (
    ("Date", "Hour Ending", *_PLACE, "Locational Marginal Price", *_PARTS),
    ("Date", "HE", *["String"] * 3, *["Number"] * 4),
)
# Title, names and units of each kind of report.
_REPORTS = {
    "da": ("Day-Ahead Energy Market Hourly LMP Report", *_HOURLY),
    "hourly": ("Real-Time Energy Market Hourly LMP Report", *_HOURLY),
    "five": (
        "Five-Minute Locational Marginal Prices",
        ("Local Time", *_PLACE, "LMP", *_PARTS),
        ("HH:MM:SS", "Number", "String", "String", *["$/MWh"] * 4),
    ),
}
_KINDS = {"HUB": "hub", "LOAD ZONE": "zone", "NETWORK NODE": "node"}


def answer(ask: Ask, world: World) -> Answer:
    """The day's prices of one location or of all; a running day gives what is published so far."""
    file = _FILE.search(ask.path)
    return _report(ask, world, file) if file else _collected(ask, world)


def _collected(ask: Ask, world: World) -> Answer:
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


def _report(ask: Ask, world: World, file: re.Match[str]) -> Answer:
    """A CSV report of C, H, D and T lines."""
    kind = "da" if file["da"] else "hourly" if file["hourly"] else "five"
    missing = Answer(b"<html><body><h1>404</h1></body></html>", "text/html", 404)
    try:
        day = date.fromisoformat(file[kind])
    except ValueError:
        return missing
    topic = "iso.da.lmp.isone" if kind == "da" else "iso.rt.lmp.isone"
    starts = day_starts(day, CLOCK, 300 if kind == "five" else 3_600)
    if kind == "five":
        first, last = int(file["first"]), int(file["last"])
        starts = starts[[first <= moment.hour < last for moment in text.local(starts, CLOCK)]]
    release = world.release(topic, ask.address, starts)
    if not len(starts) or release.count < len(starts):
        return missing
    title, header, units = _REPORTS[kind]
    table = _lines(world, topic, starts, day, kind == "five")
    made = datetime.fromtimestamp(release.published, UTC).astimezone(zone_named(CLOCK))
    comments = [
        title, f"Filename: {ask.path.rsplit('/', 1)[-1]}", f"Report for: {day:%m/%d/%Y} - {day:%m/%d/%Y}",
        f"Report generated: {made:%m/%d/%Y %H:%M:%S %Z}",
    ]  # fmt: skip
    quoted = lambda kind, cells: ",".join(f'"{cell}"' for cell in (kind, *cells))  # noqa: E731
    head = [*(quoted("C", [comment]) for comment in comments), quoted("H", header), quoted("H", units)]
    body = table.write_csv(include_header=False, quote_style="non_numeric")
    whole = "\n".join(head) + "\n" + body + quoted("T", [f"{table.height} lines"]) + "\n"
    return Answer(whole.encode(), published=release.published)


def _lines(world: World, topic: str, starts: Ints, day: date, five: bool) -> pl.DataFrame:
    """Data lines: intervals outside, locations inside; only an hour's end tells its second pass."""
    chosen = world.places("isone")
    found = world.prices(topic, chosen, starts)
    times = text.local(starts, CLOCK)
    kinds = [zone if zone in _KINDS else "NETWORK NODE" for zone in chosen.zones]
    labels = (
        [text.stamps(times, "%H:%M:%S")]
        if five
        else [[f"{day:%m/%d/%Y}"] * len(times), [f"{one.hour + 1:02d}{'X' * one.fold}" for one in times]]
    )
    columns = [pl.Series(["D"]).new_from_index(0, len(times) * len(chosen))]
    columns += [text.per_interval(label, len(chosen)) for label in labels]
    columns += [text.per_location(cells, len(times)) for cells in (chosen.ids, chosen.names, kinds)]
    columns += [pl.Series(found.dollars(name).reshape(-1)) for name in ("lmp", "energy", "congestion", "loss")]
    return pl.DataFrame([column.alias(f"c{place}") for place, column in enumerate(columns)])


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
