"""ERCOT's delivery hours → the start of the interval in UTC, and which pass of a repeated hour it is.

Hours are numbered by their end, `01:00`..`24:00` or 1..24, so the hour that the clock repeats in autumn is 02:00 twice;
in spring 03:00 is simply absent. Two ways to tell the passes:

* `DSTFlag` and order. In the recorded API answer of an autumn day the first 02:00 carries `true`, the repeat `false`,
  and every other row of the year `false`. In the CDR files `Y` is read as the repeat. So the payload itself decides:
  where both rows of a settlement point are there and differ in the flag, the first in the payload is the first pass,
  and the flag it has holds for the whole payload. Where no such pair is there (or pairs disagree), the first pass is
  taken to carry `true` in JSON and `N` in CSV. Two rows with the same flag go by their order; one row without a flag
  stays open, and is flagged.
* Hour 25. Files that number the hours of the long day 1..25 count elapsed hours from local midnight: 2 is the first
  pass, 3 the second.
"""

from __future__ import annotations

from datetime import timedelta

import polars as pl

from carbon254.calendars import Status, convention, read
from carbon254.model import Flag

_QUARTER = timedelta(minutes=15)


def with_times(frame: pl.DataFrame, clock: str, first_flag: bool) -> pl.DataFrame:
    """Adds `interval_start` (UTC) and `flags` to a frame of location_id, day, hour, quarter and flag.

    `hour` is the hour-ending number, `quarter` 1..4 (1 for hourly prices), `flag` a Boolean or null. `interval_start`
    is null where the day has no such hour.
    """
    labels = frame.select("day", "hour", pl.col("quarter").alias("interval"), mark=pl.lit(None, dtype=pl.Boolean))
    found = read(labels, convention("ercot.cdr"), _QUARTER, clock=clock).select("interval_start", "status")
    dense = frame.filter(pl.col("hour") == 25)["day"].unique()
    if len(dense):
        counted = read(labels, convention("ercot.he25"), _QUARTER, clock=clock).select("interval_start", "status")
        here = frame["day"].is_in(dense.implode()).fill_null(False)
        found = pl.select(
            pl.when(here).then(counted[name]).otherwise(found[name]).alias(name) for name in found.columns
        )
    twice = found["status"] == Status.TWICE
    if twice.any():
        found = _told_apart(frame, labels, found, twice, clock, first_flag)
    unsure = pl.when(pl.col("status") == Status.TWICE).then(Flag.AMBIGUOUS_TIME.value).otherwise(0).cast(pl.UInt32)
    return frame.with_columns(found.select("interval_start", unsure.alias("flags")))


def _told_apart(
    frame: pl.DataFrame, labels: pl.DataFrame, found: pl.DataFrame, twice: pl.Series, clock: str, first_flag: bool
) -> pl.DataFrame:
    """`found`, with the repeated hours by the flags and the order of the rows that have them."""
    rows = pl.DataFrame([frame["location_id"], frame["flag"], found["interval_start"]]).with_row_index("row")
    second = _second(rows.filter(twice), first_flag)
    marked = labels.filter(twice).with_columns(second.alias("mark"))
    told = read(marked, convention("ercot.cdr"), _QUARTER, clock=clock).select("interval_start", "status")
    both = told.with_columns(row=rows.filter(twice)["row"])
    joined = found.with_row_index("row").join(both, on="row", how="left", maintain_order="left", suffix="_told")
    return joined.select(pl.coalesce(f"{name}_told", name).alias(name) for name in found.columns)


def _second(rows: pl.DataFrame, first_flag: bool) -> pl.Series:
    """True for rows of the second pass, null where nothing tells."""
    place = ["location_id", "interval_start"]
    rows = rows.select(
        "flag",
        (pl.col("row").cum_count().over(place) - 1).alias("nth"),
        pl.len().over(place).alias("count"),
        pl.col("flag").n_unique().over(place).alias("kinds"),
    )
    pairs = rows.filter((pl.col("count") == 2) & (pl.col("kinds") == 2) & (pl.col("nth") == 0))["flag"].drop_nulls()
    first = bool(pairs[0]) if pairs.n_unique() == 1 else first_flag
    by_order = (pl.col("count") == 2) & (pl.col("kinds") == 1)
    return rows.select(pl.when(by_order).then(pl.col("nth") == 1).otherwise(pl.col("flag") != first)).to_series()
