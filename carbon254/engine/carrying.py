"""One payload on its way: its batches go through the stages in order, and what cannot becomes letters."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from functools import cached_property
from typing import Protocol

import polars as pl

from carbon254.calendars import day_of
from carbon254.model import Dataset, Stream, dataset
from carbon254.model.arrow import conform
from carbon254.stages import arrivals, enrich, normalise
from carbon254.stages.arrivals import Arrival, Seen
from carbon254.stages.enrich import Directory, name_places
from carbon254.stores.log import Letter, Log, NewRecord, Record

from .codec import encode

_PARTIAL = 0.5


class ParsedRows(Protocol):
    """What a feed's parser yields."""

    @property
    def frame(self) -> pl.DataFrame: ...
    @property
    def rejects(self) -> pl.DataFrame: ...


@dataclass(frozen=True)
class Source:
    """A feed as the engine knows it: its card, its folder and that folder's `places.csv`, and how to parse."""

    stream: Stream
    folder: str
    places: str
    parse: Callable[[str, bytes], Iterator[ParsedRows]]
    version: str

    @cached_property
    def dataset(self) -> Dataset:
        return dataset(self.stream.dataset)


@dataclass
class Outcome:
    """What one payload came to."""

    batches: list[NewRecord] = field(default_factory=list)
    states: dict[tuple[str, str], bytes] = field(default_factory=dict)
    letters: list[Letter] = field(default_factory=list)
    rows: int = 0
    refused: str = ""
    first: str = ""
    last: str = ""

    def widen(self, first: object, last: object) -> None:
        """Stretch the span of partition times that the payload covers (ISO 8601 texts compare in order)."""
        low, high = _text(first), _text(last)
        self.first = min(self.first or low, low)
        self.last = max(self.last, high)


class SeenStore:
    """`Seen` kept in the log's state; what a payload adds goes into its outcome, to be written with its rows."""

    def __init__(self, log: Log, outcome: Outcome, topic: str) -> None:
        self._log, self._outcome, self._topic = log, outcome, topic
        self._kept: set[str] = set()
        self.seen = Seen()

    def load(self, frame: pl.DataFrame) -> Seen:
        """Bring what is known of the frame's intervals into `seen`."""
        pairs = frame.select("interval_start", "interval_end").unique()
        for interval in pairs.iter_rows():
            if interval in self.seen.by_interval:
                continue
            stored = self._get(f"seen:{self._topic}", _key(interval))
            entries = [(int(offset), name) for offset, name in json.loads(stored)] if stored else []
            self.seen.by_interval[interval] = entries
            for _, name in entries:
                if name not in self.seen.sets:
                    self.seen.sets[name] = frozenset(json.loads(self._get("places", name) or b"[]"))
        return self.seen

    def remember(self, frame: pl.DataFrame, arrival: Arrival) -> None:
        """Add the frame's intervals and keep them with the transaction."""
        changed = arrivals.remember(frame, arrival, self.seen)
        for interval in changed:
            entries = self.seen.by_interval[interval]
            self._outcome.states[f"seen:{self._topic}", _key(interval)] = json.dumps(entries).encode()
        for name in {name for interval in changed for _, name in self.seen.by_interval[interval]} - self._kept:
            self._outcome.states["places", name] = json.dumps(sorted(self.seen.sets[name])).encode()
            self._kept.add(name)

    def _get(self, scope: str, key: str) -> bytes | None:
        return self._log.get_state(scope, key)


def _text(moment: object) -> str:
    return moment.isoformat() if isinstance(moment, date) else str(moment)


def _key(interval: tuple[datetime, datetime]) -> str:
    return f"{interval[0].isoformat()}/{interval[1].isoformat()}"


class Work:
    """One payload on its way: its batches go through the stages in order."""

    def __init__(
        self, source: Source, record: Record, outcome: Outcome, seen: SeenStore | None, places: Directory
    ) -> None:
        headers = record.headers
        published = headers.get("published_at")
        self._source, self._record, self._outcome, self._seen = source, record, outcome, seen
        self._places = places
        self._batches = 0
        self._arrival = Arrival(
            received_at=datetime.fromisoformat(headers["received_at"]).astimezone(UTC),
            payload=headers["sha256"],
            batch_id="",
            offset=record.offset,
            published_at=datetime.fromisoformat(published).astimezone(UTC) if published else None,
        )

    def take(self, rows: ParsedRows) -> None:
        """One parsed batch through normalise, known-at and enrich."""
        for line, reason, raw in rows.rejects.iter_rows():
            self.letter(line, reason, raw, "parse")
        done = normalise(rows.frame, self._source.stream)
        if done.rejects.height:
            raws = rows.frame.join(done.rejects.select("line"), on="line", how="semi")
            for (line, reason), raw in zip(done.rejects.iter_rows(), raws.iter_rows(named=True), strict=False):
                self.letter(line, reason, json.dumps(raw, default=str), "normalise")
        if done.frame.height:
            self._emit(done.frame)

    def finish(self) -> None:
        """After the last batch: withdraw what a complete payload no longer lists; remember what it listed."""
        if self._seen is not None and self._source.stream.complete and not self._outcome.letters:
            self._withdraw(self._seen.seen)

    def letter(self, line: int | None, reason: str, raw: str, stage: str) -> None:
        """Keep what could not be read, with its reason."""
        self._outcome.letters.append(
            Letter(
                id=None,
                topic=f"dlq.{self._source.stream.topic}",
                payload=self._arrival.payload,
                line=line,
                reason=reason,
                raw=raw[:4_000],
                stage=stage,
                parser=self._source.version,
                received_at=self._arrival.received_at,
                status="open",
                resolved_by=None,
            )
        )

    def _emit(self, frame: pl.DataFrame) -> None:
        if self._seen is None:
            frame = self._plain_arrival(frame)
        else:
            frame = arrivals.known(frame, self._source.stream, self._arrival, self._seen.load(frame))
            self._seen.remember(frame, self._arrival)
        self._store(frame)

    def _store(self, frame: pl.DataFrame) -> None:
        frame = enrich(frame, self._source.stream, self._places)
        batch = f"{self._record.offset}-{self._batches}"
        frame = frame.with_columns(
            pl.lit(self._source.stream.topic).alias("feed"),
            pl.lit(self._arrival.payload).alias("payload"),
            pl.lit(batch).alias("batch_id"),
        )
        table = conform(frame, self._source.dataset)
        headers = {
            "raw": self._record.offset,
            "sha256": self._arrival.payload,
            "batch": batch,
            "rows": table.num_rows,
            "received_at": self._arrival.received_at.isoformat(),
            "arrived_s": self._record.appended_s,
            "days": self._days(frame),
        }
        topic = f"rows.{self._source.stream.topic}"
        self._outcome.batches.append(NewRecord(topic, None, headers, encode(table)))
        self._outcome.rows += table.num_rows
        self._batches += 1

    def _days(self, frame: pl.DataFrame) -> list[dict[str, object]]:
        """Rows and watermark of each market day in the batch, for the ledger; widens the payload's span."""
        time = self._source.dataset.partition
        end = "interval_end" if "interval_end" in frame.columns else time
        instant = frame[time].dtype != pl.Date
        day = day_of(frame[time], self._source.stream.clock) if instant else frame[time]
        days = frame.group_by(day.alias("day"), maintain_order=True).agg(
            pl.len().alias("rows"), pl.col(end).cast(pl.Datetime("us", "UTC")).max().alias("watermark")
        )
        self._outcome.widen(frame[time].min(), frame[time].max())
        return [
            {"partition": str(day), "rows": rows, "watermark": watermark.isoformat()}
            for day, rows, watermark in days.iter_rows()
        ]

    def _plain_arrival(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Arrival columns of datasets that are not interval prices: known when received."""
        names = self._source.dataset.names
        fixed = {
            "known_at": self._arrival.received_at,
            "known_basis": "received",
            "received_at": self._arrival.received_at,
            "published_at": self._arrival.published_at,
            "market": self._source.stream.market,
            "commodity": self._source.stream.commodity,
            "region": self._source.stream.market,
            "product_tier": self._source.stream.product_tier,
        }
        instant = pl.Datetime("us", "UTC")
        return frame.with_columns(
            pl.lit(value, dtype=instant if name.endswith("_at") else pl.String).alias(name)
            for name, value in fixed.items()
            if name in names and name not in frame.columns
        )

    def _withdraw(self, seen: Seen) -> None:
        gone = arrivals.retractions(self._arrival, seen)
        # A payload that lacks most places is a part of the day's file, not a correction of it.
        if not gone.height or gone.height > _PARTIAL * (self._outcome.rows + gone.height):
            return
        stream = self._source.stream
        frame = name_places(gone, self._places).with_columns(
            *(pl.lit(None, dtype=pl.Float64).alias(name) for name in ("lmp", "energy", "congestion", "loss", "ghg")),
            pl.lit(stream.market).alias("market"),
            pl.lit(stream.product).alias("product"),
            pl.lit(stream.market_run).alias("market_run"),
            pl.lit(0, dtype=pl.UInt32).alias("revision"),
        )
        self._store(arrivals.known(frame, stream, self._arrival, seen))
