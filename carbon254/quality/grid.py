"""Rows laid out as intervals × places, so that whatever compares neighbours is arithmetic on arrays.

Rows whose interval is not the stream's own width (an extra market run) or that lack a time or place stay outside.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property

import numpy as np
import polars as pl
from numpy.typing import NDArray

from .profile import Floats, scattered, text_hash

Ints = NDArray[np.int64]
_WIDEST = 20_000
_SPARE_CELLS = 4_000_000
_SPARSEST = 8


@dataclass
class Grid:
    """`starts` ascending (µs); `places` by code; `cell` of each row (interval × places + place), -1
    outside; `joined` where a place's name holds other keys too."""

    frame: pl.DataFrame
    starts: Ints
    places: list[str]
    cell: Ints
    step: int
    joined: bool = False

    @property
    def shape(self) -> tuple[int, int]:
        return len(self.starts), len(self.places)

    @cached_property
    def whole(self) -> bool:
        """Whether the rows are the cells, in order and without a gap."""
        size = self.shape[0] * self.shape[1]
        return len(self.cell) == size and bool((self.cell == np.arange(size)).all())

    @cached_property
    def inside(self) -> NDArray[np.bool_]:
        return self.cell >= 0

    @cached_property
    def counts(self) -> Ints:
        """Rows in each cell."""
        if self.whole:
            return np.ones(self.shape, np.int64)
        size = self.shape[0] * self.shape[1]
        return np.bincount(self.cell[self.inside], minlength=size).reshape(self.shape)

    def crowded(self) -> NDArray[np.bool_]:
        """Rows that share their cell with another."""
        if self.whole or not self.counts.size or int(self.counts.max()) < 2:
            return np.zeros(len(self.cell), np.bool_)
        return (self.counts > 1).reshape(-1)[self.cell] & self.inside

    @cached_property
    def adjacent(self) -> NDArray[np.bool_]:
        """Whether each interval follows right on the one before it."""
        return np.diff(self.starts, prepend=self.starts[:1] - 2 * self.step) == self.step

    def matrix(self, column: str) -> Floats:
        """The column's values; NaN for a cell without one. The last row of a cell counts."""
        return self.spread(self.frame[column].cast(pl.Float64).to_numpy())

    def spread(self, values: Floats) -> Floats:
        """One value a row, laid out; NaN for an empty cell."""
        if self.whole:
            return values.reshape(self.shape)
        filled = np.full(self.shape[0] * self.shape[1], np.nan)
        filled[self.cell[self.inside]] = values[self.inside]
        return filled.reshape(self.shape)

    @cached_property
    def place_hashes(self) -> NDArray[np.uint64]:
        return np.array([text_hash(place) for place in self.places], np.uint64)

    def fingerprints(self, column: str, block: int, origin: int) -> dict[int, int]:
        """Block start (µs) → sum of the hashes of (place, offset in the block, value); blocks of one value left out.

        Blocks are `block` µs long from `origin` on.
        """
        values = self.matrix(column)
        blocks = (self.starts - origin) // block
        offsets = scattered(((self.starts - origin) % block).astype(np.uint64))
        found: dict[int, int] = {}
        for number in np.unique(blocks):
            rows = np.flatnonzero(blocks == number)
            part = np.ascontiguousarray(values[rows]) + 0.0
            present = ~np.isnan(part)
            known = part if present.all() else part[present]
            if len(known) == 0 or known.min() == known.max():
                continue
            with np.errstate(over="ignore"):
                mixed = scattered(part.view(np.uint64) ^ (self.place_hashes[None, :] + offsets[rows][:, None]))
                found[int(number) * block + origin] = int(mixed[present].sum(dtype=np.uint64))
        return found


def lay_out(frame: pl.DataFrame, resolution: timedelta, keys: tuple[str, ...], place: str) -> Grid | None:
    """The grid of an interval frame; None where rows are so scattered that it would be mostly empty.

    `keys` are the columns beside the place that tell streams of prices apart; mostly each has one value.
    """
    step = resolution // timedelta(microseconds=1)
    start = frame["interval_start"].to_physical()
    width = frame["interval_end"].to_physical() - start
    codes, places, joined = _codes(frame, keys, place)
    good = (width == step) & start.is_not_null() & codes.is_not_null()
    inside = good.fill_null(False)
    begin, number = start.fill_null(0).to_numpy(), codes.fill_null(0).to_numpy().astype(np.int64, copy=False)
    outside = None if inside.all() else ~inside.to_numpy()
    starts, slot = _slots(begin, outside, step)
    cells = len(starts) * len(places)
    if cells > _SPARSEST * frame.height + _SPARE_CELLS:
        return None
    cell = slot * len(places) + number
    if outside is not None:
        cell[outside] = -1
    return Grid(frame, starts, places, cell, step, joined)


def _slots(begin: Ints, outside: NDArray[np.bool_] | None, step: int) -> tuple[Ints, Ints]:
    """(distinct starts, their index for each row)."""
    used = begin if outside is None else begin[~outside]
    if not len(used):
        return np.zeros(0, np.int64), np.zeros(len(begin), np.int64)
    first, last = int(used.min()), int(used.max())
    offset = begin - first
    wide = (last - first) // step + 1
    if wide > _WIDEST or (offset[~outside] if outside is not None else offset).__mod__(step).any():
        starts = np.unique(used)
        return starts, np.minimum(np.searchsorted(starts, begin), len(starts) - 1)
    slot = offset // step
    if outside is not None:
        slot[outside] = 0
    present = np.zeros(wide, np.bool_)
    present[slot if outside is None else slot[~outside]] = True
    if present.all():
        return first + np.arange(wide) * step, slot
    return first + np.flatnonzero(present) * step, (np.cumsum(present) - 1)[slot]


def _codes(frame: pl.DataFrame, keys: tuple[str, ...], place: str) -> tuple[pl.Series, list[str], bool]:
    """A code for the place of each row, and the places by code; other keys join in only where they vary."""
    have = [name for name in keys if name in frame.columns]
    same = frame.select(pl.col(name).eq_missing(pl.col(name).first()).all() for name in have) if have else None
    varying = [name for name in have if same is not None and frame.height and not same[name][0]]
    column = frame[place]
    if varying:
        column = frame.select(
            pl.concat_str([*(pl.col(name).cast(pl.String) for name in varying), pl.col(place).cast(pl.String)],
                          separator="\x1f")
        ).to_series()  # fmt: skip
    coded = column.cast(pl.Categorical)
    physical = coded.to_physical()
    number = physical.fill_null(0).to_numpy()
    known = np.flatnonzero(physical.is_not_null().to_numpy()) if coded.null_count() else None
    row_of = np.full(int(number.max(initial=0)) + 1, -1, np.int64)
    row_of[number if known is None else number[known]] = np.arange(len(number)) if known is None else known
    used = np.flatnonzero(row_of >= 0)
    dense = np.zeros(len(row_of), np.int64)
    dense[used] = np.arange(len(used))
    codes = pl.Series(dense[number])
    if known is not None:
        codes = codes.set(physical.is_null(), None)
    return codes, coded.gather(row_of[used]).cast(pl.String).to_list(), bool(varying)
