"""Rebuilding a span of one feed from raw bytes: a new build of its partitions, swapped in whole.

Never appends: the rebuilt rows replace the feed's rows of the span in the hot store by partition and in the lake by
filter; other feeds' rows of the same partitions are carried over unchanged. Rows come out as they were first made,
because what was known when is part of the raw log.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime

import polars as pl
import pyarrow as pa

from carbon254.calendars import day_of
from carbon254.stores.hot import HotStore
from carbon254.stores.lake import Lake
from carbon254.stores.ledger import Ledger
from carbon254.stores.log import Log, Record

from .barmaker import Barmaker
from .carrying import Source
from .codec import decode
from .normaliser import Normaliser

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Rebuilt:
    """What a rebuild did."""

    feed: str
    payloads: int
    rows: int
    partitions: tuple[str, ...]


class Rebuilder:
    """Makes new builds of partitions out of the raw archive."""

    def __init__(
        self, log: Log, normaliser: Normaliser, hot: HotStore, lake: Lake, ledger: Ledger, barmaker: Barmaker
    ) -> None:
        self._log, self._normaliser, self._hot, self._lake = log, normaliser, hot, lake
        self._ledger, self._barmaker = ledger, barmaker

    def arrived(self, topic: str, start: datetime, end: datetime) -> tuple[datetime, datetime] | None:
        """The span of partition times covered by payloads that arrived in [start, end)."""
        spans = [
            span
            for record in self._records(topic)
            if start <= datetime.fromisoformat(record.headers["received_at"]) < end and (span := self._span(record))
        ]
        return (min(low for low, _ in spans), max(high for _, high in spans)) if spans else None

    def rebuild(
        self, source: Source, start: datetime, end: datetime, now: datetime, progress: Progress | None = None
    ) -> Rebuilt:
        """Rebuild [start, end) of a feed; times are the dataset's partition column in UTC."""
        topic, dataset = source.stream.topic, source.dataset
        records = [record for record in self._records(topic) if self._overlaps(record, start, end)]
        tables: list[pa.Table] = []
        for done, record in enumerate(records):
            if progress:
                progress(done, len(records))
            outcome = self._normaliser.outcome(record)
            tables += [decode(batch.body) for batch in outcome.batches]
        table = _between(tables, dataset.partition, start, end) if tables else None
        self._hot.replace_span(dataset.name, topic, start, end, table)
        self._lake.replace_span(dataset.name, topic, start, end, table)
        if table is not None and dataset.name in ("interval_prices", "market_ticks"):
            self._barmaker.rebuild(source, pl.DataFrame(table), self._log.end_offset())
        days = self._note(source, table, now)
        if progress:
            progress(len(records), len(records))
        return Rebuilt(topic, len(records), table.num_rows if table is not None else 0, days)

    def _note(self, source: Source, table: pa.Table | None, now: datetime) -> tuple[str, ...]:
        if table is None or not table.num_rows:
            return ()
        moments = pl.DataFrame(table.select([source.dataset.partition])).to_series()
        instant = moments.dtype != pl.Date
        dates = day_of(moments, source.stream.clock) if instant else moments
        days = tuple(str(day) for day in sorted(dates.unique()))
        for day in days:
            self._ledger.rebuilt(source.stream.topic, day, now)
        return days

    def _records(self, topic: str) -> list[Record]:
        return [record for record in self._log.scan(f"raw.{topic}") if record.topic == f"raw.{topic}"]

    def _span(self, record: Record) -> tuple[datetime, datetime] | None:
        stored = self._log.get_state(f"span:{record.topic}", str(record.offset))
        if not stored:
            return None
        first, last = stored.decode().split(" ")
        return _moment(first), _moment(last)

    def _overlaps(self, record: Record, start: datetime, end: datetime) -> bool:
        span = self._span(record)
        return span is not None and span[0] < end and span[1] >= start


def _between(tables: list[pa.Table], column: str, start: datetime, end: datetime) -> pa.Table:
    frame = pl.DataFrame(pa.concat_tables(tables).unify_dictionaries())
    instant = frame[column].dtype != pl.Date
    low, high = (start, end) if instant else (start.date(), end.date())
    keep = (pl.col(column) >= low) & (pl.col(column) < high)
    mask = pa.array(frame.select(keep.alias("keep"))["keep"].to_numpy())
    return pa.concat_tables(tables).unify_dictionaries().filter(mask)


def _moment(text: str) -> datetime:
    if len(text) == len("2000-01-01"):
        day = date.fromisoformat(text)
        return datetime(day.year, day.month, day.day, tzinfo=UTC)
    return datetime.fromisoformat(text)
