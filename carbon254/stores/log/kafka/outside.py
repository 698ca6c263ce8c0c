"""Messages that others push to topics of theirs, read in batches of one partition, from where we say.

The group shares partitions between our processes; where to read on is ours to keep, in the log's state, so that what
was taken in and where it ended are one transaction. A slow log pauses the partitions, and nothing piles up here.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from .cluster import Cluster, Told, unavailable

_POLL_S = 0.1
# What comes while a batch is under way makes the next one; alone, a message waits this long for company.
_LINGER_S = 0.02
_MANY = 5_000
_HOLD_S = 2.0


@dataclass(frozen=True, slots=True)
class Pushed:
    """Messages of one partition, oldest first, and their positions there."""

    topic: str
    partition: int
    positions: tuple[int, ...]
    values: tuple[bytes, ...]


class Outside:
    """Reads topics that match a pattern. `began` tells where a partition is to be read from, None for its beginning."""

    def __init__(self, cluster: Cluster, name: str, pattern: str, began: Callable[[str, int], int | None]) -> None:
        self._began, self._told, self._paused = began, Told(), False
        self._prefix, self._polled = cluster.prefix, time.monotonic()
        self._client = Consumer(
            cluster.config(
                **{
                    "group.id": f"{cluster.prefix}{cluster.group}.{name}",
                    "enable.auto.commit": False,
                    "auto.offset.reset": "earliest",
                    "isolation.level": "read_committed",
                    "partition.assignment.strategy": "cooperative-sticky",
                    "session.timeout.ms": 10_000,
                    "topic.metadata.refresh.interval.ms": 10_000,
                    "queued.max.messages.kbytes": 16_384,
                    "error_cb": self._told.hear,
                }
            )
        )
        self._client.subscribe(["^" + cluster.prefix.replace(".", r"\.") + pattern], on_assign=self._assign)

    def take(self, ready: bool) -> list[Pushed]:
        """What came, by partition; nothing while not `ready`. Raises LogUnavailable."""
        if not ready and not self._paused and time.monotonic() < self._polled + _HOLD_S:
            # A paused partition forgets what was fetched ahead: a short wait does without.
            return []
        self._pause(not ready)
        self._polled = time.monotonic()
        found: dict[tuple[str, int], list] = defaultdict(list)
        first = self._client.poll(_POLL_S)
        for message in [first, *self._client.consume(_MANY, _LINGER_S)] if first is not None else []:
            error = message.error()
            if error is None:
                found[message.topic() or "", message.partition() or 0].append(message)
            elif error.code() != KafkaError._PARTITION_EOF:
                raise unavailable("reading pushed messages", error.str())
        return [
            Pushed(
                topic.removeprefix(self._prefix), part,
                tuple(message.offset() or 0 for message in messages),
                tuple(message.value() or b"" for message in messages),
            )
            for (topic, part), messages in found.items()
        ]  # fmt: skip

    def again(self, topic: str, partition: int, first: int) -> None:
        """Read again from a position: what came after it could not be kept."""
        # Whoever has the partition by now begins where the log says.
        with suppress(KafkaException):
            self._client.seek(TopicPartition(self._prefix + topic, partition, first))

    def close(self) -> None:
        """Leave the group."""
        self._client.close()

    def _pause(self, wanted: bool) -> None:
        held = self._client.assignment()
        if wanted:
            self._client.pause(held)
        elif self._paused:
            self._client.resume(held)
        self._paused = wanted

    def _assign(self, client: Consumer, partitions: list[TopicPartition]) -> None:
        for one in partitions:
            began = self._began(one.topic.removeprefix(self._prefix), one.partition)
            if began is not None:
                one.offset = began
        client.incremental_assign(partitions)
