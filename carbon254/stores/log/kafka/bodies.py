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
# Each follows one partition, and fetches ahead up to its share of the memory.
_IDLE, _AHEAD_KB = 12, 6_144
Place = tuple[str, int]


class Bodies:
    """Reads messages at known positions."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster, self._lock = cluster, threading.Lock()
        self._idle: list[_Reader] = []

    def fetch(self, wanted: Sequence[Placed]) -> list[Record]:
        """The records, in the order asked for. Raises CorruptRecord, LogUnavailable."""
        places: dict[Place, list[int]] = defaultdict(list)
        for one in wanted:
            places[one.topic, one.partition].append(one.position)
        found: dict[Place, dict[int, Message]] = {}
        for place, positions in places.items():
            with self._reader(place, min(positions)) as reader:
                found[place] = reader.read(place, sorted(positions))
        return [record_of(found[one.topic, one.partition][one.position], one) for one in wanted]

    def close(self) -> None:
        """Close the consumers."""
        with self._lock:
            for reader in self._idle:
                reader.close()
            self._idle.clear()

    @contextmanager
    def _reader(self, place: Place, first: int) -> Iterator[_Reader]:
        with self._lock:
            reader = next((one for one in self._idle if one.follows(place, first)), None)
            if reader is None and len(self._idle) >= _IDLE:
                reader = self._idle[0]
            if reader is not None:
                self._idle.remove(reader)
        reader = reader or _Reader(self._cluster)
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
    """A consumer that reads one partition onward."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster, self._told = cluster, Told()
        self._place: Place = "", 0
        self._next = 0
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
                    "queued.max.messages.kbytes": _AHEAD_KB,
                    "error_cb": self._told.hear,
                }
            )
        )

    def follows(self, place: Place, first: int) -> bool:
        """Whether it is just before a position."""
        return place == self._place and 0 <= first - self._next <= _NEAR

    def read(self, place: Place, positions: Sequence[int]) -> dict[int, Message]:
        """The messages at these positions, which ascend."""
        if not self.follows(place, positions[0]):
            self._place, self._next = place, positions[0]
            self._consumer.assign([TopicPartition(self._cluster.topic(place[0]), place[1], positions[0])])
        left, found = set(positions), dict[int, Message]()
        limit = time.monotonic() + _PATIENCE_S
        while left:
            # Never more than is wanted: what is taken beyond it would have to be fetched again.
            for message in self._consumer.consume(min(len(left), _MANY), 0.1):
                position = self._took(message)
                if position in left:
                    left.remove(position)
                    found[position] = message
                    limit = time.monotonic() + _PATIENCE_S
            if left and time.monotonic() > limit:
                raise unavailable("reading records", self._told.last or f"{len(left)} did not come")
        return found

    def _took(self, message: Message) -> int:
        """The position of a message; -1 where it is of what was assigned before, which may come after all."""
        topic, part = self._place
        if message.topic() and (message.topic(), message.partition()) != (self._cluster.topic(topic), part):
            return -1
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
        position = message.offset() or 0
        self._next = position + 1
        return position

    def close(self) -> None:
        self._consumer.close()
