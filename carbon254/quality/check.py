"""What a check is: terms of the one select, states kept of its answer, and a finding made of the states.

A finding passes, fails, or is unknown: a missing component, a column that is not there or too short a history never
fails and is never taken for zero. Unknown findings count neither way in the score, and are shown.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any, ClassVar

import polars as pl

from .partition import PartitionState
from .states import Sample, State, Tally

if TYPE_CHECKING:
    from carbon254.model import Stream

    from .scan import Scan


class Verdict(StrEnum):
    passed = "passed"
    failed = "failed"
    unknown = "unknown"


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found. `value` and `limit` are in the check's own unit; counts are of what `unit` names."""

    check: str
    kind: str
    verdict: Verdict
    weight: float
    value: float | None
    limit: str
    why: str
    todo: str
    unit: str = "rows"
    judged: int = 0
    failed: int = 0
    unknown: int = 0
    rows: tuple[str, ...] = ()
    blocks: bool = True


@dataclass(frozen=True, slots=True)
class Context:
    """What the verdict needs beside the rows.

    `due` are the starts (µs since 1970) of the intervals that should be there by now, None where nobody can say;
    `fresh_by` the end of the newest interval that must have arrived; `history` earlier partitions' metrics, oldest
    first, with the fingerprints of their blocks of hours; `known_places` what the feed usually brings; `metrics` those
    of the state itself, which the judge fills in. `over` says that the partition is finished: half a day is like no
    whole one, so that likeness is not judged before.
    """

    due: Sequence[int] | None = None
    fresh_by: datetime | None = None
    history: Mapping[str, Sequence[float]] = field(default_factory=dict)
    prints: frozenset[int] = frozenset()
    known_places: int = 0
    over: bool = True
    metrics: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """A rule of one kind. Subclasses are the entries of `quality.yaml`; their fields are its parameters.

    `blocks` tells a gate to hold rows back when the check fails; checks of service and of likeness do not. Where no
    more than `hold_share` of a statement's judged rows fail, they go out with a flag: unlikely is not wrong.
    """

    kind: ClassVar[str] = ""
    unit: ClassVar[str] = "rows"
    todo: ClassVar[str] = ""
    name: str = ""
    weight: float = 1.0
    at_least: float = 1.0
    blocks: bool = True
    hold_share: float = 0.0

    @property
    def title(self) -> str:
        """The name it goes by in tables and in the stored state."""
        return self.name or self.kind

    def on(self, stream: Stream) -> Check:
        """The check as it is for a stream: what was left to the card is filled in."""
        return self

    def terms(self, scan: Scan) -> Mapping[str, pl.Expr]:
        """Aggregations that join the one select, by names that start with the title."""
        return {}

    def states(self, scan: Scan, found: Mapping[str, Any]) -> Mapping[str, State]:
        """What to keep, from the select's answer and the scan's grid."""
        return {}

    def judge(self, state: PartitionState, context: Context) -> Finding:
        """The verdict on what was kept: the share that passed against `at_least`."""
        tally = state.get(self.title, Tally)
        if not tally.judged:
            return self.finding(state, Verdict.unknown, None, self.no_answer(tally))
        share = 1.0 - tally.failed / tally.judged
        verdict = Verdict.passed if share >= self.at_least else Verdict.failed
        why = f"{tally.failed:,} of {tally.judged:,} {self.unit} {self.fault(state)}" if tally.failed else "all hold"
        return self.finding(state, verdict, share, why)

    def finding(self, state: PartitionState, verdict: Verdict, value: float | None, why: str) -> Finding:
        """A finding with the counts and rows that were kept."""
        tally = state.get(self.title, Tally)
        rows = state.get(f"{self.title}.rows", Sample).rows if verdict is not Verdict.unknown else ()
        return Finding(
            self.title, self.kind, verdict, self.weight, value, self.limit(), why,
            self.todo if verdict is Verdict.failed else "", self.unit, tally.judged, tally.failed, tally.unknown, rows,
            self.blocks,
        )  # fmt: skip

    def limit(self) -> str:
        """The bound, in words."""
        return f"≥ {self.at_least:.4g} hold"

    def fault(self, state: PartitionState) -> str:
        """What is wrong with a failing one, after "3 of 100 rows"."""
        return "fail"

    def no_answer(self, tally: Tally) -> str:
        """Why nothing could be judged."""
        return f"{tally.unknown:,} {self.unit} lack a value" if tally.unknown else f"no {self.unit} to judge"


@dataclass(frozen=True, slots=True, kw_only=True)
class RowCheck(Check):
    """A check of single rows: two conditions a row, joined into the one select."""

    def needs(self) -> tuple[str, ...]:
        """Columns without which no row can be judged."""
        return ()

    def unknown(self, scan: Scan) -> pl.Expr:
        """True for rows that cannot be judged."""
        return pl.any_horizontal(pl.col(name).is_null() for name in self.needs())

    def failed(self, scan: Scan) -> pl.Expr:
        """True for rows that fail; what it says of unknown rows does not count."""
        raise NotImplementedError

    def applies(self, scan: Scan) -> bool:
        return all(name in scan.frame.columns for name in self.needs())

    def terms(self, scan: Scan) -> Mapping[str, pl.Expr]:
        if not self.applies(scan):
            return {}
        return {f"{self.title}.unknown": _count(self.unknown(scan)), f"{self.title}.failed": _count(self._wrong(scan))}

    def broken(self, scan: Scan) -> pl.Expr | pl.Series:
        """True for rows that fail, never null."""
        return self._wrong(scan)

    def _wrong(self, scan: Scan) -> pl.Expr:
        return (self.failed(scan) & ~self.unknown(scan)).fill_null(False)

    def states(self, scan: Scan, found: Mapping[str, Any]) -> Mapping[str, State]:
        if not self.applies(scan):
            return {self.title: Tally(0, 0, scan.rows)}
        unknown, failed = found[f"{self.title}.unknown"] or 0, found[f"{self.title}.failed"] or 0
        kept: dict[str, State] = {self.title: Tally(scan.rows - unknown, failed, unknown)}
        if failed:
            kept[f"{self.title}.rows"] = scan.sample(self.broken(scan))
        return kept


def _count(rows: pl.Expr) -> pl.Expr:
    """How many rows a condition holds for; a constant condition counts for every row."""
    return pl.when(rows).then(1).otherwise(0).sum() if rows.meta.is_literal() else rows.sum()
