"""The identity law: a price is the sum of its parts, within what rounding leaves; and balances, which are of its kind.

A missing part makes it unknown for that row: never failed, never zero.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar

import polars as pl

from carbon254.model import Flag, Stream

from .check import RowCheck
from .partition import PartitionState
from .rounding import ENOUGH, FLOAT_ERROR, units_of
from .states import State, Tally

if TYPE_CHECKING:
    from .scan import Scan


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
        if self.most and known >= ENOUGH and isinstance(worst, float) and worst > FLOAT_ERROR:
            units = units_of(scan.frame.filter(gap["gap"].is_not_null()), self.needs(), max(self.most, self.step))
            least, leave = units.least + FLOAT_ERROR, units.leave() + FLOAT_ERROR
        off = (gap["gap"] > least).fill_null(False)
        if leave is None or not off.any():
            return off
        asked = scan.frame.with_columns(gap).filter(off).select("_at", bad=pl.col("gap") > leave)
        return gap["_at"].is_in(asked.filter("bad")["_at"].implode())

    @property
    def allowed(self) -> float:
        """The tolerance of a short statement, in the price's unit."""
        return (half_units(self.decimals) or self.tolerance or self._numbers * self.step / 2) + FLOAT_ERROR

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
        return max(self.allowed, self._numbers * self.most / 2 + FLOAT_ERROR)

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
