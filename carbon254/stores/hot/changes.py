"""Which market days rows were brought to, and in which order: told before the first row of a batch is stored.

A row per run and market day (ticks: hour), with the highest `sequence`, the span of starts that were brought, and
whether anything was brought again. Sealed bars count while no later change is told (see `bars.py`); days that nobody
revised need no sorting by version. A change whose rows never came costs a seal and nothing else.

Days come from `carbon254.calendars` by the clocks of the cards (table `bar_runs`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import timedelta
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa

from carbon254.calendars import day_end, day_of, day_start
from carbon254.faults import reach
from carbon254.model import Dataset, catalogue
from carbon254.model.bars import WIDTHS, BarRun

from .bars import CHANGES, SEALED, SPANS, VIEW
from .ddl import SETTINGS, TABLES, column_definition
from .literal import literal

_MOMENT = "DateTime64(6, 'UTC')"
_NAME = "LowCardinality(String)"
RUNS = f"{TABLES}.bar_runs"
_KEY = ["market", "market_run", "grain", "starts", "ends", "day"]
_GRID = 64
Command = Callable[[str], Any]
Fetch = Callable[[str], pa.Table]


class Changes:
    """The changes of one store. Calls about one dataset come one after the other: its writer holds a lock."""

    def __init__(self, command: Command, fetch: Fetch, shared: bool) -> None:
        """`shared`: other processes write, too, so that no batch is known to be the first of its rows."""
        self._command, self._fetch, self._shared = command, fetch, shared
        self._runs: dict[tuple[str, str], tuple[str, int]] = {}

    def lay_out(self, runs: Sequence[BarRun] | None) -> None:
        """Make the tables; where the runs are others than before, or days of stored rows are not told, all days are
        told again and no seal counts. Without `runs` those of the store stand. Safe to repeat, also after a crash."""
        self._create()
        if runs is not None and self._mark() != (mark := _mark(runs)):
            self._begin(runs, mark)
        found = self._fetch(f"SELECT market, market_run, clock, resolution FROM {RUNS}").to_pylist()
        self._runs = {(row["market"], row["market_run"]): (row["clock"], row["resolution"]) for row in found}

    def _create(self) -> None:
        settings = ", ".join(f"{name} = {value}" for name, value in SETTINGS.items() if "dedup" not in name)
        make = "CREATE TABLE IF NOT EXISTS"
        self._command(
            f"{make} {RUNS} (market {_NAME}, market_run {_NAME}, clock {_NAME}, resolution UInt32) "
            f"ENGINE = MergeTree ORDER BY (market, market_run) SETTINGS {settings}"
        )
        self._command(
            f"{make} {CHANGES} (market {_NAME}, market_run {_NAME}, grain {_NAME}, starts {_MOMENT}, ends {_MOMENT}, "
            f"day Date32, feeds Array(String), sequence UInt64, revised UInt8, first {_MOMENT}, last {_MOMENT}, "
            "resolution UInt32, seal UInt64, bars UInt64, version UInt64, "
            "k UInt64 MATERIALIZED cityHash64(market, market_run)) ENGINE = ReplacingMergeTree(version) "
            f"ORDER BY (grain, market, market_run, starts) SETTINGS {settings}"
        )
        self._command(
            f"{make} {SPANS} (width {_NAME}, seconds UInt32) ENGINE = MergeTree ORDER BY seconds SETTINGS {settings}"
        )
        if not self._fetch(f"SELECT 1 AS x FROM {SPANS} LIMIT 1").num_rows:
            listed = ", ".join(f"('{name}', {int(width.total_seconds())})" for name, width in WIDTHS.items())
            self._command(f"INSERT INTO {SPANS} VALUES {listed}")
        made = catalogue()[VIEW]
        told = [column for column in made.columns if column.name not in made.version and column.role != "origin"]
        columns = ", ".join(column_definition(column) for column in told)
        self._command(
            f"{make} {SEALED} ({columns}, grain {_NAME}, starts {_MOMENT}, sequence UInt64, seal UInt64, "
            "sealed_at DateTime DEFAULT now()) ENGINE = MergeTree PARTITION BY toYYYYMM(bar_start) "
            f"ORDER BY (width, market, product, market_run, location_id, tenant, source, bar_start, seal) "
            f"SETTINGS {settings}"
        )

    def _mark(self) -> str:
        where = f"database = '{TABLES}' AND name = '{RUNS.split('.')[1]}'"
        return self._fetch(f"SELECT comment FROM system.tables WHERE {where}")["comment"][0].as_py()

    def _begin(self, runs: Sequence[BarRun], mark: str) -> None:
        """Tell all days of what is stored, by these runs. The mark comes last."""
        for table in (CHANGES, SEALED, RUNS):
            self._command(f"TRUNCATE TABLE {table}")
        instants = [BarRun("", made.run, "UTC", timedelta(0)) for made in _made_of() if made.run]
        rows = [(one.market, one.market_run, one.clock, int(one.resolution.total_seconds())) for one in runs]
        rows += [(one.market, one.market_run, one.clock, 0) for one in instants]
        if rows:
            values = ", ".join(f"({literal(a)}, {literal(b)}, {literal(c)}, {d})" for a, b, c, d in rows)
            self._command(f"INSERT INTO {RUNS} VALUES {values}")
        self._runs = {(market, run): (clock, resolution) for market, run, clock, resolution in rows}
        reach("hot.days_begun")
        for dataset in (one for one in catalogue().values() if not one.derived):
            self.tell_stored(dataset, f"{TABLES}.{dataset.name}")
        reach("hot.days_told")
        self._command(f"ALTER TABLE {RUNS} MODIFY COMMENT '{mark}'")

    def tell_stored(self, dataset: Dataset, table: str, where: str = "1") -> None:
        """Say that rows of a table are to be replaced, or take the place of others."""
        if dataset.bars is None:
            return
        names = ", ".join(_named(dataset))
        found = self._fetch(f"SELECT DISTINCT {names} FROM {table} WHERE {where}")
        self._write(self._units(dataset, pl.DataFrame(found)), revised=True)

    def tell(self, dataset: Dataset, table: pa.Table, again: bool = False) -> None:
        """Say that these rows come, before the first is stored; `again` where they take the place of others."""
        if dataset.bars is None or not table.num_rows:
            return
        units = self._units(dataset, pl.DataFrame(table.select(_named(dataset))))
        revised = again or self._shared or not _all_different(table, dataset)
        self._write(units, revised)
        reach("hot.days_changed")

    def _units(self, dataset: Dataset, rows: pl.DataFrame) -> pl.DataFrame:
        """The days (and hours) that the rows start in: a row per unit and feed, with the first and last start."""
        assert dataset.bars is not None
        start = dataset.bars.start
        moments = rows.unique().with_columns(pl.col(start).cast(pl.Datetime("us", "UTC")))
        if dataset.bars.run:
            scoped = moments.select(
                market=pl.lit(""), market_run=pl.lit(dataset.bars.run), feed=pl.col("feed").cast(pl.String), at=start
            )
        else:
            names = [pl.col(name).cast(pl.String) for name in ("market", "market_run", "feed")]
            scoped = moments.select(*names, pl.col(start).alias("at"))
        by_run = scoped.partition_by("market", "market_run", as_dict=True).items()
        told_of = [(str(market), str(run), part) for (market, run), part in by_run]
        parts = [self._by_clock(market, run, part) for market, run, part in told_of if (market, run) in self._runs]
        if not parts:
            return pl.DataFrame()
        told = {"first": pl.col("at").min(), "last": pl.col("at").max(), "feeds": pl.col("feed").unique().sort()}
        return pl.concat(parts, how="diagonal").group_by(*_KEY, "resolution").agg(**told).sort(_KEY)

    def _by_clock(self, market: str, run: str, rows: pl.DataFrame) -> pl.DataFrame:
        clock, resolution = self._runs[market, run]
        found = rows.with_columns(resolution=pl.lit(resolution))
        if market:
            return found.with_columns(
                grain=pl.lit("1d"), starts=day_start(pl.col("at"), clock), ends=day_end(pl.col("at"), clock),
                day=day_of(rows["at"], clock),
            )  # fmt: skip
        hour = pl.col("at").dt.truncate("1h")
        return found.with_columns(
            grain=pl.lit("1h"), starts=hour, ends=hour + timedelta(hours=1), day=pl.col("at").dt.date()
        )

    def _write(self, units: pl.DataFrame, revised: bool) -> None:
        """One statement: the sequence is higher than any before, and what overlaps with what was brought is revised."""
        if units.is_empty():
            return
        moment, key = "fromUnixTimestamp64Micro", "grain, market, market_run, starts"
        low, high = (literal(moment) for moment in (units["starts"].min(), units["starts"].max()))  # type: ignore[arg-type]
        told = (
            "grain String, market String, market_run String, starts Int64, ends Int64, day Int32, "
            "feeds Array(String), first Int64, last Int64, resolution UInt32"
        )
        sequence = f"(SELECT greatest(max(sequence) + 1, toUInt64(toUnixTimestamp64Micro(now64(6)))) FROM {CHANGES})"
        self._command(
            f"INSERT INTO {CHANGES} (grain, market, market_run, starts, ends, day, feeds, first, last, resolution, "
            "revised, sequence, seal, bars, version) "
            f"SELECT n.grain, n.market, n.market_run, {moment}(n.starts, 'UTC'), {moment}(n.ends, 'UTC'), "
            "toDate32(n.day), arrayDistinct(arrayConcat(n.feeds, b.feeds)), "
            f"{moment}(if(b.there, least(n.first, b.first), n.first), 'UTC'), "
            f"{moment}(if(b.there, greatest(n.last, b.last), n.last), 'UTC'), n.resolution, "
            f"{int(revised)} OR (b.there AND (b.revised != 0 OR (n.first <= b.last AND n.last >= b.first))), "
            f"{sequence} AS told, 0, 0, 2 * told "
            f"FROM (SELECT * FROM VALUES('{told}', {', '.join(_values(units))})) AS n "
            f"LEFT JOIN (SELECT CAST(grain, 'String') AS grain, CAST(market, 'String') AS market, "
            f"CAST(market_run, 'String') AS market_run, toUnixTimestamp64Micro(c.starts) AS starts, feeds, revised, "
            f"toUnixTimestamp64Micro(c.first) AS first, toUnixTimestamp64Micro(c.last) AS last, 1 AS there "
            f"FROM {CHANGES} AS c FINAL WHERE c.starts >= {low} AND c.starts <= {high}) AS b USING ({key})"
        )


def _made_of() -> Iterator[Any]:
    return (dataset.bars for dataset in catalogue().values() if dataset.bars is not None)


def _named(dataset: Dataset) -> list[str]:
    assert dataset.bars is not None
    scope = [] if dataset.bars.run else ["market", "market_run"]
    return [*scope, "feed", dataset.bars.start]


def _values(units: pl.DataFrame) -> Iterator[str]:
    """The units as SQL writes them."""
    times = ("starts", "ends", "first", "last")
    numbered = units.with_columns(pl.col(times).cast(pl.Datetime("us")).to_physical(), pl.col("day").to_physical())
    for row in numbered.to_dicts():
        names = ", ".join(literal(row[name]) for name in ("grain", "market", "market_run"))
        feeds = ", ".join(map(literal, row["feeds"]))
        yield (
            f"({names}, {row['starts']}, {row['ends']}, {row['day']}, [{feeds}], {row['first']}, {row['last']}, "
            f"{row['resolution']})"
        )


def _mark(runs: Iterable[BarRun]) -> str:
    told = "\n".join(f"{one.market}|{one.market_run}|{one.clock}|{one.resolution}" for one in runs)
    return hashlib.sha256(told.encode()).hexdigest()[:16]


def _all_different(table: pa.Table, dataset: Dataset) -> bool:
    """True where no two rows share series and start. Counts cells of a small grid; sorts nothing."""
    assert dataset.bars is not None
    if not dataset.bars.end:
        return False
    rows = pl.DataFrame(table.select([*(one for one in dataset.key if one != dataset.bars.end)]))
    cell, size = np.zeros(rows.height, dtype=np.int64), 1
    for name in rows.columns:
        timed = name == dataset.bars.start
        codes = rows[name].to_physical() if timed else rows[name].cast(pl.Categorical).to_physical()
        offset = codes.cast(pl.Int64).to_numpy() - int(codes.min())  # type: ignore[arg-type]
        step = int(np.gcd.reduce(offset)) or 1
        wide = int(offset.max()) // step + 1
        cell, size = cell * wide + offset // step, size * wide
    if size > _GRID * (rows.height + 1_000):
        return len(np.unique(cell)) == rows.height
    return int(np.bincount(cell).max()) == 1
