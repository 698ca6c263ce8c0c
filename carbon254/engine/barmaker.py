"""Consumer `bars`: rows.<topic> → ohlc_bars, recomputed for the windows that rows touched.

Bars are a pure function of the current prices, so a late or corrected price re-opens its windows: the narrowest
bars are computed again from current prices, wider ones from narrower ones. Doing it twice gives the same bars.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

import numpy as np
import polars as pl
import pyarrow as pa

from carbon254.faults import reach
from carbon254.model import dataset
from carbon254.model.arrow import conform
from carbon254.model.ticks import ORDERED_BY
from carbon254.stages import WIDTHS, bars_of_prices, bars_of_ticks, roll_up, widths_for
from carbon254.stages.aggregate import BAR_SERIES, OWNER, SERIES, window, window_end
from carbon254.stores.hot import HotStore
from carbon254.stores.hot.literal import literal
from carbon254.stores.log import Log, Record

from .codec import decode
from .projector import CONSUMER as PROJECT
from .projector import commit, within
from .source import Source

CONSUMER = "bars"
MAX_ROWS = 1_000_000
_FEW_PLACES = 500
_GRID = 64
_ROUNDING = 1e-12
# The engine's own rounding gives seconds from 1970 on only.
_MICROS = "toUnixTimestamp64Micro(event_time)"
_MINUTE = f"fromUnixTimestamp64Micro({_MICROS} - positiveModulo({_MICROS}, 60000000), 'UTC')"
_PRICE_COLUMNS = [*SERIES, "location", "interval_start", "interval_end", "lmp", "flags"]
_TICK_COLUMNS = [*OWNER, "market", "instrument", "price", "quantity", "flags", *ORDERED_BY]
_VALUES = ("open", "high", "low", "close", "mean", "volume", "weight", "count", "flags")
_BAR_COLUMNS = [*BAR_SERIES, "location", "bar_start", *_VALUES]
Repaired = Callable[[Source, Sequence[Record], Mapping[str, pl.DataFrame]], None]


@dataclass(frozen=True)
class _Series:
    """How rows of one market run of a feed become bars."""

    source: Source
    run: str = ""

    @property
    def ticks(self) -> bool:
        return self.source.stream.dataset == "market_ticks"

    @property
    def resolution(self) -> timedelta:
        return timedelta(0) if self.ticks else self.source.stream.of_run(self.run).resolution

    @property
    def clock(self) -> str:
        return "UTC" if self.ticks else self.source.stream.clock

    @property
    def table(self) -> str:
        return "market_ticks" if self.ticks else "current_prices"

    @property
    def columns(self) -> list[str]:
        return _TICK_COLUMNS if self.ticks else _PRICE_COLUMNS

    @property
    def time(self) -> str:
        return "event_time" if self.ticks else "interval_start"

    @property
    def place(self) -> str:
        return "instrument" if self.ticks else "location_id"

    def narrowest(self, rows: pl.DataFrame, width: str) -> pl.DataFrame:
        if self.ticks:
            return bars_of_ticks(rows, width)
        return bars_of_prices(rows, width, self.resolution, self.clock)


class Barmaker:
    """Keeps bars equal to what their prices say."""

    def __init__(
        self, log: Log, hot: HotStore, sources: Mapping[str, Source], repaired: Repaired | None = None
    ) -> None:
        self._log, self._hot, self._sources, self._repaired = log, hot, sources, repaired
        self._complete = False

    def step(self, limit: int = 256) -> int:
        """Recompute the windows that pending rows touched; returns the number of records.

        The first step makes bars again that another version of the table could not keep.
        """
        if not self._complete:
            self._make_again()
            self._complete = True
        ready = self._log.offsets(PROJECT)
        pending = [r for r in self._log.read(CONSUMER, "rows.", limit) if r.offset <= ready.get(r.topic, 0)]
        records = within(pending, MAX_ROWS)
        by_topic: dict[str, list[Record]] = defaultdict(list)
        for record in records:
            by_topic[record.topic.removeprefix("rows.")].append(record)
        for topic, group in by_topic.items():
            if self._sources[topic].stream.dataset in ("interval_prices", "market_ticks"):
                self._recompute(_Series(self._sources[topic]), group)
        if records:
            commit(self._log, CONSUMER, records)
            reach("bars.done")
        return len(records)

    def _make_again(self) -> None:
        """Bars of ticks of every stored day, where the table was laid out anew without them."""
        if not self._hot.superseded("ohlc_bars"):
            return
        build = self._log.end_offset()
        for topic, source in self._sources.items():
            if not _Series(source).ticks:
                continue
            mine = f"FROM store.market_ticks WHERE feed = {literal(topic)}"
            days = self._hot.fetch(f"SELECT DISTINCT toDate32(event_time) AS day {mine} ORDER BY day")["day"]
            for day in days.to_pylist():
                on_day = f"{mine} AND toDate32(event_time) = toDate32('{day}')"
                found = self._hot.fetch(f"SELECT DISTINCT market, instrument, {_MINUTE} AS minute {on_day}")
                self.rebuild(source, pl.DataFrame(found).rename({"minute": "event_time"}), build)
                reach("bars.made_again")
        self._hot.made_again("ohlc_bars")

    def _recompute(self, series: _Series, records: Sequence[Record]) -> None:
        build = max(record.offset for record in records)
        tables = [decode(record.body).select(series.columns) for record in records]
        rows = pl.DataFrame(pa.concat_tables(tables).unify_dictionaries())
        windows = self.rebuild(series.source, rows, build, only_news=not series.ticks)
        reach("bars.made")
        if self._repaired is not None and windows is not None:
            self._repaired(series.source, records, windows)

    def rebuild(
        self, source: Source, rows: pl.DataFrame, build: int, only_news: bool = False
    ) -> Mapping[str, pl.DataFrame] | None:
        """Recompute every bar whose window holds one of `rows` (the feed's own columns).

        With `only_news` bars that come out as they are stored stay as they are, and so does what depends on them alone.
        Gives the bars rebuilt by width where others stood before, None where there were none.
        """
        found: dict[str, pl.DataFrame] = {}
        corrected = False
        for series, mine in _by_run(source, rows):
            made = self._rebuild(series, mine, build, only_news)
            corrected |= made is not None
            for width, bars in (made or {}).items():
                found[width] = pl.concat([found[width], bars], how="diagonal_relaxed") if width in found else bars
        return found if corrected else None

    def _rebuild(
        self, series: _Series, rows: pl.DataFrame, build: int, only_news: bool
    ) -> Mapping[str, pl.DataFrame] | None:
        """The same for rows of one market run."""
        widths = widths_for(series.resolution or WIDTHS["1m"])
        touched = rows.select(window(series.time, widths[0], series.clock).alias("bar_start")).unique()
        inputs, alone = self._inputs(series, rows, touched, widths[0])
        prune = only_news and not alone
        bars = self._kept(series, series.narrowest(inputs, widths[0]), prune)
        made = {widths[0]: bars}
        for narrower, wider in pairwise(widths):
            if bars.is_empty():
                break
            around = self._children(series, bars, narrower, wider)
            made[wider] = bars = self._kept(series, roll_up(around, wider, series.resolution, series.clock), prune)
        # Widest first: what a crash leaves undone is news of the narrowest still, so that all of it is made again.
        for width in reversed(made):
            reach("bars.storing")
            self._store(made[width], build)
        reach("bars.stored")
        return made if prune else None

    def _kept(self, series: _Series, bars: pl.DataFrame, prune: bool) -> pl.DataFrame:
        """The bars, or those of them that are news."""
        return self._news(series, bars) if prune and bars.height else bars

    def _news(self, series: _Series, bars: pl.DataFrame) -> pl.DataFrame:
        """Bars that are not stored yet, or otherwise."""
        width = bars["width"][0]
        where = self._where(series, bars, _spans(bars["bar_start"], WIDTHS[width]), "bar_start")
        sql = f"SELECT {', '.join(_BAR_COLUMNS)} FROM ohlc_bars WHERE width = '{width}' AND {where}"
        stored = pl.DataFrame(self._hot.fetch(sql)).cast(dict(bars.select(_BAR_COLUMNS).schema))  # pyright: ignore[reportArgumentType]
        key = [*BAR_SERIES, "bar_start"]
        beside = bars.join(stored.with_columns(_there=True), on=key, how="left", suffix="_was", maintain_order="left")
        same = pl.all_horizontal(_alike(name, beside.schema[name]) for name in _BAR_COLUMNS if name not in key)
        return bars.filter(beside.select((~(pl.col("_there").fill_null(False) & same)).alias("news"))["news"])

    def _inputs(
        self, series: _Series, rows: pl.DataFrame, touched: pl.DataFrame, width: str
    ) -> tuple[pl.DataFrame, bool]:
        """(current prices of the touched windows, whether the batch is all that the store holds of them)."""
        spans = _spans(touched["bar_start"], WIDTHS[width])
        where = self._where(series, rows, spans, series.time)
        if not series.ticks and self._alone(series, rows, where):
            return rows, True
        found = pl.DataFrame(self._hot.fetch(f"SELECT {', '.join(series.columns)} FROM {series.table} WHERE {where}"))
        started = found.with_columns(window(series.time, width, series.clock).alias("bar_start"))
        return started.join(touched, on="bar_start", how="semi").drop("bar_start"), False

    def _alone(self, series: _Series, rows: pl.DataFrame, where: str) -> bool:
        """True where the store holds exactly these rows in the span, each a different key."""
        stored = self._hot.fetch(f"SELECT count() AS n FROM store.interval_prices WHERE {where}")["n"][0].as_py()
        if stored != rows.height:
            return False
        return _all_different(rows)

    def _children(self, series: _Series, fresh: pl.DataFrame, narrower: str, wider: str) -> pl.DataFrame:
        """All bars of `narrower` within the touched windows of `wider`: fresh ones, and stored ones around them."""
        own = fresh.select(_BAR_COLUMNS)
        touched = _incomplete(own, narrower, wider, series.clock)
        if touched.is_empty():
            return own
        reach = WIDTHS[wider] + (timedelta(hours=1) if wider == "1d" else timedelta(0))
        where = self._where(series, fresh, _spans(touched, reach), "bar_start")
        columns = ", ".join(_BAR_COLUMNS)
        sql = f"SELECT {columns} FROM ohlc_bars WHERE width = '{narrower}' AND {where}"
        stored = pl.DataFrame(self._hot.fetch(sql)).cast(dict(own.schema))  # pyright: ignore[reportArgumentType]
        around = stored.filter(window("bar_start", wider, series.clock).is_in(touched.implode()))
        others = around.join(own, on=[*BAR_SERIES, "bar_start"], how="anti")
        return pl.concat([own, others]) if others.height else own

    def _where(self, series: _Series, rows: pl.DataFrame, spans: list[tuple[datetime, datetime]], time: str) -> str:
        """SQL that selects the feed's series, the rows' places (where they are few), and the time spans."""
        parts = [f"market IN ({_texts(rows['market'])})"]
        if not series.ticks:
            parts.append(f"product IN ({_texts(rows['product'])}) AND market_run IN ({_texts(rows['market_run'])})")
        elif time == "bar_start":
            parts.append("market_run = 'tick'")
        place = "location_id" if time == "bar_start" else series.place
        if rows[place].n_unique() <= _FEW_PLACES:
            parts.append(f"{place} IN ({_texts(rows[place])})")
        ranges = [f"({time} >= {literal(start)} AND {time} < {literal(end)})" for start, end in spans]
        return " AND ".join([*parts, f"({' OR '.join(ranges)})"])

    def _store(self, bars: pl.DataFrame, build: int) -> None:
        if bars.height:
            marked = bars.with_columns(
                pl.lit(build, dtype=pl.UInt64).alias("build"), pl.lit(str(build)).alias("batch_id")
            )
            width = bars["width"][0]
            series = "|".join(bars[name][0] for name in BAR_SERIES)
            values = bars.select(*_VALUES).hash_rows().sum()
            token = f"bars-{build}-{width}-{series}-{bars['bar_start'].min()}-{bars.height}-{values}"
            self._hot.insert("ohlc_bars", conform(marked, dataset("ohlc_bars")), token)


def _by_run(source: Source, rows: pl.DataFrame) -> Iterator[tuple[_Series, pl.DataFrame]]:
    """Rows by their market run; ticks have one."""
    if not source.stream.runs or "market_run" not in rows.columns:
        yield _Series(source), rows
        return
    names = rows["market_run"].cast(pl.String)
    for name in names.unique().sort():
        yield _Series(source, name), rows.filter(names == name)


def _alike(name: str, kind: pl.DataType) -> pl.Expr:
    """Whether a column says the same here and in `_was`; sums of the same prices may differ in the last digits."""
    here, was = pl.col(name), pl.col(f"{name}_was")
    if not kind.is_float():
        return here.eq_missing(was)
    near = (here - was).abs() <= _ROUNDING * pl.max_horizontal(here.abs(), was.abs(), 1.0)
    return near.fill_null(here.is_null() & was.is_null())


def _all_different(rows: pl.DataFrame) -> bool:
    """True where no two rows share series and interval start. Counts cells of a small grid; sorts nothing."""
    cell, size = np.zeros(rows.height, dtype=np.int64), 1
    for name in (*SERIES, "interval_start"):
        codes = rows[name].cast(pl.Categorical).to_physical() if name != "interval_start" else rows[name].to_physical()
        offset = codes.cast(pl.Int64).to_numpy() - int(codes.min())  # type: ignore[arg-type]
        step = int(np.gcd.reduce(offset)) or 1
        wide = int(offset.max()) // step + 1
        cell, size = cell * wide + offset // step, size * wide
    if size > _GRID * (rows.height + 1_000):
        return len(np.unique(cell)) == rows.height
    return int(np.bincount(cell).max()) == 1


def _incomplete(bars: pl.DataFrame, narrower: str, wider: str, clock: str) -> pl.Series:
    """Starts of the `wider` windows that some series' bars do not fill."""
    counted = (
        bars.group_by(*BAR_SERIES, window("bar_start", wider, clock).alias("bar_start"))
        .agg(pl.len().alias("have"))
        .with_columns(((window_end(wider, clock) - pl.col("bar_start")) / WIDTHS[narrower]).alias("full"))
    )
    return counted.filter(pl.col("have") < pl.col("full"))["bar_start"].unique()


def _spans(starts: pl.Series, width: timedelta, most: int = 32) -> list[tuple[datetime, datetime]]:
    """Windows merged into at most `most` spans, so that a statement stays short."""
    ordered = sorted(starts.to_list())
    gap = width
    while True:
        spans: list[tuple[datetime, datetime]] = []
        for start in ordered:
            if spans and start <= spans[-1][1] + gap:
                spans[-1] = (spans[-1][0], max(spans[-1][1], start + width))
            else:
                spans.append((start, start + width))
        if len(spans) <= most:
            return spans
        gap *= 4


def _texts(values: pl.Series) -> str:
    return ", ".join(literal(str(value)) for value in values.unique().sort())
