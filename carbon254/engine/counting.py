"""Counting the records of payloads: what the normaliser knows travels as `counts.<topic>`, the rest is found by rows.

A record of `counts.<topic>` says of one payload how many records it has and how many of them are rejected, held or
duplicates. Those whose rows went out are stored or confirmed, which is told where the rows are stored: a row is
confirmed where the version that stood before it has the same values.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa

from carbon254.clock import Clock
from carbon254.model import Dataset
from carbon254.model.arrival import arrival_in, arrival_number
from carbon254.stores.hot import HotStore
from carbon254.stores.hot.ddl import TABLES, keeps_versions
from carbon254.stores.hot.literal import within
from carbon254.stores.ledger import Counts, Ledger
from carbon254.stores.log import Log, NewRecord, Record

from .codec import unpack_numbers
from .outcome import Outcome
from .source import Source
from .standing import plain

PREFIX = "counts."
_BEYOND = timedelta(days=1)
_UTC = pl.Datetime("us", "UTC")


def counts_record(record: Record, outcome: Outcome) -> NewRecord:
    """What became of a payload's records, as a record of `counts.<topic>`, behind its rows."""
    tally, headers = outcome.tally, record.headers
    told = {
        "sha256": headers["sha256"],
        "name": headers["name"],
        "received_at": headers["received_at"],
        "records": tally.records if tally else 0,
        "rejected": tally.rejected if tally else 0,
        "held": tally.held if tally else 0,
        "duplicate": tally.duplicate if tally else 0,
        "letters": len(outcome.letters),
        "note": outcome.refused or outcome.part,
        "first": outcome.first,
        "last": outcome.last,
    }
    return NewRecord(f"{PREFIX}{record.topic.removeprefix('raw.')}", None, told, b"")


class Counting:
    """Keeps the counts in the ledger. Counting a payload again changes nothing."""

    def __init__(
        self, log: Log, hot: HotStore, ledger: Ledger, sources: Mapping[str, Source], clock: Clock, consumer: str
    ) -> None:
        self._log, self._hot, self._ledger, self._sources = log, hot, ledger, sources
        self._clock, self._consumer = clock, consumer
        self._newest: dict[str, Any] = {}

    def step(self, limit: int = 256) -> int:
        """Keep what pending payloads came to; how many there were."""
        records = self._log.read(self._consumer, PREFIX, limit)
        if not records:
            return 0
        self._ledger.count([_of_payload(record) for record in records], self._clock.now())
        last = {record.topic: record.offset for record in records}
        with self._log.transaction() as txn:
            for topic, offset in last.items():
                txn.commit(self._consumer, topic, offset)
        return len(records)

    def of_rows(self, records: Sequence[Record], tables: Sequence[pa.Table]) -> list[Counts]:
        """Stored and confirmed records of batches that are about to be stored together, in their order."""
        found, together = [], [record.headers["batch"] for record in records]
        before: dict[str, list[pl.DataFrame]] = {}
        for record, table in zip(records, tables, strict=True):
            source = self._sources[record.topic.removeprefix("rows.")]
            frame = _plain(pl.DataFrame(table), source.dataset)
            if "lines" in record.headers:
                news = self._news(source, record, frame, together, before.get(record.topic, []))
                found.append(_of_batch(record, news))
            before.setdefault(record.topic, []).append(frame)
        return found

    def _news(
        self,
        source: Source,
        record: Record,
        frame: pl.DataFrame,
        together: Sequence[str],
        before: Sequence[pl.DataFrame],
    ) -> np.ndarray:
        """True for rows that say something new."""
        everything = np.ones(frame.height, bool)
        if not frame.height:
            return everything
        kind = source.dataset
        # Asked of every batch, for it remembers how far the rows of the feed reach.
        maybe = self._may_be_stored(record.topic, kind, frame)
        if not record.headers.get("again", True):
            return everything
        # A provider's own versions of one price stand beside each other: each says anew only what differs from itself.
        about = [*kind.key, "revision"] if "revision" in kind.names else list(kind.key)
        names = [*about, *kind.values] if keeps_versions(kind) else about
        earlier = [one.select(list(dict.fromkeys([*names, *_versions(kind)]))) for one in before]
        if maybe:
            earlier.insert(0, self._stored(source, frame, together, names))
        rows = pl.concat(earlier, how="vertical_relaxed") if earlier else pl.DataFrame()
        if not rows.height:
            return everything
        stood = rows.sort(_versions(kind), maintain_order=True).unique(about, keep="last").select(names)
        keyed = frame.select(names).join(
            stood.with_columns(pl.lit(True).alias("_stood")), on=about, how="left", maintain_order="left",
            suffix="_before", nulls_equal=True,
        )  # fmt: skip
        same = [pl.col(name).eq_missing(pl.col(f"{name}_before")) for name in names[len(about) :]]
        known = keyed.select(pl.all_horizontal(pl.col("_stood").fill_null(False), *same).alias("known"))["known"]
        return ~known.to_numpy()

    def _may_be_stored(self, topic: str, kind: Dataset, frame: pl.DataFrame) -> bool:
        """Whether an earlier batch may hold these keys: not where all of them lie behind the newest ever stored."""
        first, last = frame[kind.partition].min(), frame[kind.partition].max()
        newest = self._newest.get(topic)
        if newest is None or newest < last:
            self._newest[topic] = last
        return newest is None or first <= newest

    def _stored(
        self, source: Source, frame: pl.DataFrame, together: Sequence[str], names: Sequence[str]
    ) -> pl.DataFrame:
        kind, time = source.dataset, source.dataset.partition
        low, high = frame[time].cast(pl.Datetime("us", "UTC")).sort().gather([0, -1]).to_list()
        columns = ", ".join(dict.fromkeys([*names, *_versions(kind)]))
        mine = ", ".join(f"'{one}'" for one in dict.fromkeys(together))
        where = f"feed = '{source.stream.topic}' AND {within(kind, low, high + _BEYOND)} AND batch_id NOT IN ({mine})"
        found = plain(self._hot, f"SELECT {columns} FROM {TABLES}.{kind.name} WHERE {where}")
        return found.select(list(dict.fromkeys([*names, *_versions(kind)])))


def _of_payload(record: Record) -> Counts:
    told, feed = record.headers, record.topic.removeprefix(PREFIX)
    return Counts(
        feed=feed,
        payload=arrival_number(feed, arrival_in(told)),
        batch="",
        sha256=told["sha256"],
        name=told["name"],
        received_at=told["received_at"],
        records=told["records"],
        rejected=told["rejected"],
        held=told["held"],
        duplicate=told["duplicate"],
        letters=told["letters"],
        note=told["note"],
        first=told["first"],
        last=told["last"],
    )


def _of_batch(record: Record, news: np.ndarray) -> Counts:
    headers = record.headers
    lines = unpack_numbers(headers["lines"])
    if "records" in headers:
        pairs = pl.DataFrame(
            {"record": unpack_numbers(headers["records"]), "line": unpack_numbers(headers["of_lines"])}
        ).filter(pl.col("line").is_in(lines))
    else:
        pairs = pl.DataFrame({"record": lines, "line": lines})
    fresh = np.unique(lines[news])
    told = pairs.with_columns(pl.col("line").is_in(fresh).alias("new")).group_by("record").agg(pl.col("new").any())
    stored, feed = int(told["new"].sum()), record.topic.removeprefix("rows.")
    return Counts(
        feed=feed,
        payload=arrival_number(feed, arrival_in(headers)),
        batch=headers["batch"],
        sha256=headers["sha256"],
        received_at=headers["received_at"],
        stored=stored,
        confirmed=told.height - stored,
    )


def _versions(kind: Dataset) -> list[str]:
    return [name for name in kind.version if name in kind.names]


def _plain(frame: pl.DataFrame, kind: Dataset) -> pl.DataFrame:
    """Text as strings and instants in microseconds, as what is read back."""
    names = dict.fromkeys([*kind.key, *kind.values, *_versions(kind), kind.partition])
    return frame.select(list(names)).with_columns(
        pl.col(pl.Categorical).cast(pl.String), pl.selectors.datetime(time_zone="*").cast(_UTC)
    )
