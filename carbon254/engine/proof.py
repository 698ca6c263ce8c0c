"""What a span of a feed was made of and what it holds now: raw payloads, code version, collapsed rows.

Rows are read in windows of about `MAX_ROWS`, always whole hours, so that a long span needs no more memory than a short
one. The proof depends on neither the order nor the number of workers that made the rows.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import polars as pl

from carbon254.calendars import market_day_of, market_day_span, market_days
from carbon254.model import Dataset, Stream, dataset
from carbon254.model.arrival import arrival_in
from carbon254.proof.partitions import Chunks, Proof, proof_of
from carbon254.stores.hot import HotStore
from carbon254.stores.hot.literal import within
from carbon254.stores.hot.views import history_name
from carbon254.stores.lake import Lake
from carbon254.stores.ledger import Build, Ledger
from carbon254.stores.log import Log, Record, records_of

from .source import Source

MAX_ROWS = 1_000_000
# Where a row was stored says nothing about what it says.
BESIDES = ("batch_id", "build")
_DAY = timedelta(days=1)

Span = tuple[datetime, datetime]


@dataclass(frozen=True)
class RawRecord:
    """A payload of a feed as the raw log has it: its place, digest, name, arrival, and the partition times it holds."""

    offset: int
    sha256: str
    name: str
    received_at: datetime
    span: Span | None


def raw_records(log: Log, topic: str) -> Iterator[RawRecord]:
    """Every payload of a feed, oldest first."""
    for record in records_of(log, f"raw.{topic}"):
        headers = record.headers
        received = datetime.fromisoformat(headers["received_at"])
        span = span_of(log, record)
        yield RawRecord(record.offset, headers["sha256"], headers["name"], received, span)


def span_of(log: Log, record: Record) -> Span | None:
    """First and last partition time of what a raw record held; None where it held no row."""
    scope = f"span:{record.topic}"
    # Older logs keep it by the record's place.
    stored = log.get_state(scope, arrival_in(record.headers)) or log.get_state(scope, str(record.offset))
    if not stored:
        return None
    first, last = stored.decode().split(" ")
    return _moment(first), _moment(last)


class Prover:
    """Proves what stands in the hot store, and compares it with the lake."""

    def __init__(self, log: Log, hot: HotStore, lake: Lake, ledger: Ledger, max_rows: int = MAX_ROWS) -> None:
        self._log, self._hot, self._lake, self._ledger = log, hot, lake, ledger
        self._max_rows = max_rows

    def prove(self, source: Source, start: datetime, end: datetime) -> Proof:
        """The proof of the market days that overlap [start, end)."""
        low, high = whole_days(source, start, end)
        return proof_of(
            source.stream.topic,
            source.code,
            self.payloads(source, low, high).items(),
            self.held(source, low, high),
            self._codes(source, low, high),
        )

    def note(self, proof: Proof, at: datetime) -> None:
        """Keep in the ledger what each build was proven to hold."""
        for one in proof.partitions:
            build = next((entry.build for entry in self._ledger.entries(one.feed, one.partition)), 1)
            self._ledger.proven(
                Build(one.feed, one.partition, build, one.code, len(one.payloads), one.rows, one.hash, at)
            )

    def payloads(self, source: Source, low: datetime, high: datetime) -> dict[str, list[str]]:
        """Digests of the payloads that hold rows of each market day, in their order of arrival."""
        found: dict[str, list[str]] = {}
        for record in raw_records(self._log, source.stream.topic):
            for day in days_of(source, record.span, low, high):
                found.setdefault(day, []).append(record.sha256)
        return found

    def held(self, source: Source, low: datetime, high: datetime, versions: bool = False) -> Chunks:
        """Hashes of the feed's rows in the hot store: collapsed, or every version as it was stored."""
        dataset = source.dataset
        view = history_name(dataset)
        if versions and "revision" in dataset.names and "known_at" in dataset.names:
            view = f"{dataset.name}_versions"
        chunks = Chunks(dataset.partition, source.stream.clock)
        for start, end in self._windows(source, low, high):
            where = f"feed = '{source.stream.topic}' AND {within(dataset, start, end)}"
            table = self._hot.fetch(f"SELECT {', '.join(told(dataset))} FROM {view} WHERE {where}")
            chunks.add(pl.DataFrame(table))
        return chunks

    def kept(self, source: Source, low: datetime, high: datetime) -> Chunks:
        """Hashes of the feed's distinct rows in the lake, every version."""
        dataset = source.dataset
        chunks = Chunks(dataset.partition, source.stream.clock)
        for start, end in self._windows(source, low, high):
            first, last = (edge.date() if by_date(source) else edge for edge in (start, end))
            time, span = dataset.partition, (first.isoformat(), last.isoformat())
            where = f"feed = '{source.stream.topic}' AND {time} >= '{span[0]}' AND {time} < '{span[1]}'"
            chunks.add(pl.DataFrame(self._lake.scan(dataset.name, where, told(dataset))).unique())
        return chunks

    def _windows(self, source: Source, low: datetime, high: datetime) -> Iterator[Span]:
        """The span cut into whole hours (days for datasets by date) of about the most rows at a time."""
        dataset = source.dataset
        dated = by_date(source)
        cut = dataset.partition if dated else f"toStartOfHour({dataset.partition})"
        counted = self._hot.fetch(
            f"SELECT {cut} AS slot, count() AS n FROM store.{dataset.name} "
            f"WHERE feed = '{source.stream.topic}' AND {within(dataset, low, high)} GROUP BY slot ORDER BY slot"
        )
        start, rows = low, 0
        for slot, n in pl.DataFrame(counted).iter_rows() if counted.num_rows else ():
            moment = datetime(slot.year, slot.month, slot.day, tzinfo=UTC) if dated else slot.astimezone(UTC)
            if rows and rows + n > self._max_rows and moment > start:
                yield start, moment
                start, rows = moment, 0
            rows += n
        if start < high:
            yield start, high

    def _codes(self, source: Source, low: datetime, high: datetime) -> dict[str, str]:
        entries = self._ledger.entries(source.stream.topic, limit=1_000_000)
        return {entry.partition: entry.code for entry in entries if entry.code}


def told(dataset: Dataset) -> tuple[str, ...]:
    """The columns that a proof is about."""
    return tuple(name for name in dataset.names if name not in BESIDES)


def day_span(stream: Stream, day: date) -> Span:
    """[start, end) of a partition: a market day on its own clock, or a date in UTC for datasets by date."""
    kind = dataset(stream.dataset)
    if kind.column(kind.partition).type != "date":
        return market_day_span(day, stream.clock)
    start = datetime(day.year, day.month, day.day, tzinfo=UTC)
    return start, start + _DAY


def whole_days(source: Source, start: datetime, end: datetime) -> Span:
    """The span widened to whole partitions: market days, or dates for datasets by date."""
    if by_date(source):
        first = datetime(start.year, start.month, start.day, tzinfo=UTC)
        last = datetime(end.year, end.month, end.day, tzinfo=UTC)
        return first, last if last >= end else last + _DAY
    clock = source.stream.clock
    last_day = market_day_of(end - timedelta(microseconds=1), clock)
    return market_day_span(market_day_of(start, clock), clock)[0], market_day_span(last_day, clock)[1]


def by_date(source: Source) -> bool:
    """Whether the dataset's partition column is a date."""
    return source.dataset.column(source.dataset.partition).type == "date"


def days_of(source: Source, span: Span | None, low: datetime, high: datetime) -> list[str]:
    """Partitions of [low, high) that a payload's span touches."""
    if span is None or span[0] >= high or span[1] < low:
        return []
    first, last = max(span[0], low), min(span[1], high - timedelta(microseconds=1))
    if by_date(source):
        return [str(first.date() + timedelta(days=n)) for n in range((last.date() - first.date()).days + 1)]
    return [str(day) for day in market_days(first, last + timedelta(microseconds=1), source.stream.clock)]


def _moment(text: str) -> datetime:
    if len(text) == len("2000-01-01"):
        day = date.fromisoformat(text)
        return datetime(day.year, day.month, day.day, tzinfo=UTC)
    return datetime.fromisoformat(text)
