"""Partitions on which hot store and lake disagree: the raw payloads, parsed again, decide which of them is wrong."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime

import polars as pl
import pyarrow as pa

from carbon254.calendars import day_of
from carbon254.errors import CorruptPayload
from carbon254.proof.partitions import Chunks
from carbon254.stores.log import Log
from carbon254.stores.raw import Held, RawArchive

from .codec import decode
from .finding import Finding
from .normaliser import Normaliser
from .proof import RawRecord, by_date, day_span, days_of, told
from .source import Source


@dataclass(frozen=True, slots=True)
class Disputed:
    """Partitions of a feed on which hot store and lake differ, or of which neither has a row."""

    source: Source
    held: Mapping[str, tuple[int, str]]
    kept: Mapping[str, tuple[int, str]]


class Remade:
    """Rows of a feed's disputed partitions as its raw payloads say, made as the payloads go by."""

    def __init__(self, disputed: Disputed, log: Log, raw: RawArchive, normaliser: Normaliser) -> None:
        self._disputed, self._log, self._raw, self._normaliser = disputed, log, raw, normaliser
        days = sorted(disputed.held)
        self._low, self._high = span_of(disputed.source, days[0])[0], span_of(disputed.source, days[-1])[1]
        # Where neither store has a row, how many there should be is enough.
        self._counted = {day: 0 for day in days if not disputed.held[day][0] and not disputed.kept[day][0]}
        self._frames: list[pl.DataFrame] = []
        self._harmed: set[str] = set()

    def take(self, record: RawRecord, data: bytes | None) -> None:
        """One payload of the feed; without bytes it is harmed, or was taken before."""
        source = self._disputed.source
        days = set(days_of(source, record.span, self._low, self._high)) & self._disputed.held.keys()
        if not days:
            return
        try:
            raw = self._raw if data is None else Held(self._raw, record.sha256, data)
            stored = self._log.fetch(record.offset)
            batches = self._normaliser.reading(raw).outcome(stored).batches
        except (KeyError, CorruptPayload):
            self._harmed |= days
            return
        for batch in batches:
            if batch.topic.startswith("rows."):
                self._frames += self._within(source, decode(batch.body))

    def _within(self, source: Source, table: pa.Table) -> Iterator[pl.DataFrame]:
        time = source.dataset.partition
        frame = pl.DataFrame(table).select(told(source.dataset))
        first, last = (self._low.date(), self._high.date()) if by_date(source) else (self._low, self._high)
        mine = frame.filter((pl.col(time) >= first) & (pl.col(time) < last))
        days = mine[time] if by_date(source) else day_of(mine[time], source.stream.clock)
        for day, rows in days.cast(pl.String).value_counts().iter_rows():
            self._counted.update({day: self._counted[day] + rows} if day in self._counted else {})
        asked = mine.filter(~days.cast(pl.String).is_in(list(self._counted)))
        if asked.height:
            yield asked.with_columns(pl.col(pl.Categorical).cast(pl.String))

    def findings(self) -> Iterator[Finding]:
        """Which of hot store and lake is wrong about each partition."""
        source, topic = self._disputed.source, self._disputed.source.stream.topic
        chunks = Chunks(source.dataset.partition, source.stream.clock)
        if self._frames:
            chunks.add(pl.concat(self._frames, how="vertical_relaxed").unique())
        for day, rows in sorted(self._counted.items()):
            if rows or day in self._harmed:
                told_rows = "cannot be read" if day in self._harmed else f"hold {rows:,}"
                what = f"neither has a row, and the raw payloads {told_rows}; mend it: c254 feeds replay --feed {topic}"
                yield Finding("hot store and lake", topic, day, f"{what} --partition {day}")
        for day in sorted(self._disputed.held.keys() - self._counted.keys()):
            truth = None if day in self._harmed else chunks.of(day)
            for place, found in (("hot store", self._disputed.held[day]), ("lake", self._disputed.kept[day])):
                if truth is None:
                    what = f"has {found[0]:,} rows that differ from the other's, and raw is harmed"
                    yield Finding(place, topic, day, what)
                elif found != truth:
                    rows = f"{found[0]:,} rows, {truth[0]:,} by the raw payloads"
                    what = rows if found[0] != truth[0] else f"values among its {found[0]:,} rows differ from raw"
                    mend = f"mend it: c254 feeds replay --feed {topic} --partition {day}"
                    yield Finding(place, topic, day, f"{what}; {mend}")


def span_of(source: Source, day: str) -> tuple[datetime, datetime]:
    """The instants that a partition of a feed begins and ends at."""
    return day_span(source.stream, date.fromisoformat(day))
