"""The repair graph: which payloads a market day was made of, where its rows lie, and what was made of them.

There is no second book: payloads and their spans are in the raw log, batches in the ledger, rows name the payload and
bars the change they are of. A correction changes the bars that depend on a changed price and nothing else; which, and
because of which payload, is written in the audit trail.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import polars as pl

from carbon254.calendars import day_start
from carbon254.clock import Clock
from carbon254.model.bars import WIDTHS, widths_for
from carbon254.stores.hot import HotStore
from carbon254.stores.hot.literal import literal, within
from carbon254.stores.hot.sealing import Unit
from carbon254.stores.hot.views import current_name, versions_name
from carbon254.stores.ledger import Act, Ledger
from carbon254.stores.log import Log

from .proof import by_date, day_span, days_of, raw_records
from .source import Source

WHO, WHAT = "bars", "repair"
_MOST = 10_000


@dataclass(frozen=True, slots=True)
class Node:
    """Something stored: a partition of a table, or all bars of a width, with the rows of the market day in it.

    `made_of` says from what, `newest` which payload or build it was last changed by.
    """

    table: str
    partition: str
    rows: int
    made_of: str
    newest: str


@dataclass(frozen=True, slots=True)
class PayloadNode:
    """A payload that held rows of the day; `standing` of its rows are current, `held` wait in quarantine."""

    sha256: str
    name: str
    received_at: datetime
    rows: int
    standing: int
    held: int


@dataclass(frozen=True, slots=True)
class Lineage:
    """A market day of a feed from payloads to what was made of them, and the repairs it has seen."""

    feed: str
    day: str
    payloads: tuple[PayloadNode, ...]
    nodes: tuple[Node, ...]
    repairs: tuple[Act, ...]


class Repair:
    """Tells lineage, and writes down what corrections rebuilt."""

    def __init__(self, log: Log, hot: HotStore, ledger: Ledger, clock: Clock) -> None:
        self._log, self._hot, self._ledger, self._clock = log, hot, ledger, clock

    def tell(self, unit: Unit) -> int:
        """Say which bars of a market day corrections changed, with the payload of each; how many were not said yet."""
        bars, kind = unit.dataset.bars, unit.dataset
        assert bars is not None
        widths = [name for name in widths_for(timedelta(seconds=unit.resolution)) if name in bars.widths]
        start = f"toUnixTimestamp64Micro({bars.start})"
        windows = {width: f", intDiv({start}, {int(WIDTHS[width].total_seconds()) * 1_000_000})" for width in widths}
        counts = ", ".join(
            f"uniqExact(product, location_id{'' if width == '1d' else windows[width]}) AS `{width}`" for width in widths
        )
        key, order = ", ".join(kind.key), ", ".join((*kind.version, "value_hash", "payload"))
        before = f"lagInFrame({bars.price}) OVER w AS price_before, lagInFrame(flags) OVER w AS flags_before"
        sql = (
            f"SELECT feed, payload, min(received_at) AS at, {counts} "
            f"FROM (SELECT *, row_number() OVER w AS place, {before} FROM store.{kind.name} FINAL WHERE {unit.rows} "
            f"WINDOW w AS (PARTITION BY {key} ORDER BY {order} ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)) "
            f"WHERE place > 1 AND ({bars.price} IS DISTINCT FROM price_before OR flags != flags_before) "
            "GROUP BY feed, payload ORDER BY at, payload"
        )
        found = self._hot.fetch(sql).to_pylist()
        said = {feed: self._said(feed, str(unit.day)) for feed in {str(row["feed"]) for row in found}}
        now, acts = self._clock.now(), []
        for row in found:
            told = " ".join(f"{width}×{row[width]:,}" for width in widths if row[width])
            why = f"payload {str(row['payload'])[:12]}… changed prices; bars rebuilt: {told}"
            if why not in said[str(row["feed"])]:
                acts.append(Act(now, WHO, WHAT, str(row["feed"]), str(unit.day), why))
        if acts:
            self._ledger.record(acts)
        return len(acts)

    def _said(self, feed: str, day: str) -> set[str]:
        return {act.why for act in self._ledger.trail(feed, day, limit=_MOST) if act.what == WHAT}

    def lineage(self, source: Source, day: date) -> Lineage:
        """What a market day was made of and what was made of it."""
        topic, kind = source.stream.topic, source.dataset
        low, high = day_span(source.stream, day)
        where = f"feed = '{topic}' AND {within(kind, low, high)}"
        acts = [act for act in self._ledger.trail(topic, str(day)) if act.what == WHAT]
        nodes = [*self._rows(source, where), *self._bars(source, low, high)]
        return Lineage(topic, str(day), tuple(self._payloads(source, day, where)), tuple(nodes), tuple(acts[::-1]))

    def _payloads(self, source: Source, day: date, where: str) -> Iterable[PayloadNode]:
        kind, topic = source.dataset, source.stream.topic
        low, high = day_span(source.stream, day)
        rows, standing = (
            self._counts(f"SELECT payload, count() AS n FROM {view} WHERE {where} GROUP BY payload")
            for view in (versions_name(kind), current_name(kind))
        )
        held = self._counts(
            "SELECT payload, count() AS n FROM quarantine WHERE status = 'held' "
            f"AND feed = '{topic}' AND market_day = toDate32('{day}') GROUP BY payload"
        )
        for record in raw_records(self._log, topic):
            if str(day) in days_of(source, record.span, low, high):
                sha = record.sha256
                counts = rows.get(sha, 0), standing.get(sha, 0), held.get(sha, 0)
                yield PayloadNode(sha, record.name, record.received_at, *counts)

    def _rows(self, source: Source, where: str) -> Iterable[Node]:
        kind = source.dataset
        place = f"toYear({kind.partition})" if by_date(source) else f"formatDateTime({kind.partition}, '%Y-%m')"
        sql = (
            f"SELECT toString({place}) AS part, count() AS n, argMax(payload, received_at) AS newest "
            f"FROM {versions_name(kind)} WHERE {where} GROUP BY part ORDER BY part"
        )
        for row in self._hot.fetch(sql).to_pylist():
            yield Node(kind.name, row["part"], row["n"], "payloads", str(row["newest"]))

    def _bars(self, source: Source, low: datetime, high: datetime) -> Iterable[Node]:
        if source.stream.dataset != "interval_prices":
            return
        sql = (
            "SELECT market_run, width, count() AS n, max(build) AS build, uniqExact(bar_start) AS windows "
            f"FROM ohlc_bars WHERE market = '{source.stream.market}' "
            f"AND bar_start >= {literal(low)} AND bar_start < {literal(high)} GROUP BY market_run, width"
        )
        found = {(str(row["market_run"]), str(row["width"])): row for row in self._hot.fetch(sql).to_pylist()}
        for run in source.stream.every_run:
            widths, side = widths_for(run.resolution), run is not source.stream
            for width, before in zip(widths, ("current_prices", *widths), strict=False):
                row = found.get((run.market_run, width))
                if row:
                    told = f"{run.market_run} {width}" if side else width
                    told = f"{told}, {row['windows']} windows"
                    yield Node("ohlc_bars", told, row["n"], before, f"build {row['build']}")

    def _counts(self, sql: str) -> dict[str, int]:
        return {str(row["payload"]): row["n"] for row in self._hot.fetch(sql).to_pylist()}


def dependents(source: Source, changed: pl.DataFrame, run: str = "") -> set[tuple[str, str, datetime]]:
    """(width, place, start) of every bar that depends on the changed prices.

    `changed` has location_id and interval_start (UTC) of rows of one market run, `run` (the feed's own where none is
    named).
    """
    stream = source.stream.of_run(run)
    found: set[tuple[str, str, datetime]] = set()
    for width in widths_for(stream.resolution or timedelta(minutes=1)):
        bars = changed.select("location_id", _window("interval_start", width, stream.clock).alias("bar_start"))
        found.update((width, place, start) for place, start in bars.unique().iter_rows())
    return found


def _window(column: str, width: str, clock: str) -> pl.Expr:
    """Start of the window of `width` that an instant lies in; days follow `clock`."""
    return day_start(pl.col(column), clock) if width == "1d" else pl.col(column).dt.truncate(WIDTHS[width])
