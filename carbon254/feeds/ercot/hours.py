"""ERCOT's delivery hours → the start of the interval in UTC, and which pass of a repeated hour it is.

Hours are numbered by their end, `01:00`..`24:00` or 1..24, so the hour that the clock repeats in autumn is 02:00 twice;
in spring 03:00 is simply absent. Two ways to tell the passes:

* `DSTFlag` (`RepeatedHourFlag`): true or Y is the second pass (standard time), false or N the first; it says "repeated
  hour", not "daylight time". The value decides: reports sort by columns on which the two rows tie, so that the order of
  rows says nothing. Order is used where there is nothing else: both rows of a settlement point carry the same flag, or
  none. A row without a flag beside one with a flag is the other pass; one that stands alone is taken for the first.
  Whatever was not told by its own flag is marked AMBIGUOUS_TIME.
* Hour 25. Files that number the hours of the long day 1..25 count elapsed hours from local midnight: 2 is the first
  pass, 3 the second.

Sources: UTC stamps printed beside the flag (true at 07:13Z, false at 06:13Z of an autumn day), and offsets in ERCOT's
dashboards.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import date, timedelta

import polars as pl

from carbon254.calendars import Status, convention, read
from carbon254.model import Flag

_QUARTER = timedelta(minutes=15)
_EXTRA_HOUR = 25


def counted_days(frame: pl.DataFrame) -> frozenset[date]:
    """Days whose hours are numbered as they pass: those with an hour 25. `frame` has day and hour."""
    return frozenset(frame.filter(pl.col("hour") == _EXTRA_HOUR)["day"].drop_nulls())


def with_times(frame: pl.DataFrame, clock: str, counted: Collection[date] | None) -> pl.DataFrame:
    """Adds `interval_start` (UTC) and `flags` to a frame of location_id, day, hour, quarter and flag.

    `hour` is the hour-ending number, `quarter` 1..4 (1 for hourly prices), `flag` a Boolean or null; `counted` are the
    payload's days with an hour 25, None where the frame is the whole payload. `interval_start` is null where the day
    has no such hour.
    """
    counted = counted_days(frame) if counted is None else counted
    labels = frame.select("day", "hour", pl.col("quarter").alias("interval"), mark=pl.lit(None, dtype=pl.Boolean))
    found = read(labels, convention("ercot.cdr"), _QUARTER, clock=clock).select("interval_start", "status")
    if counted:
        dense = read(labels, convention("ercot.he25"), _QUARTER, clock=clock).select("interval_start", "status")
        here = frame["day"].is_in(list(counted)).fill_null(False)
        found = pl.select(pl.when(here).then(dense[name]).otherwise(found[name]).alias(name) for name in found.columns)
    twice = found["status"] == Status.TWICE
    found = found.with_columns(unsure=twice)
    if twice.any():
        found = _told_apart(frame, labels, found, twice, clock)
    flags = pl.when("unsure").then(Flag.AMBIGUOUS_TIME.value).otherwise(0).cast(pl.UInt32).alias("flags")
    return frame.with_columns(found.select("interval_start", flags))


def _told_apart(
    frame: pl.DataFrame, labels: pl.DataFrame, found: pl.DataFrame, twice: pl.Series, clock: str
) -> pl.DataFrame:
    """`found`, with the repeated hours by their flags."""
    rows = pl.DataFrame([frame["location_id"], frame["flag"], found["interval_start"]]).with_row_index("row")
    rows = _passes(rows.filter(twice))
    marked = labels.filter(twice).with_columns(rows["second"].alias("mark"))
    told = read(marked, convention("ercot.cdr"), _QUARTER, clock=clock)
    both = pl.DataFrame([rows["row"], told["interval_start"], rows["unsure"]])
    joined = found.with_row_index("row").join(both, on="row", how="left", maintain_order="left", suffix="_told")
    return joined.select(pl.coalesce(f"{name}_told", name).alias(name) for name in ("interval_start", "unsure"))


def _passes(rows: pl.DataFrame) -> pl.DataFrame:
    """`second`: whether a row is of the second pass, null where nothing tells; `unsure`: not told by its own flag."""
    place = ["location_id", "interval_start"]
    pair = pl.len().over(place) == 2
    tied = pair & (pl.col("flag").n_unique().over(place) == 1)
    later = (pl.col("row").cum_count().over(place) - 1) == 1
    other = pl.when(pair).then(~pl.col("flag").max().over(place))
    return rows.select(
        "row",
        pl.when(tied).then(later).otherwise(pl.coalesce("flag", other)).alias("second"),
        (tied | pl.col("flag").is_null()).alias("unsure"),
    )
