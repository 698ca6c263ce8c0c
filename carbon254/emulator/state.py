"""What can be changed while the emulator runs: its clock, the revisions, the faults, and the record of requests."""

from __future__ import annotations

import threading
import time
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from .faults import Fault
from .world import Revision, World

_KEPT_REQUESTS = 4_096


@dataclass
class Counted:
    """A fault in force, with how many requests it has seen and struck."""

    fault: Fault
    seen: int = 0
    struck: int = 0

    def strikes(self, provider: str, address: str) -> bool:
        """True where this request is to fail; counts it."""
        if not self.fault.concerns(provider, address):
            return False
        self.seen += 1
        due = self.seen % self.fault.every == 0 if self.fault.every else True
        if not due or (self.fault.count and self.struck >= self.fault.count):
            return False
        self.struck += 1
        return True


@dataclass
class State:
    """Shared between the server's threads; every access goes through the lock."""

    seed: int
    nodes: int = 0
    strict_rates: bool = False
    frozen: datetime | None = None
    revisions: list[Revision] = field(default_factory=list)
    faults: list[Counted] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    requests: list[dict[str, Any]] = field(default_factory=list)
    last_call: dict[str, float] = field(default_factory=dict)
    lock: threading.RLock = field(default_factory=threading.RLock)

    def now(self) -> datetime:
        """The emulator's clock: what it was set to, else the wall clock."""
        return self.frozen or datetime.now(UTC)

    def world(self) -> World:
        """This moment, as the providers' desks see it."""
        with self.lock:
            return World(self.seed, int(self.now().timestamp()), self.nodes, tuple(self.revisions))

    def set_clock(self, moment: datetime | None) -> None:
        """Freeze the clock at an aware instant; None lets the wall clock run again."""
        if moment is not None and moment.tzinfo is None:
            raise ValueError("now has no offset; write it like 4_096-01-31T12:00:00Z")
        with self.lock:
            self.frozen = moment.astimezone(UTC) if moment else None

    def revise(self, revision: Revision) -> Revision:
        """Publish a market day once more."""
        with self.lock:
            numbered = replace(revision, ordinal=len(self.revisions) + 1)
            self.revisions.append(numbered)
            return numbered

    def add_fault(self, fault: Fault) -> None:
        with self.lock:
            self.faults.append(Counted(fault))

    def clear_faults(self) -> None:
        with self.lock:
            self.faults.clear()

    def strike(self, provider: str, address: str) -> Fault | None:
        """The first fault that strikes this request."""
        with self.lock:
            return next((entry.fault for entry in self.faults if entry.strikes(provider, address)), None)

    def too_soon(self, provider: str, pause_s: float) -> bool:
        """True where the last call of this provider is less than `pause_s` ago on the wall; remembers this one."""
        with self.lock:
            now = time.monotonic()
            before = self.last_call.get(provider)
            self.last_call[provider] = now
            return before is not None and now - before < pause_s

    def note(self, provider: str, address: str, status: int, kind: str) -> None:
        """Keep a record of an answered request, stamped with the wall clock."""
        entry = {"at": datetime.now(UTC).isoformat(), "provider": provider, "address": address, "status": status}
        with self.lock:
            self.counts[provider] += 1
            self.requests.append({**entry, "fault": kind})
            del self.requests[:-_KEPT_REQUESTS]
