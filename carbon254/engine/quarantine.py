"""The quarantine: held rows as rows of a table of their own, with what became of each of them.

A held row travels the log in `held.<topic>` and is stored in `quarantine` in the hot store and the lake. When a later
payload brings its key again and passes, it is marked resolved; when a person publishes it, released. The table is a
view of the log like any other: what happens to a row is another record.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import polars as pl
import pyarrow as pa

from carbon254.calendars import day_of
from carbon254.clock import Clock
from carbon254.model import Dataset, dataset
from carbon254.model.arrival import arrived_in
from carbon254.model.arrow import conform
from carbon254.stores.hot import HotStore
from carbon254.stores.log import Log, NewRecord, Record

from .codec import decode, encode
from .source import Source
from .standing import plain

HELD, RELEASED, RESOLVED = "held", "released", "resolved"
TABLE = "quarantine"
PREFIX = "held."
_INSTANT = "%Y-%m-%dT%H:%M:%S%.6fZ"
_UTC = pl.Datetime("us", "UTC")
_SHARED = ("market", "market_run", "location_id", "interval_start", "interval_end")


@dataclass(frozen=True, slots=True)
class Release:
    """A person's decision that a held row may go out."""

    at: datetime
    who: str
    why: str


def held_rows(held: pl.DataFrame, source: Source, payload: str, received_at: datetime) -> pl.DataFrame:
    """Rows of `quarantine` for the held rows of a batch, in their order. `held` has `_check` and `_reason`."""
    kind = source.dataset
    names = [one.name for one in kind.columns if one.role in ("key", "value") or one.name == "revision"]
    told = held.select(_plain(held, name) for name in names if name in held.columns)
    texts = told.select(pl.struct(pl.all()).struct.json_encode().alias("row"))["row"]
    mark = f"{source.stream.topic}|{payload}|"
    ids = [hashlib.sha256((mark + text).encode()).hexdigest()[:24] for text in texts]
    time = held[kind.partition]
    day = time if time.dtype == pl.Date else day_of(time, source.stream.clock)
    shared = [name for name in _SHARED if name in held.columns]
    # A dataset may share no column with the quarantine: the rows are counted by their reason then.
    return held.select(*shared, pl.col("_reason").alias("reason")).with_columns(
        pl.lit(source.stream.topic).alias("feed"),
        pl.Series("row_id", ids, dtype=pl.String),
        pl.lit(HELD).alias("status"),
        held["_check"].alias("check_id"),
        held["_reason"].alias("reason"),
        day.alias("market_day"),
        texts,
        pl.lit(received_at).cast(_UTC).alias("held_at"),
        pl.lit(received_at).cast(_UTC).alias("changed_at"),
        pl.lit(payload).alias("payload"),
    )


def held_record(rows: pl.DataFrame, source: Source, key: str) -> NewRecord:
    """The rows as a record of `held.<topic>`; a second one of the same key is the same record."""
    table = conform(rows.unique("row_id", keep="first", maintain_order=True), dataset(TABLE))
    return NewRecord(f"{PREFIX}{source.stream.topic}", key, {"rows": table.num_rows}, encode(table))


def changed(rows: pl.DataFrame, status: str, at: datetime, by: str, why: str) -> pl.DataFrame:
    """The rows of `quarantine` with another status."""
    return rows.with_columns(
        pl.lit(status).alias("status"),
        pl.max_horizontal(pl.col("changed_at"), pl.lit(at).cast(_UTC)).alias("changed_at"),
        pl.lit(by).alias("resolved_by"),
        pl.lit(why).alias("why"),
    )


def releases(log: Log, topic: str, ids: Sequence[str]) -> Mapping[str, Release]:
    """Which of the rows a person released."""
    found = {}
    for row_id in ids:
        kept = log.get_state(f"released:{topic}", row_id)
        if kept:
            told = json.loads(kept)
            found[row_id] = Release(datetime.fromisoformat(told["at"]), told["who"], told["why"])
    return found


def open_rows(hot: HotStore, topic: str, where: str = "1") -> pl.DataFrame:
    """Rows of a feed that are held now, as `quarantine` has them."""
    names = ", ".join(dataset(TABLE).names)
    mine = f"feed = '{topic}' AND status = '{HELD}' AND ({where})"
    return plain(hot, f"SELECT {names} FROM {TABLE} WHERE {mine} ORDER BY held_at, row_id")


class Quarantine:
    """Carries held rows into the hot store, and marks those that a later payload put right."""

    def __init__(self, log: Log, hot: HotStore, sources: Mapping[str, Source], clock: Clock, consumer: str) -> None:
        self._log, self._hot, self._sources, self._clock, self._consumer = log, hot, sources, clock, consumer
        self._open: dict[str, pl.DataFrame] = {}

    def step(self, limit: int = 256) -> int:
        """Store pending records of held rows; returns how many there were."""
        records = self._log.read(self._consumer, PREFIX, limit)
        if not records:
            return 0
        table = pa.concat_tables([decode(record.body) for record in records]).unify_dictionaries()
        self._hot.insert(TABLE, table, "held " + ",".join(f"{record.topic} {record.key}" for record in records))
        for record in records:
            self._open.pop(record.topic.removeprefix(PREFIX), None)
        last = {record.topic: record.offset for record in records}
        with self._log.transaction() as txn:
            for topic, offset in last.items():
                txn.commit(self._consumer, topic, offset)
        return len(records)

    def passed(self, record: Record) -> None:
        """Rows of a payload went out: rows held earlier for the same keys are resolved by it."""
        topic = record.topic.removeprefix("rows.")
        waiting = self._waiting(topic)
        if not waiting.height or record.headers.get("released"):
            return
        source = self._sources[topic]
        arrived = arrived_in(record.headers)
        held_at, payload = pl.col("held_at"), pl.col("payload").cast(pl.String)
        mine = waiting.filter((held_at < arrived[0]) | ((held_at == arrived[0]) & (payload <= arrived[1])))
        if not mine.height:
            return
        key = list(source.dataset.key)
        rows = pl.DataFrame(decode(record.body).select(key)).with_columns(pl.col(pl.Categorical).cast(pl.String))
        back = mine.join(rows.unique(), on=key, how="semi").select(dataset(TABLE).names)
        if back.height:
            payload = record.headers["sha256"]
            done = changed(back, RESOLVED, self._clock.now(), payload, "a payload brought the key again, and it passed")
            self._log.append([held_record(done, source, f"resolved-{record.headers['batch']}-{payload[:16]}")])

    def _waiting(self, topic: str) -> pl.DataFrame:
        """Open rows of a feed with the key columns of its dataset beside them; read once, and after each change."""
        if topic not in self._open:
            rows = open_rows(self._hot, topic)
            self._open[topic] = with_key(rows, self._sources[topic].dataset) if rows.height else rows
        return self._open[topic]


def with_key(rows: pl.DataFrame, kind: Dataset) -> pl.DataFrame:
    """Rows of `quarantine` with the key of their own dataset, read from `row`, in columns that take those names."""
    told: dict[str, Any] = {name: [] for name in kind.key}
    for text in rows["row"]:
        parts = json.loads(text)
        for name in kind.key:
            told[name].append(parts.get(name))
    typed = []
    for name in kind.key:
        column = pl.Series(name, told[name])
        if kind.column(name).type == "timestamp":
            column = (
                column.cast(pl.String)
                .str.to_datetime("%Y-%m-%dT%H:%M:%S%.fZ", time_unit="us")
                .dt.replace_time_zone("UTC")
            )
        elif kind.column(name).type == "date":
            column = column.cast(pl.String).str.to_date()
        typed.append(column)
    return rows.with_columns(typed)


def _plain(frame: pl.DataFrame, name: str) -> pl.Expr:
    if isinstance(frame.schema[name], pl.Datetime):
        return pl.col(name).dt.convert_time_zone("UTC").dt.strftime(_INSTANT).alias(name)
    if frame.schema[name] == pl.Date:
        return pl.col(name).cast(pl.String)
    return pl.col(name).cast(pl.String) if isinstance(frame.schema[name], pl.Categorical | pl.Enum) else pl.col(name)


def kept_release(release: Release) -> bytes:
    """A release as it is kept in the log's state."""
    told = {"at": release.at.astimezone(UTC).isoformat(), "who": release.who, "why": release.why}
    return json.dumps(told).encode()
