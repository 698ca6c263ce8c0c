"""Consumer `project`: rows.<topic> → hot store, latest prices, ledger.

Each is idempotent: the hot store keeps one row per distinct key, version and value; the cache keeps the newest; the
ledger counts payloads by their digest. The offset is committed last. What each has come to is marked in it, so that one
that was lost or swapped is seen: in the ledger with every step, in the hot store when nothing is pending.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

import polars as pl
import pyarrow as pa

from carbon254.clock import Clock
from carbon254.faults import reach
from carbon254.model import dataset
from carbon254.model.arrival import AGAIN_READ, arrival_in
from carbon254.stores.cache import Cache
from carbon254.stores.hot import HotStore
from carbon254.stores.hot.ddl import TABLES
from carbon254.stores.hot.literal import literal
from carbon254.stores.ledger import Ledger, Noted
from carbon254.stores.log import Log, NewRecord, Record
from carbon254.telemetry import Metrics

from .codec import decode
from .counting import Counting
from .marking import HOT, Marker, keep_offset
from .quarantine import Quarantine
from .source import Source

CONSUMER = "project"
MAX_ROWS = 400_000


class Projector:
    """Carries rows into what readers see."""

    def __init__(
        self,
        log: Log,
        hot: HotStore,
        cache: Cache,
        ledger: Ledger,
        sources: Mapping[str, Source],
        clock: Clock,
        metrics: Metrics,
        marker: Marker,
        unsettle: Callable[[Record], None],
    ) -> None:
        """`unsettle` is told of a record whose arrival stands otherwise in the hot store."""
        self._unsettle = unsettle
        self._marker, self._unmarked = marker, 0
        self._log, self._hot, self._cache, self._ledger = log, hot, cache, ledger
        self._sources, self._clock, self._metrics = sources, clock, metrics
        self._kept: set[str] = set()
        self._quarantine = Quarantine(log, hot, sources, clock, CONSUMER)
        self._counting = Counting(log, hot, ledger, sources, clock, CONSUMER)

    def step(self, limit: int = 64) -> int:
        """Carry what is pending, up to `limit` records and about MAX_ROWS rows; returns the number of records."""
        held = self._quarantine.step()
        reach("project.held")
        records = within(self._log.read(CONSUMER, "rows.", limit), MAX_ROWS)
        if not records:
            self._keep_mark()
            return held + self._counting.step()
        by_dataset: dict[str, list[Record]] = defaultdict(list)
        for record in records:
            by_dataset[self._source(record).stream.dataset].append(record)
        for name, group in by_dataset.items():
            tables = [decode(record.body) for record in group]
            # Before they are stored, for afterwards they would confirm themselves.
            self._ledger.count(self._counting.of_rows(group, tables), self._clock.now())
            table = pa.concat_tables(tables).unify_dictionaries()
            for record in group:
                if record.headers.get(AGAIN_READ) and self._stands_otherwise(record, name):
                    self._unsettle(record)
            self._hot.insert(name, table, _token(group))
            reach("project.inserted")
            self._metrics.stored.labels(name).inc(table.num_rows)
            self._remember_latest(name, table)
            reach("project.cached")
            seen_s = self._clock.now().timestamp()
            for record in group:
                self._metrics.visible.observe(max(0.0, seen_s - record.headers["arrived_s"]))
                self._quarantine.passed(record)
        reach("project.stored")
        self._note(records)
        reach("project.noted")
        commit(self._log, CONSUMER, records)
        self._unmarked = max(record.offset for record in records)
        reach("project.done")
        return held + len(records) + self._counting.step()

    def _stands_otherwise(self, record: Record, name: str) -> bool:
        """Whether the store has rows of the record's arrival that this reading of it did not give."""
        kind, headers = dataset(name), record.headers
        if not {"payload", "received_at", "batch_id"} <= set(kind.names):
            return False
        feed = record.topic.removeprefix("rows.")
        kept = self._log.get_state(f"batches:raw.{feed}", arrival_in(headers))
        mine = ", ".join(literal(one) for one in (json.loads(kept) if kept else [headers["batch"]]))
        received = literal(datetime.fromisoformat(headers["received_at"]))
        where = f"feed = {literal(feed)} AND payload = {literal(headers['sha256'])} AND received_at = {received}"
        sql = f"SELECT 1 AS x FROM {TABLES}.{name} WHERE {where} AND batch_id NOT IN ({mine}) LIMIT 1"
        return bool(self._hot.fetch(sql).num_rows)

    def note_again(self, records: Sequence[Record], counts: NewRecord) -> None:
        """Tell a ledger that is made again what a payload came to: its batches, none of which is stored anew."""
        tables = [decode(record.body) for record in records]
        self._ledger.count(self._counting.of_rows(records, tables), self._clock.now())
        if records:
            self._note(records)
        self._counting.keep([Record(0, counts.topic, counts.key, dict(counts.headers))])

    def _keep_mark(self) -> None:
        """Mark in the hot store how far it has come; the log is told after it, and is never ahead of it."""
        if self._unmarked:
            self._hot.keep_mark(self._marker.at(self._unmarked))
            reach("project.marked")
            keep_offset(self._log, HOT, self._unmarked)
            self._unmarked = 0

    def _source(self, record: Record) -> Source:
        return self._sources[record.topic.removeprefix("rows.")]

    def _remember_latest(self, name: str, table: pa.Table) -> None:
        if name == "interval_prices":
            self._cache.put(pl.DataFrame(table))
        elif name == "market_ticks":
            self._cache.put_ticks(pl.DataFrame(table))

    def _note(self, records: Sequence[Record]) -> None:
        """What the ledger holds about a partition follows from its payloads, so noting it twice changes nothing."""
        noted = [
            Noted(
                feed=record.topic.removeprefix("rows."),
                partition=day["partition"],
                payload=f"{arrival_in(record.headers)} {record.headers['batch']}",
                rows=day["rows"],
                watermark=day["watermark"],
                received_at=record.headers["received_at"],
                cells=tuple((name, periods) for name, periods in day.get("cells", ())),
                code=self._source(record).code,
            )
            for record in records
            for day in record.headers["days"]
        ]
        now = self._clock.now()
        self._keep_places({name for part in noted for name, _ in part.cells})
        reach("project.placed")
        self._ledger.complete(noted, now, mark=self._marker.at(max(record.offset for record in records)))
        for feed in {part.feed for part in noted}:
            self._metrics.success.labels(feed).set(now.timestamp())

    def _keep_places(self, names: set[str]) -> None:
        """Sets of places that the ledger has not seen from here yet; it must know them before it counts them."""
        new = names - self._kept
        if new:
            stored = {name: self._log.get_state("places", name) for name in new}
            self._ledger.keep_places({name: json.loads(listed) for name, listed in stored.items() if listed})
            self._kept |= new


def within(records: Sequence[Record], rows: int) -> list[Record]:
    """The first records that hold about `rows` rows together; always at least one."""
    taken, total = [], 0
    for record in records:
        if taken and total + record.headers["rows"] > rows:
            break
        taken.append(record)
        total += record.headers["rows"]
    return taken


def commit(log: Log, consumer: str, records: Sequence[Record]) -> None:
    """Commit the last offset of each topic among `records`."""
    last = {record.topic: record.offset for record in records}
    with log.transaction() as txn:
        for topic, offset in last.items():
            txn.commit(consumer, topic, offset)


def _token(records: Sequence[Record]) -> str:
    """What names the content of a group of records, in whatever log they stand."""
    told = ",".join(f"{one.topic} {arrival_in(one.headers)} {one.headers['batch']}" for one in records)
    return hashlib.sha256(told.encode()).hexdigest()
