"""Fetching records by where they lie. Consumers are kept open, and go on where they are when the next read follows."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from carbon254.errors import CorruptRecord

from ..port import Record
from .cluster import Cluster, Told, unavailable
from .manifest import Placed
from .messages import record_of

_PATIENCE_S = 15.0
_MANY = 256
# Transaction markers lie between records; a few of them are passed over faster than a new fetch begins.
_NEAR = 64
_IDLE = 4
Place = tuple[str, int]


class Bodies:
    """Reads messages at known positions."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster, self._lock = cluster, threading.Lock()
        self._idle: list[_Reader] = []

    def fetch(self, wanted: Sequence[Placed]) -> list[Record]:
        """The records, in the order asked for. Raises CorruptRecord, LogUnavailable."""
        if not wanted:
            return []
        places: dict[Place, list[int]] = defaultdict(list)
        for one in wanted:
            places[one.topic, one.partition].append(one.position)
        with self._reader(frozenset(places)) as reader:
            found = reader.read({place: sorted(positions) for place, positions in places.items()})
        return [record_of(found[one.topic, one.partition, one.position], one) for one in wanted]

    def close(self) -> None:
        """Close the consumers."""
        with self._lock:
            for reader in self._idle:
                reader.close()
            self._idle.clear()

    @contextmanager
    def _reader(self, places: frozenset[Place]) -> Iterator[_Reader]:
        with self._lock:
            best = next((one for one in self._idle if one.places == places), self._idle[0] if self._idle else None)
            if best is not None:
                self._idle.remove(best)
        reader = best or _Reader(self._cluster)
        try:
            yield reader
        except BaseException:
            reader.close()
            raise
        with self._lock:
            self._idle.append(reader)
            spare = self._idle.pop(0) if len(self._idle) > _IDLE else None
        if spare is not None:
            spare.close()


class _Reader:
    def __init__(self, cluster: Cluster) -> None:
        self._cluster, self._told = cluster, Told()
        self._next: dict[Place, int] = {}
        self._consumer = Consumer(
            cluster.config(
                **{
                    "group.id": f"{cluster.group}.reader",
                    "enable.auto.commit": False,
                    "isolation.level": "read_committed",
                    "auto.offset.reset": "error",
                    "check.crcs": True,
                    "fetch.wait.max.ms": 20,
                    "fetch.message.max.bytes": 8 << 20,
                    "queued.max.messages.kbytes": 16_384,
                    "error_cb": self._told.hear,
                }
            )
        )

    @property
    def places(self) -> frozenset[Place]:
        return frozenset(self._next)

    def read(self, wanted: dict[Place, list[int]]) -> dict[tuple[str, int, int], Message]:
        """The messages at these positions."""
        if not self._follows(wanted):
            self._next = {place: positions[0] for place, positions in wanted.items()}
            self._consumer.assign(
                [TopicPartition(self._cluster.topic(topic), part, at) for (topic, part), at in self._next.items()]
            )
        left = {(*place, position) for place, positions in wanted.items() for position in positions}
        found: dict[tuple[str, int, int], Message] = {}
        limit = time.monotonic() + _PATIENCE_S
        while left:
            # Never more than is wanted: what is taken beyond it would have to be fetched again.
            for message in self._consumer.consume(min(len(left), _MANY), 0.1):
                place = self._took(message)
                if place in left:
                    left.remove(place)
                    found[place] = message
                    limit = time.monotonic() + _PATIENCE_S
            if left and time.monotonic() > limit:
                raise unavailable("reading records", self._told.last or f"{len(left)} did not come")
        return found

    def _follows(self, wanted: dict[Place, list[int]]) -> bool:
        """Whether the consumer is just before what is wanted, in each partition it reads."""
        if set(wanted) != set(self._next):
            return False
        return all(0 <= positions[0] - self._next[place] <= _NEAR for place, positions in wanted.items())

    def _took(self, message: Message) -> tuple[str, int, int]:
        error = message.error()
        if error is not None:
            name = f"{message.topic()} at {message.offset()}"
            if error.code() in (KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE):
                raise CorruptRecord(f"record of {name} is no longer kept; rebuild it: c254 feeds replay")
            if error.code() == KafkaError._BAD_MSG:
                raise CorruptRecord(f"record of {name} does not match its checksum; rebuild it: c254 feeds replay")
            if error.fatal():
                raise KafkaException(error)
            raise unavailable("reading records", error.str())
        topic = (message.topic() or "").removeprefix(self._cluster.prefix)
        part, position = message.partition() or 0, message.offset() or 0
        self._next[topic, part] = position + 1
        return topic, part, position

    def close(self) -> None:
        self._consumer.close()
