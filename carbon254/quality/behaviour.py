"""Checks of how prices move: places that stand still, feeds that freeze, lone spikes, old blocks published again."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import polars as pl
from numpy.typing import NDArray

from .check import Check, Context, Finding, Verdict
from .partition import PartitionState
from .profile import Floats
from .states import Prints, Sample, State, Tally

if TYPE_CHECKING:
    from .grid import Grid
    from .scan import Scan

_BLOCK = timedelta(hours=6)
_FEWEST = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Stuck(Check):
    """No place keeps one price for `hours` while others move. Prices in `ignoring` may stand (curtailment at zero)."""

    kind: ClassVar[str] = "stuck"
    unit: ClassVar[str] = "locations"
    todo: ClassVar[str] = "see the places: a dead meter or a default value; ask the provider, keep them out meanwhile"
    column: str = "lmp"
    hours: float = 6.0
    ignoring: tuple[float, ...] = (0.0,)

    def states(self, scan: Scan, found: Mapping[str, Any]) -> Mapping[str, State]:
        grid = scan.grid
        if grid is None or self.column not in scan.frame.columns:
            return {self.title: Tally()}
        limit = max(_FEWEST, round(self.hours * 3_600_000_000 / grid.step))
        longest, until = self._runs(grid)
        moved = grid.shape[1] > 1 and not (longest >= limit).all()
        bad = np.flatnonzero((longest >= limit) & moved)
        judged = grid.shape[1] if grid.shape[0] >= limit else 0
        kept: dict[str, State] = {self.title: Tally(judged, len(bad), grid.shape[1] - judged)}
        if len(bad):
            values = grid.matrix(self.column)
            kept[f"{self.title}.rows"] = Sample.first(
                [_stood(grid, int(place), int(until[place]), int(longest[place]), values) for place in bad]
            )
        return kept

    def _runs(self, grid: Grid) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """(length of each place's longest run of one price, the interval it ended in)."""
        values, width = grid.matrix(self.column), grid.shape[1]
        run = np.zeros(width, np.int64)
        longest, until = np.zeros(width, np.int64), np.zeros(width, np.int64)
        for row in range(len(grid.starts)):
            present = np.isfinite(values[row])
            for ignored in self.ignoring:
                present &= values[row] != ignored
            same = (values[row] == values[row - 1]) & present if row and grid.adjacent[row] else np.zeros(width, bool)
            run = np.where(same, run + 1, present)
            longer = run > longest
            if longer.any():
                longest[longer], until[longer] = run[longer], row
        return longest, until

    def limit(self) -> str:
        return f"no price for {self.hours:g} h"

    def no_answer(self, tally: Tally) -> str:
        return f"less than {self.hours:g} h of prices"

    def fault(self, state: PartitionState) -> str:
        return f"kept one price for {self.hours:g} h or more"


@dataclass(frozen=True, slots=True, kw_only=True)
class Frozen(Check):
    """The feed does not repeat the interval before, at every place, for `minutes` on end."""

    kind: ClassVar[str] = "frozen"
    unit: ClassVar[str] = "intervals"
    todo: ClassVar[str] = "the provider repeats its last answer: refetch the span, and wait before you use it"
    column: str = "lmp"
    minutes: float = 30.0

    def states(self, scan: Scan, found: Mapping[str, Any]) -> Mapping[str, State]:
        grid = scan.grid
        if grid is None or self.column not in scan.frame.columns or len(grid.starts) < 2:
            return {self.title: Tally()}
        limit = max(_FEWEST, round(self.minutes * 60_000_000 / grid.step))
        repeats = self._repeats(grid)
        ends = np.flatnonzero(np.diff(np.concatenate([[False], repeats, [False]]).astype(np.int8)))
        bad = np.zeros(len(repeats), bool)
        for first, after in zip(ends[::2], ends[1::2], strict=True):
            bad[first:after] = after - first >= limit
        judged = int(np.count_nonzero(grid.adjacent))
        kept: dict[str, State] = {self.title: Tally(judged, int(bad.sum()), len(grid.starts) - judged)}
        if bad.any():
            here = pl.col("interval_start").to_physical().is_in(pl.Series(grid.starts[bad]).implode())
            kept[f"{self.title}.rows"] = scan.sample(here)
        return kept

    def _repeats(self, grid: Grid) -> NDArray[np.bool_]:
        """Whether an interval has the prices of the one before it, at every place; one without any price has not."""
        values = grid.matrix(self.column)
        found = np.zeros(len(grid.starts), bool)
        # Few intervals survive the look at the first place with a price.
        likely = grid.adjacent.copy()
        some = np.isfinite(values)
        for row in np.flatnonzero(likely):
            known = some[row]
            first = int(known.argmax()) if known.any() else -1
            if first >= 0 and values[row, first] == values[row - 1, first]:
                found[row] = bool(
                    (known == some[row - 1]).all() and (values[row][known] == values[row - 1][known]).all()
                )
        return found

    def limit(self) -> str:
        return f"no repeat for {self.minutes:g} min"

    def fault(self, state: PartitionState) -> str:
        return "repeat the one before at every place"


@dataclass(frozen=True, slots=True, kw_only=True)
class Spikes(Check):
    """No place jumps away for one interval and back, by `above`, while the middle of the market stays.

    A gate holds jumps by more than `hold_above`, wider than prices of the market go; smaller ones happen.
    """

    kind: ClassVar[str] = "spikes"
    unit: ClassVar[str] = "cells"
    todo: ClassVar[str] = "see the rows: a true constraint lasts and has congestion; a lone figure is mostly a misprint"
    column: str = "lmp"
    above: float = 500.0
    hold_above: float = 2_500.0
    at_least: float = 0.9995

    def states(self, scan: Scan, found: Mapping[str, Any]) -> Mapping[str, State]:
        grid = scan.grid
        if grid is None or self.column not in scan.frame.columns:
            return {self.title: Tally()}
        values = grid.matrix(self.column)
        judged, bad = 0, np.zeros(grid.shape, bool)
        rows = [row for row in range(1, len(grid.starts) - 1) if grid.adjacent[row] and grid.adjacent[row + 1]]
        for row in rows:
            count, lone = self._lone(values[row - 1], values[row], values[row + 1])
            judged += count
            bad[row] = lone
        tally = Tally(judged, int(bad.sum()), int(grid.shape[0] * grid.shape[1] - judged))
        if not tally.failed:
            return {self.title: tally}
        at = pl.Series(grid.inside & bad.reshape(-1)[grid.cell])
        return {self.title: tally, f"{self.title}.rows": scan.sample(at)}

    def _lone(self, before: Floats, here: Floats, after: Floats) -> tuple[int, NDArray[np.bool_]]:
        with np.errstate(invalid="ignore"):
            rise, fall = here - before, here - after
            known = np.isfinite(rise + fall)
            lone = (np.abs(rise) > self.above) & (np.abs(fall) > self.above) & (np.signbit(rise) == np.signbit(fall))
            lone &= known
            if lone.any():
                # When the whole market jumps, its middle jumps too.
                lone &= np.abs(rise - np.median(rise[known])) > self.above
        return int(np.count_nonzero(known)), lone

    def limit(self) -> str:
        return f"lone jumps ≤ {self.above:g} for ≥ {self.at_least:.5g}"

    def fault(self, state: PartitionState) -> str:
        return f"jump by more than {self.above:g} and back"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stale(Check):
    """No block of six hours brings the prices of another block again: an old file under a new date."""

    kind: ClassVar[str] = "stale"
    unit: ClassVar[str] = "blocks"
    todo: ClassVar[str] = "the provider published old prices under a new date: refetch, and keep the day out meanwhile"
    column: str = "lmp"

    def states(self, scan: Scan, found: Mapping[str, Any]) -> Mapping[str, State]:
        grid = scan.grid
        if grid is None or self.column not in scan.frame.columns:
            return {}
        step = _BLOCK // timedelta(microseconds=1)
        return {f"{self.title}.prints": Prints(grid.fingerprints(self.column, step, scan.origin))}

    def judge(self, state: PartitionState, context: Context) -> Finding:
        mine = state.get(f"{self.title}.prints", Prints).by_block
        if not mine:
            return self.finding(state, Verdict.unknown, None, "no six hours of differing prices")
        seen, old = set(context.prints), []
        for block, print_ in sorted(mine.items()):
            if print_ in seen:
                old.append(block)
            seen.add(print_)
        share = 1.0 - len(old) / len(mine)
        why = f"{len(old)} of {len(mine)} blocks repeat earlier prices: {_moments(old)}" if old else "no block repeats"
        return self.finding(state, Verdict.failed if old else Verdict.passed, share, why)

    def limit(self) -> str:
        return "no block seen before"


def _stood(grid: Grid, place: int, until: int, length: int, values: Floats) -> str:
    since, to = int(grid.starts[until - length + 1]), int(grid.starts[until]) + grid.step
    told = f"{_moment(since)} … {_moment(to)}, {length} intervals at {values[until, place]:g}"
    return json.dumps({"location_id": grid.places[place], "stood": told})


def _moment(micros: int) -> str:
    return datetime.fromtimestamp(micros / 1e6, UTC).isoformat(timespec="minutes").replace("+00:00", "Z")


def _moments(blocks: Iterable[int]) -> str:
    return ", ".join(_moment(block) for block in list(blocks)[:3])
