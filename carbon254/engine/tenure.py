"""Leases held for as long as a piece of work takes, kept alive by a heartbeat, and a fence for what it does last.

A lease ends a few heartbeats after its holder's last one, so that a holder that died or stopped is followed soon. One
that stopped and wakes up again is refused at its next fenced step: somebody else has a newer token by then.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import timedelta

import structlog

from carbon254.clock import Clock
from carbon254.errors import Carbon254Error, TransientError
from carbon254.stores.ledger import Lease, LeaseLost, Ledger

HEARTBEAT = timedelta(seconds=60)
# So many heartbeats may be missed.
_MISSED = 3


class Tenure:
    """Leases of one piece of work."""

    def __init__(self, ledger: Ledger, leases: Sequence[Lease]) -> None:
        self._ledger, self.leases = ledger, tuple(leases)

    def fence(self) -> AbstractContextManager[None]:
        """A block in which nobody can take the work over. Raises LeaseLost where somebody has."""
        return self._ledger.fenced(*self.leases)


@contextmanager
def holding(
    ledger: Ledger, names: Mapping[str, str], holder: str, clock: Clock, beat: timedelta = HEARTBEAT
) -> Iterator[Tenure]:
    """Hold these leases, each with what its holder does, until the block ends.

    Raises TransientError where another holds one, saying who and what to do.
    """
    leases: list[Lease] = []
    stopped = threading.Event()
    try:
        for name, does in names.items():
            lease = ledger.acquire(name, holder, clock.now(), _MISSED * beat)
            if lease is None:
                raise TransientError(f"another process is {does}{_busy(ledger, name)}")
            leases.append(lease)
        heart = threading.Thread(target=_beat, args=(ledger, leases, clock, beat, stopped), daemon=True)
        heart.start()
        try:
            yield Tenure(ledger, leases)
        finally:
            stopped.set()
            heart.join()
    finally:
        for lease in leases:
            ledger.release(lease, clock.now())


def _beat(ledger: Ledger, leases: Sequence[Lease], clock: Clock, beat: timedelta, stopped: threading.Event) -> None:
    while not stopped.wait(beat.total_seconds()):
        try:
            for lease in leases:
                ledger.renew(lease, clock.now(), _MISSED * beat)
        except LeaseLost:
            return  # the next fenced step says so
        except Carbon254Error as error:
            structlog.get_logger().warning("a lease could not be renewed", lease=leases[0].name, reason=str(error))


def _busy(ledger: Ledger, name: str) -> str:
    held = ledger.lease(name)
    if held is None:
        return "; try again"
    until = held.expires_at.isoformat(timespec="seconds").replace("+00:00", "Z")
    return (
        f" ({held.holder}; its lease lasts until {until}, and on for as long as it lives); wait for it, or, where that "
        "process is gone, take its lease away with: c254 feeds unlock --feed FEED"
    )
