"""The inbox: raw bytes first.

`accept` stores the payload in the raw archive and appends one record to `raw.<topic>`. A payload is compared by its
unpacked content, so that a provider's zip with a new creation stamp and the same file inside is the same payload. It
is skipped when its content is the latest for its subject, or when no subject is known for it and the content is; an
older content that comes back after a correction is a new arrival, because the price went back.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from carbon254.errors import Carbon254Error, PayloadRefused, TransientError, WorkspaceError
from carbon254.faults import reach
from carbon254.model.arrival import AGAIN_READ, arrival_of
from carbon254.stores.log import Log, NewRecord, Txn
from carbon254.stores.raw import Provenance, RawArchive, RawRef
from carbon254.telemetry import Metrics
from carbon254.wire.archive import unpack

# Who was refused asks again within a minute or never.
_REMEMBERED_S = 60.0
_NONE = "0" * 64
# A clock that stands still, or wavers by less than this, does not say which of two payloads came first.
_JITTER = timedelta(seconds=1)
_NEWEST, _EVER = "received", datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Arrived:
    """A payload as it arrives. `subject` names what was asked for; a file's own name where nothing was asked."""

    topic: str
    data: bytes
    name: str
    received_at: datetime
    subject: str = ""
    url: str = ""
    published_at: datetime | None = None
    headers: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Mark:
    """How far a sender's messages were taken in: kept with the payload, if nobody went further meanwhile."""

    scope: str
    key: str
    before: bytes | None
    after: bytes


@dataclass(frozen=True, slots=True)
class Accepted:
    """A payload in the archive; `offset` is its record in the raw log, None where it was skipped as known, `arrival`
    what it is told by among the feed's (see `model.arrival`)."""

    sha256: str
    offset: int | None
    arrival: str

    @property
    def new(self) -> bool:
        return self.offset is not None


class Inbox:
    """Accepts payloads into the raw archive and the raw log."""

    def __init__(self, raw: RawArchive, log: Log, metrics: Metrics) -> None:
        self._raw, self._log, self._metrics = raw, log, metrics
        self.full = ""
        self._refused: tuple[Exception, float] | None = None

    def accept(self, arrived: Arrived, marks: Sequence[Mark] = ()) -> tuple[str, bool]:
        """(SHA-256 of the payload, whether it is new); see `take`."""
        taken = self.take(arrived, marks)
        return taken.sha256, taken.new

    def take(self, arrived: Arrived, marks: Sequence[Mark] = (), again: bool = False) -> Accepted:
        """Take a payload in. It is on disk when this returns, and `marks` with it. `again` is for an arrival that the
        archive knows: it keeps its time to the microsecond.

        Raises WorkspaceError where the disk budget is used up, TransientError where a mark was moved meanwhile; the
        log keeps nothing then.
        """
        if self.full:
            raise WorkspaceError(f"{self.full}; raise C254_DISK_BUDGET_GB, or move older data away")
        newest = self._newest(arrived.topic)
        arrived = arrived if again else self._after_the_last(arrived, newest)
        reference = self._put(arrived)
        reach("inbox.archived")
        arrival = arrival_of(arrived.received_at, reference.sha256)
        content = content_digest(arrived.name, arrived.data)
        subject = arrived.subject or arrived.name or content
        with self._log.transaction() as txn:
            for mark in marks:
                _move(txn, mark)
            latest = txn.get_state(f"latest:{arrived.topic}", subject)
            known = txn.get_state(f"content:{arrived.topic}", content)
            if (latest is None and known) or (latest is not None and latest.decode() == content):
                self._metrics.repeated.labels(arrived.topic).inc()
                return Accepted(reference.sha256, None, arrival)
            headers = {
                "sha256": reference.sha256,
                "size": len(arrived.data),
                "name": arrived.name,
                "subject": subject,
                "received_at": arrived.received_at.isoformat(),
                "published_at": arrived.published_at.isoformat() if arrived.published_at else None,
            } | ({AGAIN_READ: True} if again else {})
            (offset,) = txn.append([NewRecord(f"raw.{arrived.topic}", None, headers, b"")])
            txn.put_state(f"latest:{arrived.topic}", subject, content.encode())
            txn.put_state(f"content:{arrived.topic}", content, b"1")
            txn.put_state(_NEWEST, arrived.topic, max(arrived.received_at, newest).isoformat().encode())
            reach("inbox.noted")
        reach("inbox.accepted")
        self._metrics.payloads.labels(arrived.topic).inc()
        return Accepted(reference.sha256, offset, arrival)

    def _after_the_last(self, arrived: Arrived, newest: datetime) -> Arrived:
        """Arrivals are ordered by when they were received: of two at one moment of the clock the second was later."""
        if arrived.received_at <= newest < arrived.received_at + _JITTER:
            return replace(arrived, received_at=newest + timedelta(microseconds=1))
        return arrived

    def _newest(self, topic: str) -> datetime:
        """When the newest arrival of a feed was received."""
        kept = self._log.get_state(_NEWEST, topic)
        return datetime.fromisoformat(kept.decode()) if kept else _EVER

    def answer(self) -> None:
        """Raise what the archive last said, where it refused a payload a moment ago; else see that it answers."""
        if self._refused is not None and time.monotonic() < self._refused[1] + _REMEMBERED_S:
            raise self._refused[0]
        _ = _NONE in self._raw

    def _put(self, arrived: Arrived) -> RawRef:
        try:
            kept = self._raw.put(arrived.data, _provenance(arrived))
        except (Carbon254Error, OSError) as error:
            self._refused = error, time.monotonic()
            raise
        self._refused = None
        return kept


def _move(txn: Txn, mark: Mark) -> None:
    if txn.get_state(mark.scope, mark.key) != mark.before:
        raise TransientError(f"{mark.key} was taken further by another process meanwhile; it is read again")
    txn.put_state(mark.scope, mark.key, mark.after)


def content_digest(name: str, data: bytes) -> str:
    """SHA-256 over those of the unpacked members, in whatever order they are packed and under whatever names.

    Over the bytes themselves where they cannot be unpacked.
    """
    try:
        members = sorted(hashlib.sha256(content).digest() for _, content in unpack(name, data))
    except PayloadRefused:
        return hashlib.sha256(data).hexdigest()
    return hashlib.sha256(b"".join(members)).hexdigest()


def _provenance(arrived: Arrived) -> Provenance:
    return Provenance(
        feed=arrived.topic,
        url=arrived.url,
        name=arrived.name,
        subject=arrived.subject,
        received_at=arrived.received_at,
        published_at=arrived.published_at,
        headers=arrived.headers,
    )
