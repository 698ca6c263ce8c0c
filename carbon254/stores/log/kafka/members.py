"""Sharing the partitions of a consumer's topics between processes, by a consumer group of Kafka.

The group only says who carries which partition; where each consumer is, the log knows. The group's own offsets are
committed with every transaction all the same: other tools see the lag, and a member that was declared dead is refused.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress

import structlog
from confluent_kafka import Consumer, KafkaException, TopicPartition

from .cluster import JOURNAL, Cluster, LogUnavailable, Told

_POLL_S = 0.2
_SESSION_MS = 10_000


class Member:
    """One process's part in one consumer's group. `changing` guards what must not run while partitions change hands."""

    def __init__(
        self,
        cluster: Cluster,
        consumer: str,
        prefixes: Sequence[str],
        changing: threading.RLock,
        gained: Callable[[], None],
    ) -> None:
        self._cluster, self.name, self._changing, self._gained = cluster, consumer, changing, gained
        self._owned: set[tuple[str, int]] = set()
        self._coming: set[tuple[str, int]] | None = None
        # Whoever has the journal's one partition carries everything: one process at a time.
        self.alone = tuple(prefixes) == (JOURNAL,)
        self._closed, self._told = threading.Event(), Told()
        self.membership: object = None
        self.joined = threading.Event()
        self.client = Consumer(
            cluster.config(
                **{
                    "group.id": f"{cluster.prefix}{cluster.group}.{consumer}",
                    "enable.auto.commit": False,
                    "auto.offset.reset": "earliest",
                    "isolation.level": "read_committed",
                    # In turn over all partitions, so that those of one busy topic go to different processes; the sticky
                    # strategy only evens out how many each has.
                    "partition.assignment.strategy": "roundrobin",
                    "session.timeout.ms": _SESSION_MS,
                    "heartbeat.interval.ms": 1_000,
                    "topic.metadata.refresh.interval.ms": 10_000,
                    "error_cb": self._told.hear,
                }
            )
        )
        patterns = ["^" + re.escape(cluster.topic(prefix)) + ".*" for prefix in prefixes]
        self.client.subscribe(patterns, on_assign=self._assign, on_revoke=self._revoke, on_lost=self._revoke)
        self._thread = threading.Thread(target=self._run, name=f"c254-group-{consumer}", daemon=True)
        self._thread.start()

    def owns(self, topic: str, partition: int) -> bool:
        """Whether this process carries the partition now."""
        return bool(self._owned) if self.alone else (topic, partition) in self._owned

    def partitions(self, topic: str) -> list[int]:
        """The partitions of a topic that this process carries."""
        return sorted(part for name, part in self._owned if name == topic)

    @property
    def held(self) -> int:
        """How many partitions this process carries."""
        return len(self._owned)

    def places(self, moved: Iterable[tuple[str, int, int]]) -> list[TopicPartition]:
        """(topic, partition, position) as Kafka is told them: where the next record is."""
        return [TopicPartition(self._cluster.topic(topic), part, position + 1) for topic, part, position in moved]

    def close(self) -> None:
        """Leave the group; its partitions go to the others at once."""
        self._closed.set()
        self._thread.join()
        self.client.close()

    def _run(self) -> None:
        journal = structlog.get_logger().bind(room="log", consumer=self.name)
        while not self._closed.is_set():
            # All partitions are paused, so that a poll only keeps the membership alive.
            with suppress(KafkaException, LogUnavailable):
                message = self.client.poll(_POLL_S)
                # Asked from this thread only: asked from another while this one polls, it never answers.
                self.membership = self.client.consumer_group_metadata()
                error = message.error() if message is not None else None
                if error is not None:
                    journal.warning("the group is in trouble", error=error.str())
                self._own()

    def _assign(self, client: Consumer, partitions: list[TopicPartition]) -> None:
        client.assign(partitions)
        client.pause(partitions)
        self._coming = self._names(partitions)

    def _own(self) -> None:
        """Carry what was given: what the owner before committed has to be known here first. Raises LogUnavailable."""
        coming = self._coming
        if coming is not None:
            self._gained()
            with self._changing:
                self._owned, self._coming = coming, None
            self.joined.set()

    def _revoke(self, client: Consumer, _partitions: list[TopicPartition]) -> None:
        """All of them are taken, and given out anew; what is under way ends first."""
        with self._changing:
            self._owned, self._coming = set(), None
        client.unassign()

    def _names(self, partitions: list[TopicPartition]) -> set[tuple[str, int]]:
        return {(one.topic.removeprefix(self._cluster.prefix), one.partition) for one in partitions}
