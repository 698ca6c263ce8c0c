"""ERCOT's delivery hours → the start of the interval on the local clock, and which pass of a repeated hour it is.

Hours are numbered by their end, `01:00`..`24:00` or 1..24. A label here is the interval's *start* (hour ending 02:00 is
01:00), so that the hour the clock repeats in autumn, 01:00–02:00, is the label that falls twice. In spring hour ending
03:00 is simply absent.

Two ways to tell the passes:

* `DSTFlag` and order. In the recorded API answer of an autumn day the first 02:00 carries `true`, the repeat `false`,
  and every other row of the year `false`. In the CDR files `Y` is read as the repeat. So the payload itself decides:
  where both rows of a settlement point are there and differ in the flag, the first in the payload is the first pass,
  and the flag it has holds for the whole payload. Where no such pair is there (or pairs disagree), the first pass is
  taken to carry `true` in JSON and `N` in CSV. Two rows with the same flag go by their order; one row without a flag
  has no mark, and is flagged as ambiguous later.
* Hour 25. Files that number the hours of the long day 1..25 count elapsed hours from local midnight: 2 is the first
  pass, 3 the second.
"""

from __future__ import annotations

import polars as pl

from carbon254.calendars.labels import is_ambiguous

_HOURS = pl.col("hour")


def with_labels(frame: pl.DataFrame, clock: str, first_flag: bool) -> pl.DataFrame:
    """Adds `label` (naive interval start) and `mark` to a frame of location_id, day, hour, quarter and flag.

    `hour` is the hour-ending number, `quarter` 1..4 (1 for hourly prices), `flag` a Boolean or null. `label` is null
    where the day has no such hour.
    """
    minutes = pl.duration(minutes=(pl.col("quarter") - 1) * 15)
    fits = _HOURS.is_between(1, 24) & pl.col("quarter").is_between(1, 4)
    label = pl.col("day").cast(pl.Datetime("us")) + pl.duration(hours=_HOURS - 1) + minutes
    frame = frame.with_columns(pl.when(fits).then(label).alias("label"), pl.lit(None, dtype=pl.Int8).alias("mark"))
    dense = frame.filter(_HOURS == 25)["day"].unique()
    if len(dense):
        frame = _dense(frame, clock, pl.col("day").is_in(dense.implode()), minutes)
    return _passes(frame, clock, first_flag)


def _dense(frame: pl.DataFrame, clock: str, here: pl.Expr, minutes: pl.Expr) -> pl.DataFrame:
    midnight = pl.col("day").cast(pl.Datetime("us")).dt.replace_time_zone(clock, ambiguous="earliest")
    local = (midnight.dt.convert_time_zone("UTC") + pl.duration(hours=_HOURS - 1) + minutes).dt.convert_time_zone(clock)
    naive = local.dt.replace_time_zone(None)
    second = local.dt.base_utc_offset() + local.dt.dst_offset() != _first_offset(naive, clock)
    same_day = _HOURS.is_between(1, 25) & (naive.dt.date() == pl.col("day"))
    return frame.with_columns(
        pl.when(here).then(pl.when(same_day).then(naive)).otherwise(pl.col("label")).alias("label"),
        pl.when(here & is_ambiguous(naive, clock)).then(second.cast(pl.Int8)).alias("mark"),
    )


def _first_offset(naive: pl.Expr, clock: str) -> pl.Expr:
    first = naive.dt.replace_time_zone(clock, ambiguous="earliest", non_existent="null")
    return first.dt.base_utc_offset() + first.dt.dst_offset()


def _passes(frame: pl.DataFrame, clock: str, first_flag: bool) -> pl.DataFrame:
    repeated = frame.select(pl.col("label").unique()).filter(is_ambiguous(pl.col("label"), clock))["label"]
    if repeated.is_empty():
        return frame
    twice = frame.select(pl.col("label").is_in(repeated.implode()) & pl.col("mark").is_null()).to_series()
    place = ["location_id", "label"]
    rows = (
        frame.with_row_index("row")
        .filter(twice)
        .select(
            "row",
            "flag",
            (pl.col("row").cum_count().over(place) - 1).alias("nth"),
            pl.len().over(place).alias("count"),
            pl.col("flag").n_unique().over(place).alias("kinds"),
        )
    )
    pairs = rows.filter((pl.col("count") == 2) & (pl.col("kinds") == 2) & (pl.col("nth") == 0))["flag"].drop_nulls()
    first = bool(pairs[0]) if pairs.n_unique() == 1 else first_flag
    by_order = (pl.col("count") == 2) & (pl.col("kinds") == 1)
    mark = pl.when(by_order).then(pl.col("nth").cast(pl.Int8)).otherwise((pl.col("flag") != first).cast(pl.Int8))
    marks = rows.select("row", mark.alias("found"))
    joined = frame.with_row_index("row").join(marks, on="row", how="left", maintain_order="left")
    return joined.with_columns(pl.coalesce("mark", "found").alias("mark")).drop("row", "found")
