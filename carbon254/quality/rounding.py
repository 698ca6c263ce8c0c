"""How far a sum may be off by rounding alone: half a unit of each published number, in units a statement really uses.

A card says to what `step` a provider rounds its numbers, and how coarse that may become (`most`). A short statement
says nothing of its own: a few round prices must not blind a check. From `ENOUGH` rows up the numbers themselves tell,
column by column, because one component may be rounded to cents where the others are not; a row whose numbers are all
coarser is judged as it is printed, because a year's file may hold months of another precision. Nothing is ever coarser
than `most`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add

import polars as pl

ENOUGH = 100
# Sums of a few doubles of market size differ from the printed decimals by less.
FLOAT_ERROR = 1e-9
_FINEST = 1e-8
# A double of market size, divided by its unit, is farther from a whole number only where it has more digits.
_WHOLE = 1e-3
# Where so many numbers of a column are coarse, chance did not round them.
_MANY = 0.2


@dataclass(frozen=True, slots=True)
class Units:
    """The units (1, a tenth, a hundredth … of the coarsest) that a statement's columns show."""

    columns: tuple[str, ...]
    ladder: tuple[float, ...]
    finest: tuple[float, ...]
    mixed: tuple[bool, ...]

    @property
    def least(self) -> float:
        """What rounding may leave in any row."""
        return sum(self.finest) / 2

    def leave(self) -> pl.Expr:
        """What rounding may leave in each row."""
        row = self._of_row()
        return reduce(add, (self._of_number(at, row) for at in range(len(self.columns)))) / 2

    def _of_row(self) -> pl.Expr:
        """The coarsest unit that all numbers of a row are whole multiples of."""
        found = pl.lit(self.ladder[-1])
        for unit in reversed(self.ladder[:-1]):
            whole = pl.all_horizontal(~_finer(name, unit) for name in self.columns)
            found = pl.when(whole).then(unit).otherwise(found)
        return found

    def _of_number(self, at: int, row: pl.Expr) -> pl.Expr:
        unit = pl.max_horizontal(row, pl.lit(self.finest[at]))
        if not self.mixed[at]:
            return unit
        return pl.when(~_finer(self.columns[at], self.ladder[0])).then(self.ladder[0]).otherwise(unit)


def units_of(frame: pl.DataFrame, columns: Sequence[str], most: float) -> Units:
    """The units that the columns of a statement show, none coarser than `most`; rows lack no number."""
    ladder = _ladder(most)
    asked = [
        pl.struct(
            *(_finer(name, unit).any().alias(str(rung)) for rung, unit in enumerate(ladder)),
            (pl.col(name) != 0).sum().alias("said"),
            ((pl.col(name) != 0) & ~_finer(name, ladder[0])).sum().alias("coarse"),
        ).alias(name)
        for name in columns
    ]
    told = frame.select(asked).row(0)
    finest = [
        next((unit for rung, unit in enumerate(ladder) if not one[str(rung)]), ladder[-1]) if one["said"] else 0.0
        for one in told
    ]
    # Nothing but zeros is as coarse as the coarsest beside it.
    silent = max(finest) or most
    mixed = [one["coarse"] >= ENOUGH and one["coarse"] >= _MANY * one["said"] for one in told]
    return Units(tuple(columns), ladder, tuple(unit or silent for unit in finest), tuple(mixed))


def _ladder(most: float) -> tuple[float, ...]:
    rungs = [most]
    while rungs[-1] > _FINEST * 1.5:
        rungs.append(rungs[-1] / 10)
    return tuple(rungs)


def _finer(name: str, unit: float) -> pl.Expr:
    """True for numbers that are no whole multiples of a unit."""
    scaled = pl.col(name).cast(pl.Float64) / unit
    return (scaled - scaled.round()).abs() > _WHOLE
