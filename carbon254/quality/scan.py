"""One pass over a batch or a partition: every check's terms in one select, every comparison of neighbours on one grid.

`observe` keeps what the checks and the profile need as a `PartitionState`; nothing else remembers the rows. Samples of
failing rows are looked for only where a check failed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl

from carbon254.model import dataset as dataset_named

from .check import RowCheck
from .grid import Grid, lay_out
from .partition import PartitionState
from .profile import Distinct, Moments, Quantiles, tame
from .rules import Rules
from .states import CELLS, PLACES, ROWS, Cells, Peak, Sample, State, Tally

_SHOWN_ROWS = 5
_STREAM_KEYS = ("market", "product", "market_run")


@dataclass
class Scan:
    """The rows under judgement. `span` is the partition's [start, end) where it is known; `others` are frames of other
    feeds over the same span, by topic. `repeats` counts rows that came and were dropped, equal to one that is here;
    `broken` keeps which rows fail a check that is dear to ask, by its title."""

    frame: pl.DataFrame
    rules: Rules
    span: tuple[datetime, datetime] | None = None
    others: Mapping[str, pl.DataFrame] = field(default_factory=dict)
    repeats: int = 0
    broken: dict[str, pl.Series] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        return self.frame.height

    @cached_property
    def grid(self) -> Grid | None:
        """Intervals × places; None for other datasets, frames without the columns, and hopelessly scattered rows."""
        needed = ("interval_start", "interval_end", "location_id")
        if self.rules.resolution is None or any(name not in self.frame.columns for name in needed):
            return None
        return lay_out(self.frame, self.rules.resolution, _STREAM_KEYS, "location_id")

    @cached_property
    def key(self) -> tuple[str, ...]:
        """The dataset's key, as far as the frame has it."""
        if not self.rules.dataset:
            return ()
        return tuple(name for name in dataset_named(self.rules.dataset).key if name in self.frame.columns)

    @property
    def streams(self) -> tuple[str, ...]:
        """Columns that tell streams of prices apart, as far as the frame has them."""
        return tuple(name for name in _STREAM_KEYS if name in self.frame.columns)

    @property
    def origin(self) -> int:
        """Where blocks of hours are counted from: the span's start (µs), else the start of the first day (UTC)."""
        if self.span:
            return round(self.span[0].timestamp() * 1_000_000)
        grid = self.grid
        first = int(grid.starts[0]) if grid is not None and len(grid.starts) else 0
        return first // 86_400_000_000 * 86_400_000_000

    def texts(self, column: str) -> list[str]:
        """Distinct values of a text column."""
        if column == "location_id" and self.grid is not None and self.grid.inside.all() and not self._joined:
            return self.grid.places
        return self.frame[column].cast(pl.String).drop_nulls().unique().to_list()

    @cached_property
    def _joined(self) -> bool:
        """Whether the grid's places tell more than the location."""
        return self.grid is not None and self.grid.joined

    @cached_property
    def repeated(self) -> pl.Series:
        """True for rows whose key an earlier row has."""
        likely = np.ones(self.rows, np.bool_)
        grid = self.grid
        if grid is not None and self.key == dataset_named(self.rules.dataset).key:
            likely = grid.crowded() | ~grid.inside
        at = np.flatnonzero(likely)
        found = np.zeros(self.rows, np.bool_)
        if len(at):
            first = self.frame.select(self.key)[at].select(pl.struct(self.key).is_first_distinct()).to_series()
            found[at] = ~first.to_numpy()
        return pl.Series(found)

    def sample(self, broken: pl.Expr | pl.Series) -> Sample:
        """The first failing rows in order of time and place."""
        return self.told(self.frame.filter(broken))

    def told(self, rows: pl.DataFrame) -> Sample:
        """The first of some rows in order of time and place."""
        order, told = _order(self.rules.dataset, self.frame)
        if order and rows.height > _SHOWN_ROWS:
            rows = rows.bottom_k(_SHOWN_ROWS, by=[pl.col(order[0]), *(pl.col(o).cast(pl.String) for o in order[1:])])
        shown = [*order, *(name for name in rows.columns if name not in order and name in told)]
        return Sample.first([_text(row) for row in rows.head(_SHOWN_ROWS).select(shown).to_dicts()])


def observe(
    frame: pl.DataFrame,
    rules: Rules,
    span: tuple[datetime, datetime] | None = None,
    others: Mapping[str, pl.DataFrame] | None = None,
    repeats: int = 0,
) -> PartitionState:
    """The state of the rows of one batch or partition of the rules' dataset.

    What is due, complete and usual is that of the stream's own market run; rows of the other runs of `rules.runs` are
    checked by themselves, and only what the checks found of them is kept. Times are UTC instants. Raises ValueError
    where the frame has none of the dataset's columns.
    """
    if rules.dataset and not set(frame.columns) & set(dataset_named(rules.dataset).names):
        raise ValueError(f"the frame has no column of {rules.dataset}; hand over rows as the store has them")
    beside = _of_runs(frame, rules)
    if not beside:
        return _observe(Scan(frame, rules.of_run(""), span, others or {}, repeats))
    own = frame.filter(~pl.col("market_run").cast(pl.String).is_in(list(beside)))
    state = _observe(Scan(own, rules.of_run(""), span, others or {}, repeats))
    for run, rows in beside.items():
        found = _observe(Scan(rows, replace(rules.of_run(run), profiled=(), sketched=()), span, others or {}))
        state = state.merge(PartitionState({name: kept for name, kept in found.states.items() if _found(name, kept)}))
    return state


def _of_runs(frame: pl.DataFrame, rules: Rules) -> dict[str, pl.DataFrame]:
    """Rows of the other market runs, by run; mostly there are none."""
    if not rules.runs or "market_run" not in frame.columns:
        return {}
    runs = frame["market_run"].cast(pl.String)
    return {run: frame.filter(runs == run) for run in runs.unique().sort() if run in rules.runs}


def _found(name: str, state: State) -> bool:
    """Whether a state counts what a check found, and not what was there."""
    return name != ROWS and isinstance(state, Tally | Sample)


def _observe(scan: Scan) -> PartitionState:
    frame, rules = scan.frame, scan.rules
    terms: dict[str, pl.Expr] = {}
    for check in rules.checks:
        terms |= check.terms(scan)
    answer: Mapping[str, Any] = {}
    with ThreadPoolExecutor(1) as pool:
        profile = pool.submit(_profile, scan)
        if terms:
            found = frame.lazy().select(expression.alias(name) for name, expression in terms.items()).collect()
            answer = found.row(0, named=True)
        states: dict[str, State] = {ROWS: Tally(scan.rows), **profile.result()}
    states |= _shape(scan)
    for check in rules.checks:
        states |= check.states(scan, answer)
    return PartitionState(states)


def failing(frame: pl.DataFrame, rules: Rules, check: str) -> pl.DataFrame:
    """Every row that fails the row check called `check`. Raises KeyError naming the row checks there are."""
    found = {rule.title: rule for rule in rules.checks if isinstance(rule, RowCheck)}
    if check not in found:
        raise KeyError(f"no row check {check!r}; there are: {', '.join(sorted(found))}")
    scan = Scan(frame, rules)
    rule = found[check]
    return frame.filter(rule.broken(scan)) if rule.applies(scan) else frame.clear()


def _profile(scan: Scan) -> dict[str, State]:
    """Moments of the profiled columns; histogram and distinct values too of the sketched ones."""
    frame, states = scan.frame, dict[str, State]()
    for name in scan.rules.profiled:
        if name not in frame.columns or not frame.schema[name].is_numeric():
            continue
        values = frame[name].cast(pl.Float64).drop_nulls().to_numpy()
        states[f"moments.{name}"] = Moments.measured(values, frame[name].null_count())
        if name in scan.rules.sketched:
            known = tame(values)
            states[f"quantiles.{name}"] = Quantiles.measured(known)
            states[f"distinct.{name}"] = Distinct.numbers(known)
    return states


def _shape(scan: Scan) -> dict[str, State]:
    """Filled cells of each interval, and the places."""
    grid = scan.grid
    if grid is None:
        return {}
    filled = np.count_nonzero(grid.counts, axis=1).tolist()
    cells = dict(zip(grid.starts.tolist(), filled, strict=True))
    return {
        CELLS: Cells(cells),
        PLACES: Peak(len(grid.places)),
        "distinct.location_id": Distinct.texts(grid.places),
    }


def _order(dataset: str, frame: pl.DataFrame) -> tuple[list[str], frozenset[str]]:
    """(time and place of a row, columns that are shown)."""
    if not dataset:
        return [], frozenset(frame.columns)
    kind = dataset_named(dataset)
    order = [name for name in (kind.partition, kind.place) if name in frame.columns]
    return order, frozenset(column.name for column in kind.columns if column.role in ("key", "value"))


def _text(row: Mapping[str, Any]) -> str:
    """A row as JSON; instants in ISO 8601, so that texts sort by time."""
    told = {
        name: value.isoformat() if hasattr(value, "isoformat") else value
        for name, value in row.items()
        if value is not None
    }
    return json.dumps(told, default=str)
