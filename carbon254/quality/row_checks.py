"""Checks of single rows: in range, present, well formed, on time."""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import polars as pl

from carbon254.model import Flag

from .check import RowCheck
from .partition import PartitionState
from .states import State, Tally

if TYPE_CHECKING:
    from .scan import Scan


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnCheck(RowCheck):
    """A check of one column, which goes by the column's name unless it has one of its own."""

    column: str

    @property
    def title(self) -> str:
        return self.name or f"{self.kind}.{self.column}"

    def needs(self) -> tuple[str, ...]:
        return (self.column,)


@dataclass(frozen=True, slots=True, kw_only=True)
class Range(ColumnCheck):
    """A number lies in [min, max]; NaN and infinities do not."""

    kind: ClassVar[str] = "range"
    todo: ClassVar[str] = "look at the payload: a unit slip, a shifted column or a true extreme; widen the rule if true"
    min: float = -math.inf
    max: float = math.inf

    def failed(self, scan: Scan) -> pl.Expr:
        # Infinite bounds stop at the largest number; NaN is above every number.
        low, high = max(self.min, -sys.float_info.max), min(self.max, sys.float_info.max)
        return ~pl.col(self.column).cast(pl.Float64).is_between(low, high)

    def limit(self) -> str:
        return f"{self.min:g} … {self.max:g} for ≥ {self.at_least:.4g}"

    def fault(self, state: PartitionState) -> str:
        return f"have {self.column} outside {self.min:g} … {self.max:g}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Nulls(ColumnCheck):
    """A column has a value: neither null nor NaN."""

    kind: ClassVar[str] = "nulls"
    todo: ClassVar[str] = "look at the rejects and the payload; a renamed column or an unfinished file leaves holes"
    at_least: float = 0.95

    def unknown(self, scan: Scan) -> pl.Expr:
        return pl.lit(False)

    def failed(self, scan: Scan) -> pl.Expr:
        empty = pl.col(self.column).is_null()
        if scan.frame.schema[self.column].is_float():
            return empty | pl.col(self.column).is_nan()
        return empty

    def fault(self, state: PartitionState) -> str:
        return f"have no {self.column}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Matches(ColumnCheck):
    """A text matches a pattern from its start to its end."""

    kind: ClassVar[str] = "matches"
    todo: ClassVar[str] = "look at the payload: a shifted column or another encoding; mend the pattern if names changed"
    pattern: str
    # A shifted column is shifted in a whole file; a single name may be new.
    hold_share: float = 0.5

    def __post_init__(self) -> None:
        try:
            re.compile(self.pattern)
        except re.error as error:
            raise ValueError(f"pattern {self.pattern!r} is no regular expression: {error}") from None

    def failed(self, scan: Scan) -> pl.Expr:
        return pl.col(self.column).is_in(pl.lit(pl.Series(self._misfits(scan), dtype=pl.String)).implode())

    def terms(self, scan: Scan) -> Mapping[str, pl.Expr]:
        if not self.applies(scan):
            return {}
        unknown = self.unknown(scan).sum().alias(f"{self.title}.unknown")
        fail = self._wrong(scan).sum() if self._misfits(scan) else pl.lit(0)
        return {f"{self.title}.unknown": unknown, f"{self.title}.failed": fail}

    def _misfits(self, scan: Scan) -> list[str]:
        """Distinct values that do not match: there are few, so that rows need no regular expression."""
        whole = re.compile(rf"(?:{self.pattern})\Z")
        return [text for text in scan.texts(self.column) if not whole.match(text)]

    def fault(self, state: PartitionState) -> str:
        return f"have a {self.column} unlike {self.pattern}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Late(RowCheck):
    """A row arrived within the stream's service level, as its flags say.

    Rows of a backfill (a payload that also brought intervals whose known_at is assumed) say nothing of it: unknown.
    """

    kind: ClassVar[str] = "late"
    todo: ClassVar[str] = "compare received_at with the card's publication delay; ask the provider or poll more often"
    at_least: float = 0.95
    blocks: bool = False

    def needs(self) -> tuple[str, ...]:
        return ("flags",)

    def unknown(self, scan: Scan) -> pl.Expr:
        unflagged = pl.col("flags").is_null()
        if not {"known_basis", "received_at"} <= set(scan.frame.columns):
            return unflagged
        assumed = scan.frame.filter((pl.col("known_basis") == "assumed").fill_null(False))
        if not assumed.height:
            return unflagged
        backfills = assumed["received_at"].drop_nulls().unique()
        return unflagged | pl.col("received_at").is_in(backfills.implode()).fill_null(False)

    def no_answer(self, tally: Tally) -> str:
        return "every row came in a backfill" if tally.unknown else "no rows to judge"

    def failed(self, scan: Scan) -> pl.Expr:
        return (pl.col("flags") & Flag.LATE.value) != 0

    def fault(self, state: PartitionState) -> str:
        return "arrived late"


@dataclass(frozen=True, slots=True, kw_only=True)
class Inside(RowCheck):
    """A row's interval lies in the span that was asked for, on the market's own clock."""

    kind: ClassVar[str] = "inside"
    todo: ClassVar[str] = "check the card's label and clock: an interval outside the day is mostly an hour off"

    def needs(self) -> tuple[str, ...]:
        return ("interval_start", "interval_end")

    def failed(self, scan: Scan) -> pl.Expr:
        if scan.span is None:
            return pl.lit(False)
        start, end = scan.span
        return (pl.col("interval_start") < start) | (pl.col("interval_end") > end)

    def unknown(self, scan: Scan) -> pl.Expr:
        if scan.span is None:
            return pl.lit(True)
        return pl.any_horizontal(pl.col(name).is_null() for name in self.needs())

    def fault(self, state: PartitionState) -> str:
        return "lie outside the span"


@dataclass(frozen=True, slots=True, kw_only=True)
class Unique(RowCheck):
    """No key comes twice. The second and later rows of a key fail."""

    kind: ClassVar[str] = "unique"
    todo: ClassVar[str] = "a payload repeats rows: see whether they agree; if not, the provider's revision is missing"
    at_least: float = 0.99

    def applies(self, scan: Scan) -> bool:
        return bool(scan.key)

    def terms(self, scan: Scan) -> Mapping[str, pl.Expr]:
        return {}

    def broken(self, scan: Scan) -> pl.Series:
        return scan.repeated

    def states(self, scan: Scan, found: Mapping[str, Any]) -> Mapping[str, State]:
        if not self.applies(scan):
            return {self.title: Tally(0, 0, scan.rows)}
        repeated = int(scan.repeated.sum())
        kept: dict[str, State] = {self.title: Tally(scan.rows + scan.repeats, repeated + scan.repeats)}
        if repeated:
            kept[f"{self.title}.rows"] = scan.sample(scan.repeated)
        return kept

    def fault(self, state: PartitionState) -> str:
        return "repeat a key"
