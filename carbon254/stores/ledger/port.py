"""The ledger's vocabulary: what is noted, how a partition stands, leases, acts, and what a backend can keep.

A backend says what it offers as data (`Capability`), so that a caller asks the record and not the backend's name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from carbon254.errors import PermanentError

# How a source record ends; exactly one of them.
FATES = ("stored", "confirmed", "duplicate", "rejected", "held")
STATES = ("pending", "running", "completed", "failed", "replaying")
# Which states may follow the present one.
NEXT: Mapping[str, frozenset[str]] = {
    "": frozenset(STATES),
    "pending": frozenset({"running", "completed", "failed"}),
    "running": frozenset({"completed", "failed", "running", "pending"}),
    "completed": frozenset({"running", "replaying", "completed", "failed"}),
    "failed": frozenset({"running", "replaying", "completed", "failed"}),
    "replaying": frozenset({"completed", "failed", "replaying"}),
}
OPERATIONS = (
    "note", "watermark", "totals", "entries", "history", "audit", "prune", "cells", "builds", "transitions", "leases",
    "counts",
)  # fmt: skip


class IllegalTransition(PermanentError):
    """A state that cannot follow the present one."""


class LeaseLost(PermanentError):
    """The lease was taken over: what its old holder still writes is refused."""


class NotOffered(PermanentError):
    """An operation that this backend cannot do safely."""


@dataclass(frozen=True, slots=True)
class Capability:
    """What a backend offers; `gaps` says why it does not offer the rest."""

    backend: str
    gaps: Mapping[str, str] = field(default_factory=dict)

    def offers(self, operation: str) -> bool:
        """Whether the operation is there. Raises KeyError for one that no ledger has."""
        if operation not in OPERATIONS:
            raise KeyError(f"no ledger does {operation!r}; there are: {', '.join(OPERATIONS)}")
        return operation not in self.gaps

    def require(self, operation: str) -> None:
        """Raise NotOffered, with the reason, where the operation is not there."""
        if not self.offers(operation):
            raise NotOffered(f"the ledger on {self.backend} does not do {operation}: {self.gaps[operation]}")


@dataclass(frozen=True, slots=True)
class Noted:
    """A batch of a payload that reached a partition.

    `cells` are the places it brought for the market day's periods: (id of a set of places, periods as a hexadecimal
    bit mask, lowest bit first period). `code` is the version of the code that made the rows.
    """

    feed: str
    partition: str
    payload: str
    rows: int
    watermark: str
    received_at: str
    cells: tuple[tuple[str, str], ...] = ()
    code: str = ""


@dataclass(frozen=True, slots=True)
class Counts:
    """What became of the records of a payload; `records` is the sum of the rest.

    `payload` is the number of its arrival (see `model.arrival`).

    Each batch of its rows has a line of its own (`stored`, `confirmed`), and the payload as a whole one for batch ""
    with the other counts, its dead letters (`letters`), the span of its rows, and a `note`: why it was refused, or of
    how much it is a part.
    """

    feed: str
    payload: int
    batch: str
    sha256: str
    received_at: str
    name: str = ""
    records: int = 0
    stored: int = 0
    confirmed: int = 0
    duplicate: int = 0
    rejected: int = 0
    held: int = 0
    letters: int = 0
    note: str = ""
    first: str = ""
    last: str = ""


@dataclass(frozen=True, slots=True)
class Entry:
    """How a partition stands. `checksum` is over its payload batches, whatever their order; times are UTC."""

    feed: str
    partition: str
    state: str
    attempts: int
    build: int
    changed_at: datetime
    error: str
    payloads: int
    rows: int
    watermark: datetime | None
    first_received: datetime | None
    last_received: datetime | None
    checksum: str
    code: str = ""


@dataclass(frozen=True, slots=True)
class Arrivals:
    """How much reached a partition and when, and the build that stands: two that are equal held the same rows."""

    payloads: int
    first: datetime
    last: datetime
    build: int


@dataclass(frozen=True, slots=True)
class Build:
    """What stood in a partition after a build was proven: code version, payloads, rows and their canonical hash."""

    feed: str
    partition: str
    build: int
    code: str
    payloads: int
    rows: int
    hash: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Act:
    """One line of the audit trail: who did what to which partition, when and why."""

    at: datetime
    who: str
    what: str
    feed: str = ""
    partition: str = ""
    why: str = ""


@dataclass(frozen=True, slots=True)
class Change:
    """A partition came to a state."""

    partition: str
    state: str
    at: datetime
    note: str = ""


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to work on `name` until `expires_at`. `token` rises with every holder and fences the ones before."""

    name: str
    holder: str
    token: int
    expires_at: datetime


class LedgerStore(Protocol):
    """What every backend has; what only some offer is named by `capability`."""

    @property
    def capability(self) -> Capability: ...
    def complete(self, noted: Sequence[Noted], at: datetime) -> None: ...
    def entries(
        self, feed: str | None = None, partition: str | None = None, state: str | None = None, limit: int = 100
    ) -> list[Entry]: ...
    def watermark(self, feed: str, partition: str | None = None) -> datetime | None: ...
    def totals(self) -> dict[str, tuple[int, int, datetime | None]]: ...
    def history(self, feed: str, partition: str) -> list[tuple[str, datetime, str]]: ...
    def changes(self, feed: str, partition: str | None = None, limit: int = 100) -> list[Change]: ...
    def record(self, acts: Sequence[Act]) -> None: ...
    def trail(self, feed: str | None = None, partition: str | None = None, limit: int = 100) -> list[Act]: ...
    def prune(self, before: datetime) -> int: ...
    def close(self) -> None: ...
