"""Consumer `publish`: rows.<topic> → Avro records on the topics that other tools read.

Rows leave enriched, as they are in our own tables, framed for a schema registry. Messages and offset are one
transaction of the log, so that readers of committed messages see each row once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import polars as pl

from carbon254.model import Stream
from carbon254.model.arrival import arrival_in
from carbon254.model.avro import published_schema
from carbon254.stores.log import Log, Published, Record
from carbon254.wire.avro import Encoder
from carbon254.wire.registry import SchemaRegistry, frame

from .codec import decode
from .projector import within
from .source import Source

CONSUMER = "publish"
MAX_ROWS = 50_000
# Where readers already know a topic by another name than the feed's.
_OUTSIDE = {"market.ticks": "enriched.market.ticks.v1"}
_KEYS = ("location_id", "instrument")


def published_topic(stream: Stream) -> str:
    """The topic outside that a feed's rows go to."""
    return _OUTSIDE.get(stream.topic, stream.topic)


class Publisher:
    """Carries rows to readers outside."""

    def __init__(self, log: Log, registry: SchemaRegistry, sources: Mapping[str, Source], prefix: str = "") -> None:
        self._log, self._registry, self._sources, self._prefix = log, registry, sources, prefix
        self._encoders: dict[str, Encoder] = {}

    def step(self, limit: int = 32) -> int:
        """Publish what is pending, up to about MAX_ROWS rows; returns the number of records."""
        records = within(self._log.read(CONSUMER, "rows.", limit), MAX_ROWS)
        if records:
            # An open transaction holds up every reader: what takes long is done before it.
            messages = [message for record in records for message in self._messages(record)]
            with self._log.transaction() as txn:
                txn.publish(messages)
                for record in records:
                    txn.commit(CONSUMER, record.topic, record.offset)
        return len(records)

    def _messages(self, record: Record) -> Iterator[Published]:
        source = self._sources[record.topic.removeprefix("rows.")]
        topic = published_topic(source.stream)
        schema, renamed = published_schema(source.dataset, source.stream.topic)
        if topic not in self._encoders:
            self._encoders[topic] = Encoder(schema, renamed)
        table = decode(record.body)
        head = frame(self._registry.id(self._prefix + topic, schema))
        key = next((name for name in _KEYS if name in table.column_names), None)
        keys = pl.Series(table.column(key)).to_list() if key else [None] * table.num_rows
        # A message cannot be taken back: by these a reader tells one that comes again, also out of another log.
        told = {"arrival": arrival_in(record.headers), "batch": record.headers["batch"]}
        for name, body in zip(keys, self._encoders[topic].encode(table, head), strict=True):
            yield Published(topic, name.encode() if name else None, body, told)
