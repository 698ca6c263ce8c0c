"""The topics on the cluster: how many partitions each has, and making those that are asked for."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewPartitions, NewTopic

from carbon254.errors import SettingsError

from .cluster import ASK_S, LARGEST, Cluster, cause, unavailable

# What readers and writers around the platform call these already.
OUTSIDE = {"dlq.market.ticks": "processing.deadletter.market.ticks.v1"}
FOR_EVER = {"retention.ms": "-1", "retention.bytes": "-1"}
_KEPT = {"compression.type": "zstd", "cleanup.policy": "delete", "max.message.bytes": str(LARGEST)}


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic as it should be. `settings` add to compression, clean-up and the largest message."""

    name: str
    partitions: int = 1
    settings: Mapping[str, str] = field(default_factory=lambda: dict(FOR_EVER))


class Topics:
    """Knows partitions by topic, asked for once. With `make`, topics that are missing are made when first written."""

    def __init__(self, cluster: Cluster, admin: AdminClient, make: bool = False) -> None:
        self._cluster, self._admin, self._make = cluster, admin, make
        self._known: dict[str, int] = {}
        self._lock = threading.Lock()

    @property
    def journal(self) -> str:
        return self._cluster.journal

    def name(self, topic: str) -> str:
        """The topic's name on the cluster."""
        return self._cluster.topic(OUTSIDE.get(topic, topic))

    def partitions(self, topic: str) -> int:
        """How many partitions the topic has. Raises SettingsError where there is no such topic."""
        with self._lock:
            if topic not in self._known:
                count = self._ask(topic)
                if not count and self._make:
                    ensure(self._cluster, self._admin, [Topic(topic)])
                    count = 1
                if not count:
                    raise SettingsError(
                        f"C254_KAFKA_BOOTSTRAP={self._cluster.bootstrap}: topic {self.name(topic)} is missing; "
                        "make it with: c254 bootstrap"
                    )
                self._known[topic] = count
            return self._known[topic]

    def _ask(self, topic: str) -> int:
        try:
            found = self._admin.list_topics(self.name(topic), timeout=ASK_S).topics[self.name(topic)]
        except KafkaException as error:
            raise unavailable(f"asking for topic {topic}", error) from error
        return 0 if found.error is not None else len(found.partitions)


@dataclass(frozen=True, slots=True)
class Made:
    """What `ensure` found and did of a topic: created, widened, or there."""

    name: str
    did: str


def ensure(
    cluster: Cluster, admin: AdminClient, topics: Iterable[Topic], replicas: int = -1, in_sync: int = 0
) -> list[Made]:
    """Make what is missing, and add partitions where there are fewer. Nothing is taken away, no setting changed.

    `replicas` -1 is the cluster's own default; `in_sync` 0 too. Raises SettingsError where the cluster refuses.
    """
    there = admin.list_topics(timeout=ASK_S).topics
    done, fresh = [], []
    more = {"min.insync.replicas": str(in_sync)} if in_sync else {}
    for topic in topics:
        name = cluster.topic(OUTSIDE.get(topic.name, topic.name))
        if name not in there:
            config = _KEPT | more | dict(topic.settings)
            fresh.append(NewTopic(name, topic.partitions, replicas, config=config))
        elif len(there[name].partitions) < topic.partitions:
            done.append(_widen(admin, name, topic.partitions))
        else:
            done.append(Made(name, "there"))
    for name, future in (admin.create_topics(fresh, operation_timeout=ASK_S) if fresh else {}).items():
        try:
            future.result()
            done.append(Made(name, "created"))
        except KafkaException as error:
            if cause(error).code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise SettingsError(f"topic {name} cannot be made: {cause(error).str()}") from error
            done.append(Made(name, "there"))
    return done


def _widen(admin: AdminClient, name: str, partitions: int) -> Made:
    for future in admin.create_partitions([NewPartitions(name, partitions)]).values():
        future.result()
    return Made(name, f"widened to {partitions} partitions")
