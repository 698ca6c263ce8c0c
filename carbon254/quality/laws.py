"""Conservation laws of the market. A missing component makes a law unknown for that row: never failed, never zero."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import polars as pl

from .check import Check, RowCheck
from .partition import PartitionState
from .rounding import FLOAT_ERROR
from .states import State, Tally

if TYPE_CHECKING:
    from .grid import Grid
    from .scan import Scan


@dataclass(frozen=True, slots=True, kw_only=True)
class Share(RowCheck):
    """A part is small beside the whole: |part| ≤ share × |whole| + floor. Losses are a few per cent of energy."""

    kind: ClassVar[str] = "share"
    todo: ClassVar[str] = "see the rows: components swapped in the file's columns look like this"
    part: str = "loss"
    whole: str = "energy"
    share: float = 0.3
    floor: float = 5.0
    at_least: float = 0.999
    # Columns are swapped in a whole file; a single place may well lose much.
    hold_share: float = 0.5

    @property
    def title(self) -> str:
        return self.name or f"share.{self.part}"

    def needs(self) -> tuple[str, ...]:
        return (self.part, self.whole)

    def unknown(self, scan: Scan) -> pl.Expr:
        return ~self._excess().is_finite().fill_null(False)

    def failed(self, scan: Scan) -> pl.Expr:
        return self._excess() > self.floor

    def _excess(self) -> pl.Expr:
        return pl.col(self.part).abs() - self.share * pl.col(self.whole).abs()

    def fault(self, state: PartitionState) -> str:
        return f"have more {self.part} than {self.share:g} × {self.whole} + {self.floor:g}"


@dataclass(frozen=True, slots=True, kw_only=True)
class OneEnergy(Check):
    """The energy component is one number an interval, over every place of one area.

    `by` names the column that tells areas apart (one market area where it is empty); places whose id matches a text
    of `without` stand outside. Intervals with fewer than two known values are unknown.
    """

    kind: ClassVar[str] = "one_energy"
    unit: ClassVar[str] = "intervals"
    todo: ClassVar[str] = "see the rows: energy swapped with another column, or a place of another market area"
    by: str = ""
    without: tuple[str, ...] = ()
    tolerance: float = 0.0

    def states(self, scan: Scan, found: Mapping[str, Any]) -> Mapping[str, State]:
        grid = scan.grid
        if grid is None or "energy" not in scan.frame.columns or (self.by and self.by not in scan.frame.columns):
            return {self.title: Tally(0, 0, 0 if grid is None else len(grid.starts))}
        if self.by or self.without or grid.joined:
            return self._by_area(scan, grid)
        energy = grid.matrix("energy")
        known = np.isfinite(energy)
        top, bottom = (np.where(known, energy, end) if not known.all() else energy for end in (-np.inf, np.inf))
        with np.errstate(invalid="ignore"):
            spread = np.max(top, axis=1, initial=-np.inf) - np.min(bottom, axis=1, initial=np.inf)
        enough = np.count_nonzero(known, axis=1) >= 2
        bad = enough & (spread > self.tolerance + FLOAT_ERROR)
        tally = Tally(int(enough.sum()), int(bad.sum()), int((~enough).sum()))
        return self._kept(scan, tally, pl.Series(grid.starts[bad]))

    def _keys(self, scan: Scan) -> list[str]:
        """What tells one market area's interval from another's: several market runs may share a feed."""
        return ["interval_start", *scan.streams, *([self.by] if self.by else [])]

    def _by_area(self, scan: Scan, grid: Grid) -> Mapping[str, State]:
        stays = pl.Series(grid.inside) & ~scan.frame["location_id"].cast(pl.String).is_in(list(self.without))
        energy = pl.when(pl.col("energy").is_finite()).then("energy")
        groups = scan.frame.filter(stays).group_by(self._keys(scan))
        spread = groups.agg(known=energy.count(), spread=energy.max() - energy.min())
        judged = spread.filter(pl.col("known") >= 2)
        bad = judged.filter(pl.col("spread") > self.tolerance + FLOAT_ERROR)
        tally = Tally(judged.height, bad.height, spread.height - judged.height)
        return self._kept(scan, tally, bad["interval_start"].to_physical())

    def _kept(self, scan: Scan, tally: Tally, bad: pl.Series) -> Mapping[str, State]:
        if not tally.failed:
            return {self.title: tally}
        here = pl.col("interval_start").to_physical().is_in(bad.implode())
        rows = scan.frame.filter(here & ~pl.col("location_id").cast(pl.String).is_in(list(self.without)))
        middle = pl.col("energy").median().over(self._keys(scan))
        odd = rows.filter((pl.col("energy") - middle).abs() > (self.tolerance + FLOAT_ERROR) / 2)
        return {self.title: tally, f"{self.title}.rows": scan.told(odd)}

    def limit(self) -> str:
        return f"spread ≤ {self.tolerance + FLOAT_ERROR:.3g}{f' within each {self.by}' if self.by else ''}"

    def fault(self, state: PartitionState) -> str:
        return "have more than one energy component"


@dataclass(frozen=True, slots=True, kw_only=True)
class Hub(Check):
    """A hub's price is the weighted mean of its members' prices, interval by interval; unknown where one is missing."""

    kind: ClassVar[str] = "hub"
    unit: ClassVar[str] = "intervals"
    todo: ClassVar[str] = "a member's price was corrected without the hub's, or the list is out of date"
    hub: str
    members: Mapping[str, float]
    column: str = "lmp"
    tolerance: float = 0.01

    @property
    def title(self) -> str:
        return self.name or f"hub.{self.hub}"

    def states(self, scan: Scan, found: Mapping[str, Any]) -> Mapping[str, State]:
        grid = scan.grid
        if grid is None or self.column not in scan.frame.columns:
            return {self.title: Tally()}
        if any(place not in grid.places for place in (self.hub, *self.members)):
            return {self.title: Tally(0, 0, len(grid.starts))}
        values = grid.matrix(self.column)
        weights = np.array(list(self.members.values()), float)
        of_members = values[:, [grid.places.index(place) for place in self.members]]
        with np.errstate(invalid="ignore"):
            gap = values[:, grid.places.index(self.hub)] - of_members @ (weights / weights.sum())
        known = np.isfinite(gap)
        bad = known & (np.abs(np.where(known, gap, 0.0)) > self.tolerance + FLOAT_ERROR)
        kept: dict[str, State] = {self.title: Tally(int(known.sum()), int(bad.sum()), int((~known).sum()))}
        if bad.any():
            here = pl.col("interval_start").to_physical().is_in(pl.Series(grid.starts[bad]).implode())
            kept[f"{self.title}.rows"] = scan.sample(here & (pl.col("location_id").cast(pl.String) == self.hub))
        return kept

    def fault(self, state: PartitionState) -> str:
        return f"have a {self.hub} that is not the mean of its {len(self.members)} members"


@dataclass(frozen=True, slots=True, kw_only=True)
class HourlyMean(RowCheck):
    """An hourly price is the mean of the shorter intervals of its hour, which another feed brings (`parts`).

    Unknown where a part is missing: each hour needs parts that fill it.
    """

    kind: ClassVar[str] = "hourly_mean"
    todo: ClassVar[str] = "see the hours: one of the two feeds was corrected and the other not; refetch both"
    parts: str
    column: str = "lmp"
    tolerance: float = 0.01

    def states(self, scan: Scan, found: Mapping[str, Any]) -> Mapping[str, State]:
        other = scan.others.get(self.parts)
        needed = ("location_id", "interval_start", "interval_end", self.column)
        if other is None or any(name not in frame.columns for frame in (other, scan.frame) for name in needed):
            return {self.title: Tally(0, 0, scan.rows)}
        judged = self._beside(scan, other)
        known = judged["gap"].is_finite() & judged["gap"].is_not_null()
        bad = known & (judged["gap"].abs() > self.tolerance + FLOAT_ERROR).fill_null(False)
        kept: dict[str, State] = {
            self.title: Tally(int(known.sum()), int(bad.sum()), int(scan.rows - known.sum())),
        }
        if bad.any():
            kept[f"{self.title}.rows"] = scan.sample(bad)
        return kept

    def terms(self, scan: Scan) -> Mapping[str, pl.Expr]:
        return {}

    def _beside(self, scan: Scan, other: pl.DataFrame) -> pl.DataFrame:
        """`gap` of each row to the mean of its parts; null where they do not fill the interval."""
        seconds = (pl.col("interval_end") - pl.col("interval_start")).dt.total_seconds()
        part = other.select(
            pl.col("location_id").cast(pl.String),
            pl.col("interval_start").dt.truncate("1h").alias("hour"),
            pl.when(pl.col(self.column).is_finite()).then(self.column).alias("part"),
            seconds.alias("seconds"),
        ).drop_nulls("part")
        means = part.group_by("location_id", "hour").agg(
            mean=(pl.col("part") * pl.col("seconds")).sum() / pl.col("seconds").sum(),
            filled=pl.col("seconds").sum(),
        )
        rows = scan.frame.select(
            pl.col("location_id").cast(pl.String), pl.col("interval_start").alias("hour"), seconds.alias("seconds"),
            self.column,
        )  # fmt: skip
        beside = rows.join(means, on=["location_id", "hour"], how="left", maintain_order="left")
        whole = (pl.col("filled") == pl.col("seconds")) & (pl.col("seconds") == timedelta(hours=1).total_seconds())
        return beside.select(pl.when(whole).then(pl.col(self.column) - pl.col("mean")).alias("gap"))

    def fault(self, state: PartitionState) -> str:
        return f"are not the mean of their parts in {self.parts}"
