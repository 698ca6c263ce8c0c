"""Bars against a slow, obvious twin, in any order, over the nights the clock changes."""

from __future__ import annotations

import random
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from carbon254.stages.aggregate import WIDTHS
from hypothesis import given, settings
from hypothesis import strategies as st

from carbon254.stages import bars_of_prices, bars_of_ticks, roll_up, widths_for

FIVE = timedelta(minutes=5)
CLOCK = "America/Chicago"


def frame(start: datetime, values: list[float | None]) -> pl.DataFrame:
    times = [start + FIVE * i for i in range(len(values))]
    return pl.DataFrame(
        {
            "market": "SPP",
            "product": "energy",
            "market_run": "RTBM",
            "location": "A",
            "location_id": "A",
            "interval_start": times,
            "interval_end": [at + FIVE for at in times],
            "lmp": values,
            "flags": [1 << (i % 3) for i in range(len(values))],
        },
        schema_overrides={
            "interval_start": pl.Datetime("us", "UTC"),
            "interval_end": pl.Datetime("us", "UTC"),
            "lmp": pl.Float64,
            "flags": pl.UInt32,
        },
    )


def opens(at: datetime, width: str) -> datetime:
    if width == "1d":
        local = at.astimezone(ZoneInfo(CLOCK))
        return local.replace(hour=0, minute=0, second=0, fold=0).astimezone(UTC)
    return datetime.fromtimestamp(at.timestamp() // WIDTHS[width].total_seconds() * WIDTHS[width].total_seconds(), UTC)


def twin(prices: pl.DataFrame, width: str) -> dict[datetime, tuple]:
    groups: dict[datetime, list[float | None]] = defaultdict(list)
    for row in prices.sort("interval_start").iter_rows(named=True):
        groups[opens(row["interval_start"], width)].append(row["lmp"])
    made = {}
    for start, values in groups.items():
        known = [v for v in values if v is not None]
        made[start] = (
            (known[0], max(known), min(known), known[-1], pytest.approx(sum(known) / len(known)), len(known))
            if known
            else (None, None, None, None, None, 0)
        )
    return made


def climb(prices: pl.DataFrame, width: str) -> dict[datetime, tuple]:
    widths = widths_for(FIVE)
    bars = bars_of_prices(prices, widths[0], FIVE, CLOCK)
    for step in widths[1 : widths.index(width) + 1]:
        bars = roll_up(bars, step, FIVE, CLOCK)
    return {row[0]: row[1:] for row in bars.select("bar_start", "open", "high", "low", "close", "mean", "count").rows()}


@pytest.mark.parametrize("width", ["5m", "15m", "1h", "1d"])
@settings(max_examples=30, deadline=None)
@given(
    values=st.lists(st.one_of(st.none(), st.integers(-9_999, 9_999).map(lambda n: n / 100)), min_size=1, max_size=400),
    start=st.sampled_from(
        [datetime(2025, 11, 2, tzinfo=UTC), datetime(2026, 3, 8, 3, 35, tzinfo=UTC), datetime(2025, 7, 1, tzinfo=UTC)]
    ),
    seed=st.integers(0, 2**16),
)
def test_bars_equal_the_twin_in_any_order(width: str, values: list, start: datetime, seed: int) -> None:
    prices = frame(start, values)
    shuffled = prices[random.Random(seed).sample(range(prices.height), prices.height)]
    assert climb(shuffled, width) == twin(prices, width)


@pytest.mark.parametrize(("day", "hours"), [((2025, 11, 2), 25), ((2026, 3, 8), 23), ((2025, 7, 1), 24)])
def test_a_market_day_is_as_long_as_its_clock_says(day: tuple[int, int, int], hours: int) -> None:
    start = datetime(*day, tzinfo=ZoneInfo(CLOCK)).astimezone(UTC)
    bars = bars_of_prices(frame(start, [1.0] * (hours * 12 + 1)), "1d", FIVE, CLOCK)
    first = bars.sort("bar_start").row(0, named=True)
    assert first["bar_end"] - first["bar_start"] == timedelta(hours=hours)
    assert (first["count"], first["expected"], bars.height) == (hours * 12, hours * 12, 2)


def test_windows_narrower_than_the_interval_are_not_made() -> None:
    assert widths_for(timedelta(hours=1)) == ["1h", "1d"]
    assert widths_for(FIVE) == ["5m", "15m", "1h", "1d"]


def test_flags_of_a_bar_are_the_union_of_its_prices() -> None:
    assert bars_of_prices(frame(datetime(2025, 7, 1, tzinfo=UTC), [1.0, 2.0, 3.0]), "1h", FIVE, CLOCK)["flags"][0] == 7


def test_ticks_make_bars_with_volume() -> None:
    at = datetime(2025, 7, 1, 12, 0, 1, tzinfo=UTC)
    ticks = pl.DataFrame(
        {
            "tenant": "public",
            "source": "push",
            "market": "PUSHED",
            "instrument": "NG",
            "event_time": [at, at + timedelta(seconds=30), at + timedelta(seconds=61)],
            "event_id": ["seq:1", "seq:2", "seq:3"],
            "sequence": [1, 2, 3],
            "received_at": at,
            "batch_id": "1-0",
            "position": [0, 1, 2],
            "price": [3.0, 2.5, 4.0],
            "quantity": [10.0, None, 5.0],
            "flags": [0, 0, 0],
        },
        schema_overrides={"event_time": pl.Datetime("us", "UTC"), "flags": pl.UInt32},
    )
    bars = bars_of_ticks(ticks)
    assert bars.sort("bar_start").select("open", "high", "low", "close", "mean", "volume", "count").rows() == [
        (3.0, 3.0, 2.5, 2.5, 2.75, 10.0, 2),
        (4.0, 4.0, 4.0, 4.0, 4.0, 5.0, 1),
    ]
