"""Conservation laws of the market. A missing component makes a law unknown for that row: never failed, never zero."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import polars as pl

from carbon254.model import Flag, Stream

from .check import Check, RowCheck
from .partition import PartitionState
from .rounding import ENOUGH, units_of
from .states import State, Tally

if TYPE_CHECKING:
    from .grid import Grid
    from .scan import Scan

# Sums of a few doubles of market size differ from the printed decimals by less.
_ROUNDING = 1e-9


def half_units(decimals: Mapping[str, int]) -> float:
    """Half a unit of the last published decimal of each number, added up: what rounding alone may leave."""
    return sum(0.5 * 10.0**-places for places in decimals.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity(RowCheck):
    """Price = sum of its parts, within half a unit of each published number.

    The unit is `step`, and from a hundred rows up what the numbers show, never coarser than `most` (`rounding.py`);
    both are the card's where neither they nor `decimals` or a `tolerance` are given. `signs` turns parts that a frame
    holds as published (NYISO prints congestion so that a negative one raises the price; stored rows are turned
    already). A row whose energy was derived from the others proves nothing: unknown.
    """

    kind: ClassVar[str] = "identity"
    todo: ClassVar[str] = "see the rows: a flipped sign, a shifted column or a lost part; fix the card and replay"
    price: str = "lmp"
    parts: tuple[str, ...] = ("energy", "congestion", "loss")
    signs: Mapping[str, float] = field(default_factory=dict)
    decimals: Mapping[str, int] = field(default_factory=dict)
    tolerance: float = 0.0
    step: float = 0.0
    most: float = 0.0

    def needs(self) -> tuple[str, ...]:
        return (self.price, *self.parts)

    def unknown(self, scan: Scan) -> pl.Expr:
        # A number that is missing, NaN or infinite leaves the gap without a finite value.
        lost = ~self._gap(self.signs).is_finite().fill_null(False)
        if "energy" in self.parts and "flags" in scan.frame.columns:
            return lost | ((pl.col("flags") & Flag.DERIVED_ENERGY.value).fill_null(0) != 0)
        return lost

    def on(self, stream: Stream) -> Identity:
        if self.decimals or self.tolerance or self.step or self.most:
            return self
        return replace(self, step=stream.rounding.step, most=stream.rounding.most)

    def failed(self, scan: Scan) -> pl.Expr:
        return pl.lit(self.broken(scan))

    def broken(self, scan: Scan) -> pl.Series:
        if self.title not in scan.broken:
            scan.broken[self.title] = self._off(scan)
        return scan.broken[self.title]

    def _off(self, scan: Scan) -> pl.Series:
        """True for rows whose gap is more than rounding leaves; asked again only of rows that seem off."""
        gap = scan.frame.select(
            _at=pl.int_range(pl.len()), gap=pl.when(~self.unknown(scan)).then(self._gap(self.signs).abs())
        )
        least, leave = self.allowed, None
        known = len(gap) - gap["gap"].null_count()
        worst = gap["gap"].max()
        if self.most and known >= ENOUGH and isinstance(worst, float) and worst > _ROUNDING:
            units = units_of(scan.frame.filter(gap["gap"].is_not_null()), self.needs(), max(self.most, self.step))
            least, leave = units.least + _ROUNDING, units.leave() + _ROUNDING
        off = (gap["gap"] > least).fill_null(False)
        if leave is None or not off.any():
            return off
        asked = scan.frame.with_columns(gap).filter(off).select("_at", bad=pl.col("gap") > leave)
        return gap["_at"].is_in(asked.filter("bad")["_at"].implode())

    @property
    def allowed(self) -> float:
        """The tolerance of a short statement, in the price's unit."""
        return (half_units(self.decimals) or self.tolerance or self._numbers * self.step / 2) + _ROUNDING

    @property
    def _numbers(self) -> int:
        return len(self.parts) + 1

    def states(self, scan: Scan, found: Mapping[str, Any]) -> Mapping[str, State]:
        kept = dict(RowCheck.states(self, scan, found))
        if found.get(f"{self.title}.failed") and "congestion" in self.parts:
            # Only rows that fail are asked whether the other sign would do.
            turned = {**self.signs, "congestion": -self.signs.get("congestion", 1.0)}
            other = scan.frame.select((self._gap(turned).abs() <= self._widest).fill_null(False).alias("would"))[
                "would"
            ]
            kept[f"{self.title}.turned"] = Tally(int((other & self.broken(scan)).sum()))
        return kept

    def _gap(self, signs: Mapping[str, float]) -> pl.Expr:
        total = pl.col(self.price).cast(pl.Float64)
        for name in self.parts:
            sign = signs.get(name, 1.0)
            total = total - (pl.col(name) if sign == 1.0 else pl.col(name) * sign)
        return total

    def no_answer(self, tally: Tally) -> str:
        return f"{tally.unknown:,} rows lack a part, or have one that was derived from the others"

    @property
    def _widest(self) -> float:
        return max(self.allowed, self._numbers * self.most / 2 + _ROUNDING)

    def limit(self) -> str:
        finer = ", less where a long statement is printed finer" if self.most else ""
        return f"|{self.price} − {' − '.join(self.parts)}| ≤ {self._widest:.3g}{finer}"

    def fault(self, state: PartitionState) -> str:
        turned = state.get(f"{self.title}.turned", Tally).judged
        hint = f"; {turned:,} would with congestion's sign turned" if turned else ""
        return f"do not add up{hint}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Balance(Identity):
    """Generation − load − net interchange ≈ 0, as balancing authorities report them to EIA-930."""

    kind: ClassVar[str] = "balance"
    todo: ClassVar[str] = "see the rows: one of the three series is late, revised or of another authority"
    price: str = "generation"
    parts: tuple[str, ...] = ("load", "interchange")
    tolerance: float = 1.5


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
        bad = enough & (spread > self.tolerance + _ROUNDING)
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
        bad = judged.filter(pl.col("spread") > self.tolerance + _ROUNDING)
        tally = Tally(judged.height, bad.height, spread.height - judged.height)
        return self._kept(scan, tally, bad["interval_start"].to_physical())

    def _kept(self, scan: Scan, tally: Tally, bad: pl.Series) -> Mapping[str, State]:
        if not tally.failed:
            return {self.title: tally}
        here = pl.col("interval_start").to_physical().is_in(bad.implode())
        rows = scan.frame.filter(here & ~pl.col("location_id").cast(pl.String).is_in(list(self.without)))
        middle = pl.col("energy").median().over(self._keys(scan))
        odd = rows.filter((pl.col("energy") - middle).abs() > (self.tolerance + _ROUNDING) / 2)
        return {self.title: tally, f"{self.title}.rows": scan.told(odd)}

    def limit(self) -> str:
        return f"spread ≤ {self.tolerance + _ROUNDING:.3g}{f' within each {self.by}' if self.by else ''}"

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
        bad = known & (np.abs(np.where(known, gap, 0.0)) > self.tolerance + _ROUNDING)
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
        bad = known & (judged["gap"].abs() > self.tolerance + _ROUNDING).fill_null(False)
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
