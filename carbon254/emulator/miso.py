"""MISO: `YYYYMMDD_da_expost_lmp.csv` market reports, and the five-minute prices of the public API.

MISO lives in EST all year. The report is wide, one row a node and component, without an energy component; numbers are
printed without leading zero and without needless decimals. A report that does not exist yet is Azure's BlobNotFound.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime

import numpy as np
import polars as pl

from . import text
from .market import Prices
from .places import Places
from .world import Answer, Ask, World, day_starts

CLOCK = "Etc/GMT+5"
_DAY_AHEAD = "iso.da.lmp.miso"
_REPORT = re.compile(r"/(\d{8})_da_(expost|exante)_lmp\.csv$")
_COMPONENTS = {"LMP": "lmp", "MCC": "congestion", "MLC": "loss"}
_TITLES = {"expost": "Day Ahead Market ExPost LMPs", "exante": "Day Ahead Market ExAnte LMPs"}


def answer(ask: Ask, world: World) -> Answer:
    """The day's report, or the five-minute prices of the running day."""
    match = _REPORT.search(ask.path)
    if match:
        return _report(ask, world, match[1], match[2])
    return _missing(world)


def _missing(world: World) -> Answer:
    words = (
        '\ufeff<?xml version="1.0" encoding="utf-8"?><Error><Code>BlobNotFound</Code>'
        "<Message>The specified blob does not exist.\nRequestId:00000000-0000-0000-0000-000000000000\n"
        f"Time:{datetime.fromtimestamp(world.now, UTC):%Y-%m-%dT%H:%M:%S}.0000000Z</Message></Error>"
    )
    return Answer(words.encode(), "application/xml", 404, headers={"x-ms-error-code": "BlobNotFound"})


def _report(ask: Ask, world: World, stamp: str, kind: str) -> Answer:
    try:
        day = date.fromisoformat(stamp)
    except ValueError:
        return _missing(world)
    starts = day_starts(day, CLOCK, 3_600)
    release = world.release(_DAY_AHEAD, ask.address, starts)
    if not release.count:
        return _missing(world)
    preamble = f"{_TITLES[kind]}\n{day:%m/%d/%Y}\n\n,,,All Hours-Ending are Eastern Standard Time (EST)\n"
    chosen = world.places("miso")
    body = preamble.encode() + text.csv_bytes(_wide(world.prices(_DAY_AHEAD, chosen, starts), chosen))
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


def printed(name: str, values: np.ndarray) -> pl.Series:
    """Numbers as MISO prints them: `.15`, `-.37`, `10`."""
    words = pl.Series(name, values).cast(pl.String)
    return words.str.replace(r"\.0$", "").str.replace(r"^(-?)0\.", "${1}.")
