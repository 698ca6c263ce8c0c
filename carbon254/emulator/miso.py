"""MISO: daily market reports (`da_expost_lmp`, `da_exante_lmp`, `rt_lmp_final`) and five-minute prices of its API.

MISO lives in EST all year. A report is wide, one row a node and component, without an energy component; numbers are
printed without leading zero and without needless decimals. A report that does not exist yet is Azure's BlobNotFound.
The API answers with what is latest now: one interval (the consolidated table, `Current`), or a day (`Rolling`, the
running one, and `Previous`).
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import orjson
import polars as pl

from carbon254.calendars import market_day_of

from . import text
from .market import Ints, Prices
from .places import Places
from .world import Answer, Ask, World, day_starts

CLOCK = "Etc/GMT+5"
_LIVE = "iso.rt.lmp.miso"
_STEP = 300
_REPORT = re.compile(r"/(\d{8})_(da_expost_lmp|da_exante_lmp|rt_lmp_final)\.csv$")
# report: (feed, title)
_REPORTS = {
    "da_expost_lmp": ("iso.da.lmp.miso", "Day Ahead Market ExPost LMPs"),
    "da_exante_lmp": ("iso.da.lmp.miso", "Day Ahead Market ExAnte LMPs"),
    "rt_lmp_final": ("iso.rth.lmp.miso", "Real-Time Final Market LMPs"),
}
_COMPONENTS = {"LMP": "lmp", "MCC": "congestion", "MLC": "loss"}
_HEADERS = {"INTERVAL": "", "CPNODE": "", "LMP": "lmp", "MLC": "loss", "MCC": "congestion"}


def answer(ask: Ask, world: World) -> Answer:
    """The day's report, or five-minute prices as they stand now."""
    match = _REPORT.search(ask.path)
    if match:
        return _report(ask, world, match[1], match[2])
    last = ask.path.rstrip("/").rsplit("/", 1)[-1]
    if last == "GetLmpConsolidatedTable" or ask.get("messageType").lower() == "getlmpconsolidatedtable":
        return _consolidated(ask, world)
    return _ex_post(ask, world, last) if last in ("Current", "Rolling", "Previous") else _missing(world)


def _missing(world: World) -> Answer:
    words = (
        '\ufeff<?xml version="1.0" encoding="utf-8"?><Error><Code>BlobNotFound</Code>'
        "<Message>The specified blob does not exist.\nRequestId:00000000-0000-0000-0000-000000000000\n"
        f"Time:{datetime.fromtimestamp(world.now, UTC):%Y-%m-%dT%H:%M:%S}.0000000Z</Message></Error>"
    )
    return Answer(words.encode(), "application/xml", 404, headers={"x-ms-error-code": "BlobNotFound"})


def _report(ask: Ask, world: World, stamp: str, report: str) -> Answer:
    topic, title = _REPORTS[report]
    try:
        starts = day_starts(date.fromisoformat(stamp), CLOCK, 3_600)
    except ValueError:
        return _missing(world)
    release = world.release(topic, ask.address, starts)
    if release.count < len(starts):
        return _missing(world)
    day = f"{stamp[4:6]}/{stamp[6:]}/{stamp[:4]}"
    preamble = f"{title}\n{day}\n\n,,,All Hours-Ending are Eastern Standard Time (EST)\n"
    chosen = world.places("miso")
    body = preamble.encode() + text.csv_bytes(_wide(world.prices(topic, chosen, starts), chosen))
    return Answer(body, published=release.published)


def _wide(found: Prices, chosen: Places) -> pl.DataFrame:
    """One row a node and component, hours as columns; all LMP rows first."""
    blocks = [
        pl.DataFrame({"Node": chosen.names, "Type": _types(chosen), "Value": [name] * len(chosen)}).hstack(
            [printed(f"HE {hour}", found.dollars(component)[hour - 1]) for hour in range(1, 25)]
        )
        for name, component in _COMPONENTS.items()
    ]
    return pl.concat(blocks)


def _types(chosen: Places) -> list[str]:
    return ["Gennode" if kind == "node" else zone for kind, zone in zip(chosen.types, chosen.zones, strict=True)]


def _consolidated(ask: Ask, world: World) -> Answer:
    """The table of the latest interval, named by its end."""
    starts, published = _latest(ask, world)
    chosen = world.places("miso")
    found = world.prices(_LIVE, chosen, starts)
    cells = {name: printed(name, found.dollars(part)[0]).to_list() for name, part in _COMPONENTS.items()}
    nodes = [
        {"name": node, "region": "Central", "LMP": lmp, "MLC": mlc, "MCC": mcc}
        for node, lmp, mlc, mcc in zip(chosen.names, cells["LMP"], cells["MLC"], cells["MCC"], strict=True)
    ]
    (end,) = text.local(starts, CLOCK, _STEP)
    five = {"HourAndMin": f"{end:%H:%M}", "PricingNode": nodes}
    return _json({"LMPData": {"RefId": f"{end:%d-%b-%Y} - Interval {end:%H:%M} EST", "FiveMinLMP": five}}, published)


def _ex_post(ask: Ask, world: World, which: str) -> Answer:
    """Rows of INTERVAL (end, EST), CPNODE and prices as text."""
    starts, published = _latest(ask, world)
    if which != "Current":
        today = market_day_of(datetime.fromtimestamp(int(starts[0]), UTC), CLOCK)
        day = today if which == "Rolling" else today - timedelta(days=1)
        starts = day_starts(day, CLOCK, _STEP)
        release = world.release(_LIVE, ask.address, starts)
        starts, published = starts[: release.count], release.published
    chosen = world.places("miso")
    found = world.prices(_LIVE, chosen, starts)
    ends = text.per_interval(text.stamps(text.local(starts, CLOCK, _STEP), "%Y-%m-%dT%H:%M:%S"), len(chosen))
    prices = [printed(name, found.dollars(part).reshape(-1)) for name, part in _HEADERS.items() if part]
    columns = [ends, text.per_location(chosen.names, len(starts)), *prices]
    rows = list(zip(*(column.to_list() for column in columns), strict=True))
    return _json({"headers": list(_HEADERS), "data": rows}, published)


def _latest(ask: Ask, world: World) -> tuple[Ints, int]:
    """Start of the newest interval that is out (one element), and when it was published."""
    starts = (world.now // _STEP - np.arange(24, -1, -1, dtype=np.int64)) * _STEP
    release = world.release(_LIVE, ask.address, starts)
    return starts[release.count - 1 : release.count], release.published


def _json(value: Any, published: int) -> Answer:
    return Answer(orjson.dumps(value), "application/json", published=published)


def printed(name: str, values: np.ndarray) -> pl.Series:
    """Numbers as MISO prints them: `.15`, `-.37`, `10`."""
    words = pl.Series(name, values).cast(pl.String)
    return words.str.replace(r"\.0$", "").str.replace(r"^(-?)0\.", "${1}.")
