"""Frames for Hypothesis: few places, days of clock changes, and values that make every check speak."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime
from typing import Any

import polars as pl
from hypothesis import strategies as st

from carbon254.calendars import market_day_span

from .days import UTC_US
from .twin import Row

CLOCK = "America/Chicago"
DAYS = (date(2025, 7, 1), date(2025, 3, 9), date(2025, 11, 2))
PRICES = (None, math.nan, math.inf, -math.inf, 0.0, -0.0, 20.0, 20.5, 21.0, 900.0, -700.0)
PARTS = (None, math.nan, 0.0, 0.5, -0.5, 10.0, 19.5, 20.0)
_NAMES = {"start": "interval_start", "end": "interval_end", "place": "location_id", "run": "market_run"}
SCHEMA = {
    "market_run": pl.String,
    "location_id": pl.String,
    "interval_start": UTC_US,
    "interval_end": UTC_US,
    **dict.fromkeys(("lmp", "energy", "congestion", "loss", "ghg"), pl.Float64),
    "flags": pl.UInt32,
    "known_basis": pl.String,
    "received_at": UTC_US,
}


def micros(moment: datetime) -> int:
    return round(moment.timestamp() * 1_000_000)


def span_of(day: date) -> tuple[int, int]:
    start, end = market_day_span(day, CLOCK)
    return micros(start), micros(end)


@st.composite
def days_of_rows(draw: st.DrawFn, step: int = 3_600_000_000, regular: bool | None = None) -> tuple[date, list[Row]]:
    """(market day, its rows): a regular grid with holes and repeats, or rows thrown anywhere."""
    day = draw(st.sampled_from(DAYS))
    start, end = span_of(day)
    tidy = draw(st.booleans()) if regular is None else regular
    runs = draw(st.sampled_from([["DAM"], ["DAM"], ["DAM", "RTM"]]))
    calm = draw(st.sampled_from([PRICES, (20.0, 20.5), (20.0,), PRICES[4:], (20.0, 900.0, 21.0)]))
    if tidy:
        places = ["A", "B", "C"][: draw(st.integers(1, 3))]
        hours = draw(st.integers(1, min(9, (end - start) // step)))
        slots = [(run, place, start + n * step) for n in range(hours) for run in runs for place in places]
        kept = [slot for slot in slots if draw(st.integers(0, 9))]
        return day, [draw(row(run, place, at, at + step, calm)) for run, place, at in kept]
    wild = st.tuples(
        st.sampled_from(runs),
        st.sampled_from(["A", "B", None]),
        st.integers(-1, 6).map(lambda n: start + n * step),
        st.sampled_from([step, step, step, step // 2, None]),
    )
    drawn = draw(st.lists(wild, max_size=14))
    return day, [
        draw(row(run, place, at, None if width is None else at + width, calm)) for run, place, at, width in drawn
    ]


@st.composite
def row(draw: st.DrawFn, run: str, place: str | None, start: int, end: int | None, calm: Any) -> Row:
    part = st.sampled_from(PARTS)
    lmp, energy, congestion, loss = draw(st.sampled_from(calm)), draw(part), draw(part), draw(part)
    if draw(st.booleans()) and None not in (energy, congestion, loss):
        lmp = energy + congestion + loss
    return {
        "start": start, "end": end, "place": place, "run": run,
        "lmp": lmp, "energy": energy, "congestion": congestion, "loss": loss, "ghg": None,
        "flags": draw(st.sampled_from([0, 0, 256, 8])),
        "basis": draw(st.sampled_from(["received", "received", "assumed"])),
        "received": start + draw(st.sampled_from([1, 2])),
    }  # fmt: skip


def frame_of(rows: list[Row]) -> pl.DataFrame:
    """The rows as a frame of interval prices."""
    names = {**_NAMES, "basis": "known_basis", "received": "received_at"}
    columns = {names.get(name, name): [row[name] for row in rows] for name in (rows[0] if rows else {})}
    instants = ("interval_start", "interval_end", "received_at")
    made = {
        name: pl.Series(name, columns.get(name, []), dtype=pl.Int64 if name in instants else kind, strict=False)
        for name, kind in SCHEMA.items()
    }
    return pl.DataFrame(made).with_columns(pl.col(*instants).cast(UTC_US))


def instants(span: tuple[int, int]) -> tuple[datetime, datetime]:
    return datetime.fromtimestamp(span[0] / 1e6, UTC), datetime.fromtimestamp(span[1] / 1e6, UTC)
