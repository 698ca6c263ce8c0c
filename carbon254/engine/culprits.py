"""Which rows a failed check of intervals is about. Asked only where a check of a batch failed: that is rare.

Each answers a Boolean per row of the scan's frame. Where right and wrong cannot be told apart, all rows that may be
wrong are named: a reader without a price is better off than one with a wrong price.
"""

from __future__ import annotations

import polars as pl

from carbon254.model import Dataset
from carbon254.quality.behaviour import Frozen, Spikes, Stale, Stuck
from carbon254.quality.laws import OneEnergy
from carbon254.quality.partition import PartitionState
from carbon254.quality.scan import Scan
from carbon254.quality.states import Prints

_ROUNDING = 1e-9
# Beyond this share of odd places the middle of the interval proves nothing.
_FEW = 0.1
_FEWEST = 3
_SERIES = ("market", "product", "market_run", "location_id")
_BLOCK_US = 6 * 3_600_000_000


def conflicting(frame: pl.DataFrame, dataset: Dataset) -> pl.Series:
    """Rows whose key and revision another row has with other values."""
    key = [*dataset.key, *(["revision"] if "revision" in frame.columns else [])]
    values = [name for name in dataset.values if name in frame.columns]
    said = pl.struct(values).n_unique().over(key) > 1
    return frame.select(said.alias("bad"))["bad"]


def one_energy(check: OneEnergy, scan: Scan) -> pl.Series:
    """Rows that stand out of their interval; all of its rows where many do."""
    keys = ["interval_start", *scan.streams, *([check.by] if check.by else [])]
    counts = pl.col("energy").is_finite().fill_null(False) & ~pl.col("location_id").cast(pl.String).is_in(
        list(check.without)
    )
    energy = pl.when(counts).then("energy")
    far = ((energy - energy.median().over(keys)).abs() > (check.tolerance + _ROUNDING) / 2).fill_null(False)
    torn = (energy.max() - energy.min()).over(keys) > check.tolerance + _ROUNDING
    many = far.sum().over(keys) > (_FEW * counts.sum().over(keys)).clip(lower_bound=1.0)
    return scan.frame.select((torn & counts & (far | many)).fill_null(False).alias("bad"))["bad"]


def frozen(check: Frozen, scan: Scan) -> pl.Series:
    """Rows of the intervals that repeat the one before, in runs as long as the check does not allow."""
    step = _step(scan)
    price = pl.when(pl.col(check.column).is_finite()).then(check.column)
    told = (
        scan.frame.group_by("interval_start")
        .agg(pl.struct("location_id", price).hash().sum().alias("said"), price.count().alias("known"))
        .sort("interval_start")
    )
    near = pl.col("interval_start").diff().dt.total_microseconds() == step
    same = (pl.col("said") == pl.col("said").shift(1)) & near & (pl.col("known") > 0)
    limit = max(_FEWEST, round(check.minutes * 60_000_000 / step))
    runs = told.with_columns(same.fill_null(False).alias("same")).with_columns(pl.col("same").rle_id().alias("run"))
    bad = runs.filter(pl.col("same") & (pl.len().over("run") >= limit))["interval_start"]
    return scan.frame["interval_start"].is_in(bad.implode())


def standing(check: Stuck, scan: Scan) -> pl.Series:
    """Rows of places that keep one price for as long as the check does not allow."""
    limit = max(_FEWEST, round(check.hours * 3_600_000_000 / _step(scan)))
    keys = [name for name in _SERIES if name in scan.frame.columns]
    rows = scan.frame.with_row_index("_at").sort(*keys, "interval_start")
    value = pl.when(~pl.col(check.column).is_in(list(check.ignoring))).then(check.column)
    runs = rows.with_columns(pl.struct(*keys, value.alias("_value")).rle_id().alias("_run"), value.alias("_value"))
    bad = runs.filter(pl.col("_value").is_not_null() & (pl.len().over("_run") >= limit))["_at"]
    return _named(scan, bad)


def lone_spikes(check: Spikes, scan: Scan) -> pl.Series:
    """Cells that jump away for one interval and back while the middle of the market stays."""
    keys = [name for name in _SERIES if name in scan.frame.columns]
    step = _step(scan)
    rows = scan.frame.with_row_index("_at").sort(*keys, "interval_start")
    near = pl.col("interval_start").diff().over(keys).dt.total_microseconds() == step
    value = pl.col(check.column)
    moved = rows.with_columns(
        pl.when(near).then(value.diff().over(keys)).alias("_rise"),
        pl.when(near.shift(-1).over(keys)).then(value - value.shift(-1).over(keys)).alias("_fall"),
    )
    both = pl.col("_rise").is_finite() & pl.col("_fall").is_finite()
    middle = pl.when(both).then("_rise").median().over("interval_start")
    lone = both & (pl.col("_rise").abs() > check.above) & (pl.col("_fall").abs() > check.above)
    lone &= (pl.col("_rise").sign() == pl.col("_fall").sign()) & ((pl.col("_rise") - middle).abs() > check.above)
    return _named(scan, moved.filter(lone.fill_null(False))["_at"])


def stale(check: Stale, scan: Scan, earlier: frozenset[int] = frozenset()) -> pl.Series:
    """Rows of the blocks of hours that bring an earlier block's prices again."""
    prints = PartitionState(dict(check.states(scan, {}))).get(f"{check.title}.prints", Prints).by_block
    seen = set(earlier)
    bad = []
    for block, print_ in sorted(prints.items()):
        if print_ in seen:
            bad.append(block)
        seen.add(print_)
    return block_of(scan).is_in(bad)


def block_of(scan: Scan) -> pl.Series:
    """The start (µs) of the block of hours that each row lies in."""
    return (scan.frame["interval_start"].to_physical() - scan.origin) // _BLOCK_US * _BLOCK_US + scan.origin


def _step(scan: Scan) -> int:
    return scan.grid.step if scan.grid is not None else 0


def _named(scan: Scan, rows: pl.Series) -> pl.Series:
    return pl.int_range(scan.rows, dtype=pl.UInt32, eager=True).is_in(rows.implode())
