"""A feed's history as spans of whole days that are small enough to be rebuilt at once."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timedelta

from carbon254.stores.ledger import Ledger
from carbon254.stores.log import Log

from .proof import day_span, days_of, raw_records
from .source import Source

# So many rows, by the ledger's count, are rebuilt at a time; of days that it did not count, so many.
_ROWS = 2_000_000
_DAYS_UNCOUNTED = 31
_MOST = 1_000_000
Span = tuple[datetime, datetime]


def spans_of(source: Source, log: Log, ledger: Ledger, within: Span | None = None) -> Iterator[Span]:
    """The days that payloads of a feed held rows of (those that overlap `within`), in order, some at a time."""
    topic = source.stream.topic
    days: set[str] = set()
    for record in raw_records(log, topic):
        if record.span is not None:
            low, high = within or (record.span[0], record.span[1] + timedelta(microseconds=1))
            days.update(days_of(source, record.span, low, high))
    counted = {entry.partition: entry.rows for entry in ledger.entries(topic, limit=_MOST)}
    some: list[str] = []
    rows = 0
    for day in sorted(days):
        more = counted.get(day, _ROWS // _DAYS_UNCOUNTED)
        if some and rows + more > _ROWS:
            yield _of(source, some)
            some, rows = [], 0
        some.append(day)
        rows += more
    if some:
        yield _of(source, some)


def _of(source: Source, days: list[str]) -> Span:
    first, last = (day_span(source.stream, date.fromisoformat(day)) for day in (days[0], days[-1]))
    return first[0], last[1]
