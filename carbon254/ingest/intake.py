"""Ticks that others push to Kafka come in as payloads: a batch of messages of one partition, one a line.

The position in their topic is kept with the payload in one transaction of the log, so that a batch is taken in once,
whatever dies meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Protocol

from carbon254.errors import Carbon254Error
from carbon254.stores.log import Log

from .inbox import Arrived, Inbox, Mark

PATTERN = r"ingestion\..*\.raw\.v1$"
TOPICS = ("ingestion.market.ticks.raw.v1",)
TOPIC = "market.ticks"
_SCOPE = "intake"
_BEHIND = 64


class Batch(Protocol):
    """Messages of one partition."""

    @property
    def topic(self) -> str: ...
    @property
    def partition(self) -> int: ...
    @property
    def first(self) -> int: ...
    @property
    def next(self) -> int: ...
    @property
    def values(self) -> Sequence[bytes]: ...


class Source(Protocol):
    """Where pushed messages come from."""

    def take(self, ready: bool) -> Sequence[Batch]: ...
    def again(self, topic: str, partition: int, first: int) -> None: ...
    def close(self) -> None: ...


def began(log: Log, topic: str, partition: int) -> int | None:
    """Where to read a partition from: behind what was taken in."""
    kept = log.get_state(_SCOPE, f"{topic}/{partition}")
    return int(kept) if kept else None


class Intake:
    """Takes pushed messages into the inbox."""

    def __init__(self, source: Source, inbox: Inbox, log: Log, now: Callable[[], datetime]) -> None:
        self._source, self._inbox, self._log, self._now = source, inbox, log, now

    def step(self) -> int:
        """Take in what came; how many messages. While the normaliser is behind, nothing is taken."""
        ready = not self._inbox.full and self._log.lag("normalise", f"raw.{TOPIC}") < _BEHIND
        batches = list(self._source.take(ready))
        taken = 0
        while batches:
            try:
                taken += self._accept(batches[0])
            except (Carbon254Error, OSError):
                for left in batches:
                    self._source.again(left.topic, left.partition, left.first)
                raise
            batches.pop(0)
        return taken

    def _accept(self, batch: Batch) -> int:
        place = f"{batch.topic}/{batch.partition}"
        kept = self._log.get_state(_SCOPE, place)
        before = int(kept) if kept else 0
        if batch.next <= before:
            return 0
        values = batch.values[max(0, before - batch.first) :] if before > batch.first else batch.values
        # A line feed within a message can only stand between its words: a space says the same.
        data = b"\n".join(value.replace(b"\r", b" ").replace(b"\n", b" ") for value in values)
        name = f"{place}/{max(before, batch.first)}-{batch.next}.jsonl"
        mark = Mark(_SCOPE, place, kept, str(batch.next).encode())
        self._inbox.accept(Arrived(TOPIC, data, "", self._now(), subject=place, url=f"kafka:{name}"), mark)
        return len(values)

    def close(self) -> None:
        """Leave the group."""
        self._source.close()
