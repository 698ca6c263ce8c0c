"""What a transaction did, as one message of the journal: the order of these messages is the order of the log.

A transaction that appends writes an opening mark first. The mark's place in the journal is given within the
transaction, and makes the offsets of its records: nobody who reads committed messages sees a later mark before it.
"""

from __future__ import annotations

import base64
from dataclasses import asdict, dataclass, field
from typing import Any

import orjson

OPENING, DONE = b"open", b"done"
_ROOM = 16
MOST_RECORDS = (1 << _ROOM) - 1


def offset_of(mark: int, number: int) -> int:
    """The log's offset of a transaction's record: `mark` is the mark's place, `number` counts from 0."""
    return (mark + 1 << _ROOM) + number


@dataclass(frozen=True, slots=True)
class Placed:
    """A record and where it lies: the body is at `position` of the topic's partition."""

    offset: int
    topic: str
    partition: int
    position: int
    key: str | None
    appended_s: float


@dataclass(frozen=True, slots=True)
class Move:
    """A consumer's offset in a partition; `before` is where the writer believed it to be."""

    consumer: str
    topic: str
    partition: int
    offset: int
    before: int


@dataclass(slots=True)
class Manifest:
    """All that a transaction did. `reads` are (scope, key, version) of state it went by."""

    mark: int | None = None
    records: list[Placed] = field(default_factory=list)
    moves: list[Move] = field(default_factory=list)
    states: list[tuple[str, str, bytes]] = field(default_factory=list)
    reads: list[tuple[str, str, int]] = field(default_factory=list)
    letters: list[dict[str, Any]] = field(default_factory=list)
    resolved: list[tuple[list[int], str]] = field(default_factory=list)
    trims: list[tuple[str, int, int]] = field(default_factory=list)
    published: int = 0

    @property
    def idle(self) -> bool:
        """Whether there is nothing to write."""
        return not (self.moves or self.trims or self.decides)

    @property
    def decides(self) -> bool:
        """Whether it wrote what must not be written twice or over something newer."""
        return bool(self.records or self.states or self.letters or self.resolved or self.published)

    def encode(self) -> bytes:
        """As JSON; bytes that are no text as base64."""
        plain = asdict(self)
        plain["states"] = [(scope, key, *_told(value)) for scope, key, value in self.states]
        return orjson.dumps(plain)


def decode(data: bytes) -> Manifest:
    """A manifest as it was written."""
    plain = orjson.loads(data)
    plain["records"] = [Placed(**one) for one in plain["records"]]
    plain["moves"] = [Move(**one) for one in plain["moves"]]
    plain["states"] = [(scope, key, _value(text, coded)) for scope, key, text, coded in plain["states"]]
    return Manifest(**plain)


def _told(value: bytes) -> tuple[str, bool]:
    try:
        return value.decode(), False
    except UnicodeDecodeError:
        return base64.b64encode(value).decode(), True


def _value(text: str, coded: bool) -> bytes:
    return base64.b64decode(text) if coded else text.encode()
