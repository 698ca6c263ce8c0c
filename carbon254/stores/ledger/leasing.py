"""Leases with fencing tokens, on an open transaction.

A lease ends by its time, but what fences is the token: as soon as another holder has taken the lease, everything that
an older token still writes is refused, however late the old holder wakes up. The row of a lease stays for ever, so
that tokens never repeat.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from carbon254.faults import reach

from .port import Lease, LeaseLost
from .tables import LEASES, text_of


def acquire(db: sa.Connection, name: str, holder: str, at: datetime, lasts: timedelta) -> Lease | None:
    """The lease with a new token, or None while another holder's has not ended."""
    found = _held(db, name)
    if found is not None and found.holder != holder and found.expires_at > text_of(at):
        return None
    lease = Lease(name, holder, (found.token if found is not None else 0) + 1, at + lasts)
    values = {"holder": holder, "token": lease.token, "expires_at": text_of(lease.expires_at)}
    if found is None:
        db.execute(LEASES.insert().values(name=name, **values))
    else:
        db.execute(LEASES.update().where(LEASES.c.name == name).values(**values))
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
