"""The gate: rows of a statement that contradict themselves or its format are held, before any reader sees them.

A statement is all rows of one payload, however a parser cuts them. Judged are the rules beside the feed that it can
know: checks of single rows, laws of an interval, and behaviour within it. What it cannot know (unknown) never holds a
row. A check that forgives a share of rows holds its failing ones where more fail than it forgives, and never for one
row alone. What is unlikely and contradicts nothing goes out with a flag. The split depends on nothing but the
statement, the rules and what is handed in, so that a rebuild holds the same rows.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any

import polars as pl

from carbon254.calendars import market_day_of, market_day_span
from carbon254.model import Dataset, Flag, Stream
from carbon254.quality import Context, PartitionState, Rules, Verdict
from carbon254.quality.behaviour import Frozen, Spikes, Stale, Stuck
from carbon254.quality.check import Check, RowCheck
from carbon254.quality.laws import HourlyMean, OneEnergy
from carbon254.quality.row_checks import Inside, Late, Nulls, Range, Unique
from carbon254.quality.scan import Scan
from carbon254.quality.states import Prints

from .culprits import block_of, conflicting, frozen, lone_spikes, one_energy, stale, standing

_NOT_ROWS = (Inside, Late, Unique, HourlyMean)
_SHORTEST_DAY, _LONGEST_DAY = timedelta(hours=23), timedelta(hours=25)
# Some runs come out before the hour they are for.
_SLACK = timedelta(minutes=30)
_BLOCK = timedelta(hours=6)
# Where most of a batch fails a check of rows, the rest is not to be trusted either.
_MOST = 0.5
# So many different prices do not come again by chance; fewer may be cents of a quiet night, or one cap.
_DIFFERENT = 5
_REASON, _CHECK = "_reason", "_check"


@dataclass(frozen=True, slots=True)
class Split:
    """Rows that go out, and rows that stay with `_check` and `_reason`; None where all go out.

    `prints` are fingerprints of the blocks of hours of a statement that passed whole, each with the first interval it
    is of, for later statements to be compared with.
    """

    good: pl.DataFrame
    held: pl.DataFrame | None
    prints: tuple[tuple[datetime, int], ...] = ()


@dataclass(frozen=True)
class Gate:
    """Judges statements of one market run of a stream, as they are after enrichment."""

    stream: Stream
    dataset: Dataset
    rules: Rules

    @cached_property
    def _rows(self) -> tuple[RowCheck, ...]:
        """Checks that a row alone can fail: those that block, and those that mark what is unusual."""
        return tuple(
            one
            for one in self.rules.checks
            if isinstance(one, RowCheck) and (one.blocks or isinstance(one, Range)) and not isinstance(one, _NOT_ROWS)
        )

    @cached_property
    def _intervals(self) -> tuple[Check, ...]:
        """Blocking checks of intervals and of behaviour that know which rows they are about."""
        return tuple(one for one in self.rules.checks if one.blocks and type(one) in _CULPRITS)

    @cached_property
    def _usual(self) -> tuple[float, float]:
        """Between which prices the market usually clears; at a cap they stand still, and rightly."""
        usual = [one for one in self.rules.checks if isinstance(one, Range) and one.column == "lmp" and not one.blocks]
        return max((one.min for one in usual), default=-math.inf), min((one.max for one in usual), default=math.inf)

    @cached_property
    def _unique(self) -> bool:
        return any(isinstance(one, Unique) and one.blocks for one in self.rules.checks)

    def spans_blocks(self, frame: pl.DataFrame) -> bool:
        """Whether a statement is long enough to have fingerprints worth comparing with those of other days."""
        if self._stale is None or not frame.height:
            return False
        first, last = frame["interval_start"].min(), frame["interval_end"].max()
        return isinstance(first, datetime) and isinstance(last, datetime) and last - first >= _BLOCK

    def split(self, frame: pl.DataFrame, received_at: datetime, earlier: frozenset[int] | None = None) -> Split:
        """Part a statement. `received_at` is the arrival of its payload; `earlier` fingerprints that earlier payloads
        brought for other days, None where it has none to compare."""
        if not frame.height:
            return Split(frame, None)
        scan = Scan(frame, self.rules)
        prints = self._prints(scan) if earlier is not None else []
        found = _Found(scan.rows)
        self._row_faults(scan, found)
        if self.dataset.name == "interval_prices":
            self._time_faults(scan, received_at, found)
            self._interval_faults(scan, earlier or frozenset(), found)
        good, held = found.parted(frame)
        fresh = () if held is not None else tuple(pair for pair in prints if pair[1] not in (earlier or ()))
        return Split(good, held, fresh)

    @cached_property
    def _stale(self) -> Stale | None:
        return next((one for one in self._intervals if isinstance(one, Stale)), None)

    def _prints(self, scan: Scan) -> list[tuple[datetime, int]]:
        if self._stale is None or scan.grid is None:
            return []
        state, starts = PartitionState(dict(self._stale.states(scan, {}))), scan.grid.starts
        by_block = state.get(f"{self._stale.title}.prints", Prints).by_block
        firsts = starts[starts.searchsorted(list(by_block))].tolist()
        return list(zip(map(_instant, firsts), by_block.values(), strict=True))

    def _row_faults(self, scan: Scan, found: _Found) -> None:
        terms: dict[str, pl.Expr] = {}
        checks = [one for one in self._rows if one.applies(scan)]
        for one in checks:
            terms |= {name: term for name, term in one.terms(scan).items() if name.endswith((".failed", ".unknown"))}
        if not terms:
            return
        counted: Mapping[str, Any] = scan.frame.select(term.alias(name) for name, term in terms.items()).row(
            0, named=True
        )
        for one in checks:
            failed, judged = counted[f"{one.title}.failed"] or 0, scan.rows - (counted[f"{one.title}.unknown"] or 0)
            if not failed:
                continue
            bad = scan.frame.select(_expression(one.broken(scan)).alias("bad"))["bad"]
            if one.blocks and failed > max(forgiven(one.at_least, judged), one.hold_share * judged):
                # What slipped for most has slipped for all.
                most = failed > _MOST * judged
                told = f"the row is among those that {one.fault(PartitionState())} ({one.limit()})"
                found.hold(one.title, told, pl.repeat(True, scan.rows, dtype=pl.Boolean, eager=True) if most else bad)
            elif not isinstance(one, Nulls):
                found.flag(bad)

    def _time_faults(self, scan: Scan, received_at: datetime, found: _Found) -> None:
        """Prices of a real-time run from beyond its reach, and whole days that do not begin with a market day."""
        stream, start = self.stream, scan.frame["interval_start"]
        if stream.publication.anchor == "interval_end":
            reach = received_at + max(stream.span, stream.resolution, stream.horizon) + _SLACK
            ahead = (start > reach).fill_null(False)
            found.hold("ahead", "the interval begins after the payload came: a shifted hour", ahead)
            return
        if not (stream.complete and stream.span >= timedelta(days=1)):
            return
        starts = start.unique().sort()
        if len(starts) * stream.resolution < _SHORTEST_DAY or starts[-1] - starts[0] > _LONGEST_DAY:
            return
        if market_day_span(market_day_of(starts[0], stream.clock), stream.clock)[0] == starts[0]:
            return
        why = "a whole day of intervals that does not begin with a market day: a shifted hour"
        found.hold("aligned", why, pl.repeat(True, scan.rows, dtype=pl.Boolean, eager=True))

    def _interval_faults(self, scan: Scan, earlier: frozenset[int], found: _Found) -> None:
        if self._unique and bool(scan.repeated.any()):
            bad = conflicting(scan.frame, self.dataset)
            found.hold("unique", "the payload has this key twice with different values", bad)
        alone = scan.grid is None or len(scan.grid.starts) < 2
        for one in self._intervals:
            if alone and not isinstance(one, OneEnergy):
                continue
            finding = one.judge(PartitionState(dict(one.states(scan, {}))), Context(prints=earlier))
            failed = finding.verdict is Verdict.failed
            if not failed and not finding.failed:
                continue
            bad = stale(one, scan, earlier) if isinstance(one, Stale) else _CULPRITS[type(one)](one, scan)
            sure = bad & self._contradicts(one, scan) if failed else pl.repeat(False, scan.rows, eager=True)
            found.hold(one.title, f"{finding.why} ({finding.limit})", sure)
            found.flag(bad)

    def _contradicts(self, check: Check, scan: Scan) -> pl.Series:
        """Rows that chance and the market's own rules cannot have made so: only they are held."""
        if isinstance(check, Spikes):
            return lone_spikes(replace(check, above=check.hold_above), scan)
        if isinstance(check, Frozen):
            return scan.frame.select(_told(check.column, pl.col("interval_start")).alias("sure"))["sure"]
        if isinstance(check, Stale):
            return scan.frame.select(_told(check.column, block_of(scan)).alias("sure"))["sure"]
        if isinstance(check, Stuck):
            low, high = self._usual
            return ((scan.frame[check.column] > low) & (scan.frame[check.column] < high)).fill_null(False)
        return pl.repeat(True, scan.rows, eager=True)


class _Found:
    """What is wrong with which rows of a statement: the first fault of a row is the one it is held for."""

    def __init__(self, rows: int) -> None:
        self._odd = pl.repeat(False, rows, dtype=pl.Boolean, eager=True)
        self._faults: list[tuple[str, str, pl.Series]] = []

    def hold(self, title: str, told: str, bad: pl.Series) -> None:
        """Rows that stay."""
        if bad.any():
            self._faults.append((title, told, bad))

    def flag(self, odd: pl.Series) -> None:
        """Rows that go out with a flag, unless something else holds them."""
        self._odd |= odd

    def parted(self, frame: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame | None]:
        """(rows that go out, rows that stay with `_check` and `_reason` or None)."""
        if "flags" in frame.columns and self._odd.any():
            odd = pl.when(self._odd).then(pl.lit(Flag.IMPLAUSIBLE.value)).otherwise(0).cast(pl.UInt32)
            frame = frame.with_columns((pl.col("flags") | odd).alias("flags"))
        if not self._faults:
            return frame, None
        check, reason = pl.lit(None, pl.String), pl.lit(None, pl.String)
        for title, told, bad in reversed(self._faults):
            check = pl.when(bad).then(pl.lit(title)).otherwise(check)
            reason = pl.when(bad).then(pl.lit(told)).otherwise(reason)
        marked = frame.with_columns(check.alias(_CHECK), reason.alias(_REASON))
        held = marked.filter(pl.col(_CHECK).is_not_null())
        return marked.filter(pl.col(_CHECK).is_null()).drop(_CHECK, _REASON), held


def _told(column: str, group: pl.Expr | pl.Series) -> pl.Expr:
    """True for rows of groups with as many different prices as chance does not repeat."""
    price = pl.when(pl.col(column).is_finite()).then(column)
    return price.n_unique().over(_expression(group)) >= _DIFFERENT


def _instant(micros: int) -> datetime:
    return datetime.fromtimestamp(micros / 1e6, UTC)


def _expression(rows: pl.Expr | pl.Series) -> pl.Expr:
    return pl.lit(rows) if isinstance(rows, pl.Series) else rows


def forgiven(at_least: float, judged: int) -> float:
    """Failing rows that a check forgives among `judged` rows: a share, and then always one."""
    return 0 if at_least >= 1.0 else max(1.0, (1.0 - at_least) * judged)


_CULPRITS: Mapping[type[Check], Any] = {
    OneEnergy: one_energy,
    Frozen: frozen,
    Stuck: standing,
    Spikes: lone_spikes,
    Stale: stale,
}

__all__ = ["Gate", "Split", "forgiven"]
