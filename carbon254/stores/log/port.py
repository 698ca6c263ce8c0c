"""The log's vocabulary: records in topics, consumers with offsets, letters for what could not be read.

Traps an implementation must not fall into: offsets rise across all topics; a consumer's offset is per topic; what a
transaction wrote is visible to readers only once it is on disk; the same (topic, key) is stored once; a letter's
identity is (topic, payload, line, reason), so that carrying a payload again adds none.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class NewRecord:
    """A record to append. `key` makes it unique within its topic; None never does."""

    topic: str
    key: str | None
    headers: Mapping[str, Any]
    body: bytes


@dataclass(frozen=True, slots=True)
class Record:
    """A record as read back. `offset` is its place among all records, `appended_s` when it came (epoch seconds)."""

    offset: int
    topic: str
    key: str | None
    headers: dict[str, Any] = field(hash=False)
    body: bytes = b""
    appended_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Letter:
    """A dead letter: one payload that could not be read (`line` None), or one row of a payload that could."""

    id: int | None
    topic: str
    payload: str
    line: int | None
    reason: str
    raw: str
    stage: str
    parser: str
    received_at: datetime
    status: str = "open"
    resolved_by: str | None = None


@dataclass(frozen=True, slots=True)
class TopicInfo:
    """How much a topic holds."""

    topic: str
    records: int
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Published:
    """A message for readers outside, in a topic of their naming; the log keeps no offset of it."""

    topic: str
    key: bytes | None
    value: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


class Txn(Protocol):
    """All or nothing: outputs, offsets, state and letters."""

    def append(self, records: Iterable[NewRecord]) -> list[int]: ...
    def commit(self, consumer: str, topic: str, offset: int) -> None: ...
    def put_state(self, scope: str, key: str, value: bytes) -> None: ...
    def get_state(self, scope: str, key: str) -> bytes | None: ...
    def add_letter(self, letter: Letter) -> None: ...
    def resolve_letters(self, ids: Sequence[int], how: str) -> None: ...
    def publish(self, messages: Iterable[Published]) -> None: ...


class Log(Protocol):
    """Topics on disk. `publishes` says whether a transaction can also write messages for readers outside."""

    @property
    def publishes(self) -> bool: ...

    def append(self, records: Iterable[NewRecord]) -> list[int]: ...
    def transaction(self) -> AbstractContextManager[Txn]: ...
    def read(self, consumer: str, prefix: str, limit: int = 64) -> list[Record]: ...
    def fetch(self, offset: int) -> Record: ...
    def scan(self, prefix: str, after: int = 0) -> Iterator[Record]: ...
    def offsets(self, consumer: str) -> dict[str, int]: ...
    def lag(self, consumer: str, prefix: str, ours: bool = False) -> int: ...
    def end_offset(self) -> int: ...
    def topics(self) -> list[TopicInfo]: ...
    def get_state(self, scope: str, key: str) -> bytes | None: ...
    def letters(self, topic: str | None = None, status: str | None = None, limit: int = 1_000) -> list[Letter]: ...
    def letter(self, number: int) -> Letter: ...
    def count_letters(self, topic: str | None = None, status: str | None = None) -> int: ...
    def trim(self, prefix: str, consumers: Sequence[str], before: datetime) -> int: ...
    def check(self) -> list[str]: ...
    def news(self) -> int: ...
    def wait(self, timeout_s: float, beyond: int | None = None) -> None: ...
    def wake(self) -> None: ...
    def visited(self) -> bool: ...
    def trouble(self) -> str: ...
    def close(self) -> None: ...


def records_of(log: Log, topic: str, after: int = 0) -> Iterator[Record]:
    """A topic's records from beyond an offset: `scan` takes a prefix, which other topics may share."""
    return (record for record in log.scan(topic, after) if record.topic == topic)
