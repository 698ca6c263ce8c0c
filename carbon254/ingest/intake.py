"""Ticks that others push to Kafka come in as payloads: what waits in all partitions we hold, one message a line.

The positions in their topics are kept with the payload in one transaction of the log, so that a message is taken in
once, whatever dies meanwhile.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from carbon254.errors import Carbon254Error
from carbon254.stores.log import Log

from .inbox import Arrived, Inbox, Mark

PATTERN = r"ingestion\..*\.raw\.v1$"
TOPICS = ("ingestion.market.ticks.raw.v1",)
TOPIC = "market.ticks"
_SCOPE = "intake"
# Of ours, one payload under way and one waiting: what comes meanwhile makes one large payload and not many small ones.
_WAITING, _BEHIND = 2, 64


class Batch(Protocol):
    """Messages of one partition."""

    @property
    def topic(self) -> str: ...
    @property
    def partition(self) -> int: ...
    @property
    def positions(self) -> Sequence[int]: ...
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


@dataclass(frozen=True, slots=True)
class _Piece:
    """What of a partition was not taken in before."""

    span: str
    values: Sequence[bytes]
    mark: Mark


class Intake:
    """Takes pushed messages into the inbox."""

    def __init__(self, source: Source, inbox: Inbox, log: Log, now: Callable[[], datetime]) -> None:
        self._source, self._inbox, self._log, self._now = source, inbox, log, now

    def step(self) -> int:
        """Take in what came; how many messages. While the normaliser is behind, nothing is taken."""
        batches = self._source.take(not self._inbox.full and self._keeps_up())
        try:
            return self._accept([piece for batch in batches if (piece := self._fresh(batch))])
        except (Carbon254Error, OSError):
            for batch in batches:
                self._source.again(batch.topic, batch.partition, batch.positions[0])
            raise

    def _keeps_up(self) -> bool:
        raw = f"raw.{TOPIC}"
        return self._log.lag("normalise", raw, ours=True) < _WAITING and self._log.lag("normalise", raw) < _BEHIND

    def _fresh(self, batch: Batch) -> _Piece | None:
        place = f"{batch.topic}/{batch.partition}"
        kept = self._log.get_state(_SCOPE, place)
        # Positions have holes where their writer used transactions: counting on from the first would be wrong.
        known = bisect_left(batch.positions, int(kept) if kept else 0)
        if known == len(batch.positions):
            return None
        first, end = batch.positions[known], batch.positions[-1] + 1
        return _Piece(f"{place}/{first}-{end}", batch.values[known:], Mark(_SCOPE, place, kept, str(end).encode()))

    def _accept(self, pieces: Sequence[_Piece]) -> int:
        if not pieces:
            return 0
        # A line feed within a message can only stand between its words: a space says the same. The first space keeps
        # a message from being taken for the head of an archive.
        values = [value.replace(b"\r", b" ").replace(b"\n", b" ") for piece in pieces for value in piece.values]
        data = b" " + b"\n".join(values)
        marks = [piece.mark for piece in pieces]
        url = f"kafka:{','.join(piece.span for piece in pieces)}"
        # No other process holds one of these partitions, so that the lowest tells our payloads from theirs.
        subject = min(mark.key for mark in marks)
        self._inbox.accept(Arrived(TOPIC, data, "pushed.jsonl", self._now(), subject, url), marks)
        return len(values)

    def close(self) -> None:
        """Leave the group."""
        self._source.close()
