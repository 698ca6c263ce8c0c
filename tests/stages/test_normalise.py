"""Normalise: labels to instants, signs, derived components, flags, and rows that cannot stand."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from carbon254.feeds import feed
from carbon254.model import Flag
from carbon254.stages import normalise


def prices(labels: list[str], places: list[str] | None = None, **columns: list[float | None]) -> pl.DataFrame:
    places = places or ["A"] * len(labels)
    frame = pl.DataFrame({"label": labels, "location": places, "location_id": places}).with_columns(
        pl.col("label").str.to_datetime("%Y-%m-%d %H:%M:%S", time_unit="us"),
        pl.int_range(2, len(labels) + 2, dtype=pl.Int64).alias("line"),
    )
    filled = {"lmp": [10.0] * len(labels), **columns}
    return frame.with_columns(pl.Series(name, values, dtype=pl.Float64) for name, values in filled.items())


def stream(**changes: object):
    base = feed("iso.rt.lmp.spp").stream
    plain = {"label": "interval_start", "repeat": "row_order", "resolution": timedelta(hours=1), "signs": {}}
    return replace(base, **{**plain, "clock": "America/New_York", "derive": "", **changes})


def starts(frame: pl.DataFrame) -> list[str]:
    return frame["interval_start"].dt.strftime("%H:%M").to_list()


def test_repeated_hour_without_a_marker_is_told_apart_by_row_order() -> None:
    frame = prices(["2025-11-02 00:00:00", "2025-11-02 01:00:00", "2025-11-02 01:00:00", "2025-11-02 02:00:00"])
    done = normalise(frame, stream())
    assert starts(done.frame) == ["04:00", "05:00", "06:00", "07:00"]
    assert done.frame["flags"].to_list() == [0, 0, 0, 0]


def test_row_order_is_judged_within_each_location() -> None:
    labels = ["2025-11-02 00:00:00", "2025-11-02 01:00:00", "2025-11-02 01:00:00"]
    both = prices([label for label in labels for _ in "AB"], ["A", "B"] * 3)
    done = normalise(both, stream())
    assert starts(done.frame.filter(pl.col("location_id") == "B")) == ["04:00", "05:00", "06:00"]


def test_interval_ending_stamps_fall_back_to_the_top_of_the_repeated_hour() -> None:
    # The stamp after 01:55 daylight time is printed 01:00 (standard time): the end of the first repeated hour.
    labels = ["2025-11-02 00:55:00", "2025-11-02 01:00:00", "2025-11-02 01:55:00", "2025-11-02 01:00:00"]
    five = stream(label="interval_end", resolution=timedelta(minutes=5))
    done = normalise(prices(labels), five)
    assert done.frame["interval_end"].dt.strftime("%H:%M").to_list() == ["04:55", "05:00", "05:55", "06:00"]


def test_an_ambiguous_label_alone_takes_the_first_pass_and_says_so() -> None:
    done = normalise(prices(["2025-11-02 01:00:00"]), stream())
    assert starts(done.frame) == ["05:00"]
    assert done.frame["flags"][0] & Flag.AMBIGUOUS_TIME


def test_a_label_the_clock_skips_is_a_reject_naming_the_clock() -> None:
    done = normalise(prices(["2026-03-08 01:00:00", "2026-03-08 02:30:00", "2026-03-08 03:00:00"]), stream())
    assert starts(done.frame) == ["06:00", "07:00"]
    assert done.rejects["line"].to_list() == [3]
    assert "America/New_York" in done.rejects["reason"][0]


def test_an_extra_run_off_the_grid_keeps_its_own_end_and_opens_on_the_grid() -> None:
    five = stream(label="interval_end", resolution=timedelta(minutes=5))
    done = normalise(prices(["2025-07-01 00:57:48"]), five)
    row = done.frame.row(0, named=True)
    assert row["interval_end"] == datetime(2025, 7, 1, 4, 57, 48, tzinfo=UTC)
    assert row["interval_start"] == datetime(2025, 7, 1, 4, 55, tzinfo=UTC)
    assert row["flags"] & Flag.OFF_GRID


def test_congestion_is_turned_and_energy_derived_so_that_the_parts_add_up() -> None:
    frame = prices(["2025-07-01 00:00:00"], lmp=[52.73], congestion=[-3.2], loss=[1.29])
    done = normalise(frame, stream(signs={"congestion": -1.0}, derive="energy"))
    row = done.frame.row(0, named=True)
    assert (row["congestion"], row["energy"]) == (3.2, 48.24)
    assert row["flags"] == Flag.DERIVED_ENERGY


def test_a_turned_zero_is_not_minus_zero() -> None:
    labels = ["2025-07-01 00:00:00", "2025-07-01 01:00:00"]
    done = normalise(prices(labels, congestion=[0.0, 0.0]), stream(signs={"congestion": -1.0}))
    assert [str(value) for value in done.frame["congestion"]] == ["0.0", "0.0"]


@pytest.mark.parametrize(
    ("parts", "flagged"),
    [
        ({"energy": [9.0], "congestion": [1.0], "loss": [0.0]}, False),
        ({"energy": [9.0], "congestion": [2.0], "loss": [0.0]}, True),
        ({"energy": [9.0], "congestion": [None], "loss": [0.0]}, True),
        ({}, False),
    ],
)
def test_components_that_do_not_add_up_are_flagged(parts: dict[str, list[float | None]], flagged: bool) -> None:
    done = normalise(prices(["2025-07-01 00:00:00"], **parts), stream())
    assert bool(done.frame["flags"][0] & Flag.INCOMPLETE_COMPONENTS) is flagged


def test_a_missing_price_stays_missing_and_a_wild_one_is_a_reject() -> None:
    frame = prices(["2025-07-01 00:00:00", "2025-07-01 01:00:00"], lmp=[None, float("inf")])
    done = normalise(frame, stream())
    assert done.frame["lmp"].to_list() == [None]
    assert done.frame["flags"][0] == Flag.MISSING_PRICE
    assert done.rejects.rows() == [(3, "a price is not a finite number")]
