"""Checks of the partition as a whole: what is due and has come, how fresh it is, and how it compares with its past."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ClassVar

import polars as pl

from .check import Check, Context, Finding, Verdict
from .partition import PartitionState
from .states import CELLS, PLACES, Cells, Peak, State

if TYPE_CHECKING:
    from .scan import Scan

_MAD_TO_DEVIATION = 1.4826


@dataclass(frozen=True, slots=True, kw_only=True)
class Intervals(Check):
    """Every interval that is due by now is there, at some place."""

    kind: ClassVar[str] = "intervals"
    unit: ClassVar[str] = "intervals"
    todo: ClassVar[str] = (
        "fetch the span again: `c254 feeds run --feed … --from …`; a cut file or an hour's shift leaves such a hole"
    )

    def judge(self, state: PartitionState, context: Context) -> Finding:
        if context.due is None:
            return self.finding(state, Verdict.unknown, None, "nobody says which intervals are due")
        if not context.due:
            return self.finding(state, Verdict.unknown, None, "nothing is due yet")
        have = state.get(CELLS, Cells).by_start
        missing = [start for start in context.due if not have.get(start)]
        share = 1.0 - len(missing) / len(context.due)
        verdict = Verdict.passed if share >= self.at_least else Verdict.failed
        why = f"{len(missing)} of {len(context.due)} due intervals are missing: {holes(missing)}"
        return self.finding(
            state, verdict, share, why if missing else f"all {len(context.due)} due intervals are there"
        )

    def limit(self) -> str:
        return f"≥ {self.at_least:.4g} of those due"


@dataclass(frozen=True, slots=True, kw_only=True)
class Complete(Check):
    """Every place has a row for every interval that is due. This is the completeness of the service level."""

    kind: ClassVar[str] = "complete"
    unit: ClassVar[str] = "cells"
    todo: ClassVar[str] = "fetch the span again: `c254 feeds run --feed …`; then ask for the places that lack rows"
    at_least: float = 0.95

    def judge(self, state: PartitionState, context: Context) -> Finding:
        share = completeness(state, context)
        if share is None:
            return self.finding(state, Verdict.unknown, None, "nothing is due, or nobody says what")
        verdict = Verdict.passed if share >= self.at_least else Verdict.failed
        have, places = state.get(CELLS, Cells).total, expected_places(state, context)
        due = len(context.due or ()) * places
        return self.finding(state, verdict, share, f"{have:,} rows for {due:,} due ({places:,} places)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Places(Check):
    """As many places as the feed usually brings."""

    kind: ClassVar[str] = "places"
    unit: ClassVar[str] = "places"
    todo: ClassVar[str] = "compare with an earlier day's list: a cut file, a changed request, or places retired"
    at_least: float = 0.98
    expected: int = 0

    def judge(self, state: PartitionState, context: Context) -> Finding:
        usual, have = self.expected or context.known_places, state.get(PLACES, Peak).value
        if not usual:
            return self.finding(state, Verdict.unknown, None, f"{have:,} places; no earlier days to compare with")
        verdict = Verdict.passed if have >= self.at_least * usual else Verdict.failed
        return self.finding(state, verdict, have / usual, f"{have:,} places; usually {usual:,}")

    def limit(self) -> str:
        return f"≥ {self.at_least:.4g} of the usual"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fresh(Check):
    """The newest interval that must have arrived by now has arrived."""

    kind: ClassVar[str] = "fresh"
    unit: ClassVar[str] = "intervals"
    todo: ClassVar[str] = "see whether the provider publishes and the poller runs: `c254 status`, `c254 doctor`"
    blocks: bool = False

    def states(self, scan: Scan, found: Mapping[str, Any]) -> Mapping[str, State]:
        newest = found.get(f"{self.title}.newest")
        return {f"{self.title}.newest": Peak(max(0, newest))} if newest is not None else {}

    def terms(self, scan: Scan) -> Mapping[str, pl.Expr]:
        if "interval_end" not in scan.frame.columns:
            return {}
        return {f"{self.title}.newest": pl.col("interval_end").max().cast(pl.Datetime("us", "UTC")).to_physical()}

    def judge(self, state: PartitionState, context: Context) -> Finding:
        newest = state.get(f"{self.title}.newest", Peak).value
        if context.fresh_by is None:
            return self.finding(state, Verdict.unknown, None, "nothing must have arrived yet")
        due = round(context.fresh_by.timestamp() * 1_000_000)
        behind = max(0.0, (due - newest) / 6e7) if newest else math.inf
        told = f"newest interval ends {_minute(newest)}" if newest else "no interval has arrived"
        why = f"{told}; {_minute(due)} was due"
        return self.finding(state, Verdict.passed if newest >= due else Verdict.failed, _finite(behind), why)

    def limit(self) -> str:
        return "0 min behind the service level"


@dataclass(frozen=True, slots=True, kw_only=True)
class Anomaly(Check):
    """A metric of the partition is like those of the partitions before it (robust z, median and MAD).

    Metrics of prices are compared as asinh(x / 10), so that a heat wave counts less than a slipped unit. Unknown with
    fewer than `history` earlier partitions.
    """

    kind: ClassVar[str] = "anomaly"
    unit: ClassVar[str] = "metrics"
    todo: ClassVar[str] = "look at the day beside its neighbours; if the market did that, the data are right"
    metric: str
    above: float = 12.0
    history: int = 8
    weight: float = 0.5
    blocks: bool = False

    @property
    def title(self) -> str:
        return self.name or f"anomaly.{self.metric}"

    def judge(self, state: PartitionState, context: Context) -> Finding:
        if not context.over:
            return self.finding(state, Verdict.unknown, None, "the day is not over")
        value = context.metrics.get(self.metric)
        past = [number for number in context.history.get(self.metric, ()) if math.isfinite(number)]
        if value is None or len(past) < self.history:
            why = f"{len(past)} earlier days; {self.history} are needed" if value is not None else "no such metric"
            return self.finding(state, Verdict.unknown, None, why)
        z = robust_z(value, past)
        verdict = Verdict.passed if abs(z) <= self.above else Verdict.failed
        return self.finding(state, verdict, z, f"{value:.6g}; the median of {len(past)} days is {_median(past):.6g}")

    def limit(self) -> str:
        return f"|z| ≤ {self.above:g}"


def completeness(state: PartitionState, context: Context) -> float | None:
    """Share of the due cells that have a row; None where nothing is due."""
    if not context.due:
        return None
    due = len(context.due) * expected_places(state, context)
    have = state.get(CELLS, Cells).by_start
    filled = sum(have.get(start, 0) for start in context.due)
    return min(1.0, filled / due) if due else 0.0


def expected_places(state: PartitionState, context: Context) -> int:
    """Places a whole interval has: what came, or what usually comes."""
    return max(state.get(PLACES, Peak).value, context.known_places)


def robust_z(value: float, past: Sequence[float]) -> float:
    """Distance from the median of the past in robust standard deviations, on the scale asinh(x / 10).

    The deviation is at least a hundredth, so that a past without spread does not make a hair a mountain.
    """
    scaled = [math.asinh(number / 10.0) for number in past]
    centre = statistics.median(scaled)
    spread = _MAD_TO_DEVIATION * statistics.median([abs(number - centre) for number in scaled])
    return (math.asinh(value / 10.0) - centre) / max(spread, 0.01)


def holes(starts: Sequence[int]) -> str:
    """The first missing intervals, in words."""
    told = ", ".join(_minute(start) for start in list(starts)[:3])
    return f"{told} …" if len(starts) > 3 else told


def _median(numbers: Sequence[float]) -> float:
    return statistics.median(numbers)


def _minute(micros: int) -> str:
    return datetime.fromtimestamp(micros / 1e6, UTC).isoformat(timespec="minutes").replace("+00:00", "Z")


def _finite(number: float) -> float | None:
    return number if math.isfinite(number) else None


__all__ = ["Anomaly", "Complete", "Fresh", "Intervals", "Places", "completeness", "robust_z"]
