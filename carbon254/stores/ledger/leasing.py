"""Leases with fencing tokens, on an open transaction.

A lease ends by its time or with its process (see `living`), but what fences is the token: as soon as another holder
has taken the lease, everything that an older token still writes is refused, however late the old holder wakes up. The
row of a lease stays for ever, so that tokens never repeat.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from carbon254.faults import reach

from .living import Living
from .port import Lease, LeaseLost
from .tables import LEASES, text_of

# A holder that stopped in the middle of what it does as one (see `Ledger.fenced`) keeps others waiting no longer.
_STOPPED_MS = 60_000


def acquire(db: sa.Connection, living: Living, name: str, holder: str, at: datetime, lasts: timedelta) -> Lease | None:
    """The lease with a new token, or None while another holder's has not ended and its process may live."""
    found = _held(db, name)
    if (
        found is not None
        and found.holder != holder
        and found.expires_at > text_of(at)
        and living.holds(name, found.token)
    ):
        return None
    lease = Lease(name, holder, (found.token if found is not None else 0) + 1, at + lasts)
    values = {"holder": holder, "token": lease.token, "expires_at": text_of(lease.expires_at)}
    if found is None:
        db.execute(LEASES.insert().values(name=name, **values))
    else:
        db.execute(LEASES.update().where(LEASES.c.name == name).values(**values))
    living.take(name, lease.token)
    if found is not None:
        living.let_go(name, found.token)
    reach("ledger.leased")
    return lease


def renew(db: sa.Connection, lease: Lease, at: datetime, lasts: timedelta) -> Lease:
    """The same lease and token with a later end. Raises LeaseLost."""
    refuse_stale(db, lease)
    longer = Lease(lease.name, lease.holder, lease.token, at + lasts)
    ends = {"expires_at": text_of(longer.expires_at)}
    db.execute(LEASES.update().where(LEASES.c.name == lease.name).values(**ends))
    return longer


def release(db: sa.Connection, lease: Lease, at: datetime) -> None:
    """End the lease at `at`, if it is still this one."""
    reach("ledger.releasing")
    mine = (LEASES.c.name == lease.name) & (LEASES.c.token == lease.token)
    db.execute(LEASES.update().where(mine).values(expires_at=text_of(at)))


def unlock(db: sa.Connection, name: str, who: str, at: datetime) -> Lease | None:
    """End the lease whoever holds it, and fence that holder; the lease that was there, None where it had ended."""
    found = _held(db, name)
    if found is None or found.expires_at <= text_of(at):
        return None
    values = {"holder": who, "token": found.token + 1, "expires_at": text_of(at)}
    db.execute(LEASES.update().where(LEASES.c.name == name).values(**values))
    return _lease(found)


def held(db: sa.Connection, name: str) -> Lease | None:
    """The lease as it stands, ended or not; None where there never was one."""
    found = db.execute(sa.select(LEASES).where(LEASES.c.name == name)).first()
    return None if found is None else _lease(found)


def refuse_all_stale(db: sa.Connection, leases: Sequence[Lease]) -> None:
    """Raise LeaseLost where one was taken over; else nobody can take any before this transaction ends."""
    if db.dialect.name == "postgresql":
        db.execute(sa.text(f"SET LOCAL idle_in_transaction_session_timeout = {_STOPPED_MS}"))
    for lease in sorted(leases, key=lambda one: one.name):
        refuse_stale(db, lease)


def refuse_stale(db: sa.Connection, lease: Lease | None) -> None:
    """Raise LeaseLost where a newer token was given; nothing without a lease."""
    if lease is None:
        return
    found = _held(db, lease.name)
    if found is None or found.token != lease.token:
        newer = f"{found.holder} has it with token {found.token}" if found is not None else "nobody knows it"
        raise LeaseLost(
            f"the lease {lease.name!r} with token {lease.token} was taken over ({newer}): "
            "what its old holder writes is refused; acquire it again and start over"
        )


def _held(db: sa.Connection, name: str) -> Any:
    return db.execute(sa.select(LEASES).where(LEASES.c.name == name).with_for_update()).first()


def _lease(row: Any) -> Lease:
    return Lease(row.name, row.holder, row.token, datetime.fromisoformat(row.expires_at))
