"""The gate: rows of a batch that fail a blocking check are held, before any reader sees them.

Judged are the rules beside the feed that a batch can know: checks of single rows, laws of an interval, and behaviour
within the batch. What the batch cannot know (unknown) never holds a row. A check that forgives a share of rows holds
its failing ones where more of the batch fail than it forgives, and never for one row alone. The split depends on
nothing but the batch, the rules and what is handed in, so that a rebuild holds the same rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

import polars as pl

from carbon254.calendars import market_day_of, market_day_span
from carbon254.model import Dataset, Stream
from carbon254.quality import Context, PartitionState, Rules, Verdict
from carbon254.quality.behaviour import Frozen, Spikes, Stale, Stuck
from carbon254.quality.check import Check, RowCheck
from carbon254.quality.laws import HourlyMean, OneEnergy
from carbon254.quality.row_checks import Inside, Late, Unique
from carbon254.quality.scan import Scan
from carbon254.quality.states import Prints

from .culprits import conflicting, frozen, lone_spikes, one_energy, stale, standing

_NOT_ROWS = (Inside, Late, Unique, HourlyMean)
_SHORTEST_DAY, _LONGEST_DAY = timedelta(hours=23), timedelta(hours=25)
# Some runs come out before the hour they are for.
_SLACK = timedelta(minutes=30)
_BLOCK = timedelta(hours=6)
# Where most of a batch fails a check of rows, the rest is not to be trusted either.
_MOST = 0.5
_REASON, _CHECK = "_reason", "_check"


@dataclass(frozen=True, slots=True)
class Split:
    """Rows that go out, and rows that stay with `_check` and `_reason`; None where all go out.

    `prints` are fingerprints of the blocks of hours of a batch that passed whole, for later ones to be compared with.
    """

    good: pl.DataFrame
    held: pl.DataFrame | None
    prints: tuple[int, ...] = ()


@dataclass(frozen=True)
class Gate:
    """Judges batches of one market run of a stream, as they are after enrichment."""

    stream: Stream
    dataset: Dataset
    rules: Rules

    @cached_property
    def _rows(self) -> tuple[RowCheck, ...]:
        """Blocking checks that a row alone can fail."""
        return tuple(
            one
            for one in self.rules.checks
            if isinstance(one, RowCheck) and one.blocks and not isinstance(one, _NOT_ROWS)
        )

    @cached_property
    def _intervals(self) -> tuple[Check, ...]:
        """Blocking checks of intervals and of behaviour that know which rows they are about."""
        return tuple(one for one in self.rules.checks if one.blocks and type(one) in _CULPRITS)

    @cached_property
    def _unique(self) -> bool:
        return any(isinstance(one, Unique) and one.blocks for one in self.rules.checks)

    def spans_blocks(self, frame: pl.DataFrame) -> bool:
        """Whether a batch is long enough to have fingerprints worth comparing with those of other days."""
        if self._stale is None or not frame.height:
            return False
        first, last = frame["interval_start"].min(), frame["interval_end"].max()
        return isinstance(first, datetime) and isinstance(last, datetime) and last - first >= _BLOCK

    def split(self, frame: pl.DataFrame, received_at: datetime, earlier: frozenset[int] | None = None) -> Split:
        """Part a batch. `received_at` is the arrival of its payload; `earlier` fingerprints that earlier payloads
        brought for other days, None where the batch has none to compare."""
        if not frame.height:
            return Split(frame, None)
        scan = Scan(frame, self.rules)
        prints = self._prints(scan) if earlier is not None else {}
        faults = [*self._row_faults(scan)]
        if self.dataset.name == "interval_prices":
            faults += [*self._time_faults(scan, received_at), *self._interval_faults(scan, earlier or frozenset())]
        fresh = tuple(one for one in prints.values() if one not in (earlier or ()))
        if not faults:
            return Split(frame, None, fresh)
        check, reason = pl.lit(None, pl.String), pl.lit(None, pl.String)
        for title, told, bad in reversed(faults):
            check = pl.when(bad).then(pl.lit(title)).otherwise(check)
            reason = pl.when(bad).then(pl.lit(told)).otherwise(reason)
        marked = frame.with_columns(check.alias(_CHECK), reason.alias(_REASON))
        held = marked.filter(pl.col(_CHECK).is_not_null())
        if not held.height:
            return Split(frame, None, fresh)
        return Split(marked.filter(pl.col(_CHECK).is_null()).drop(_CHECK, _REASON), held)

    @cached_property
    def _stale(self) -> Stale | None:
        return next((one for one in self._intervals if isinstance(one, Stale)), None)

    def _prints(self, scan: Scan) -> Mapping[int, int]:
        if self._stale is None:
            return {}
        state = PartitionState(dict(self._stale.states(scan, {})))
        return state.get(f"{self._stale.title}.prints", Prints).by_block

    def _row_faults(self, scan: Scan) -> list[tuple[str, str, pl.Series]]:
        terms: dict[str, pl.Expr] = {}
        checks = [one for one in self._rows if one.applies(scan)]
        for one in checks:
            terms |= {name: term for name, term in one.terms(scan).items() if name.endswith((".failed", ".unknown"))}
        if not terms:
            return []
        counted: Mapping[str, Any] = scan.frame.select(term.alias(name) for name, term in terms.items()).row(
            0, named=True
        )
        faults = []
        for one in checks:
            failed, unknown = counted[f"{one.title}.failed"] or 0, counted[f"{one.title}.unknown"] or 0
            if failed > forgiven(one.at_least, scan.rows - unknown):
                bad = self._broken(one, scan, failed, scan.rows - unknown)
                faults.append(
                    (one.title, f"the row is among those that {one.fault(PartitionState())} ({one.limit()})", bad)
                )
        return faults

    def _broken(self, check: RowCheck, scan: Scan, failed: int, judged: int) -> pl.Series:
        """The rows that fail; all of them where most do: what slipped for most has slipped for all."""
        if failed > _MOST * judged:
            return pl.repeat(True, scan.rows, dtype=pl.Boolean, eager=True)
        return scan.frame.select(_expression(check.broken(scan)).alias("bad"))["bad"]

    def _time_faults(self, scan: Scan, received_at: datetime) -> list[tuple[str, str, pl.Series]]:
        """Prices of a real-time run from beyond its reach, and whole days that do not begin with a market day."""
        stream, start = self.stream, scan.frame["interval_start"]
        if stream.publication.anchor == "interval_end":
            reach = received_at + max(stream.span, stream.resolution, stream.horizon) + _SLACK
            ahead = (start > reach).fill_null(False)
            return (
                [("ahead", "the interval begins after the payload came: a shifted hour", ahead)] if ahead.any() else []
            )
        if not (stream.complete and stream.span >= timedelta(days=1)):
            return []
        starts = start.unique().sort()
        if len(starts) * stream.resolution < _SHORTEST_DAY or starts[-1] - starts[0] > _LONGEST_DAY:
            return []
        if market_day_span(market_day_of(starts[0], stream.clock), stream.clock)[0] == starts[0]:
            return []
        why = "a whole day of intervals that does not begin with a market day: a shifted hour"
        return [("aligned", why, pl.repeat(True, scan.rows, dtype=pl.Boolean, eager=True))]

    def _interval_faults(self, scan: Scan, earlier: frozenset[int]) -> list[tuple[str, str, pl.Series]]:
        faults = []
        if self._unique and bool(scan.repeated.any()):
            bad = conflicting(scan.frame, self.dataset)
            if bad.any():
                faults.append(("unique", "the payload has this key twice with different values", bad))
        alone = scan.grid is None or len(scan.grid.starts) < 2
        for one in self._intervals:
            if alone and not isinstance(one, OneEnergy):
                continue
            finding = one.judge(PartitionState(dict(one.states(scan, {}))), Context(prints=earlier))
            if finding.verdict is not Verdict.failed:
                continue
            bad = stale(one, scan, earlier) if isinstance(one, Stale) else _CULPRITS[type(one)](one, scan)
            if bad.any():
                faults.append((one.title, f"{finding.why} ({finding.limit})", bad))
        return faults


def _expression(rows: pl.Expr | pl.Series) -> pl.Expr:
    return pl.lit(rows) if isinstance(rows, pl.Series) else rows


def forgiven(at_least: float, judged: int) -> float:
    """Failing rows that a check forgives in a batch of `judged` rows: a share, and then always one."""
    return 0 if at_least >= 1.0 else max(1.0, (1.0 - at_least) * judged)


_CULPRITS: Mapping[type[Check], Any] = {
    OneEnergy: one_energy,
    Frozen: frozen,
    Stuck: standing,
    Spikes: lone_spikes,
    Stale: stale,
}

__all__ = ["Gate", "Split", "forgiven"]
