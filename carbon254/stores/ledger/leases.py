"""The ledger's leases: who may work on what, until when, and what is done as its holder only."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import TypeVar

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, IntegrityError

from .leasing import acquire, held, refuse_all_stale, release, renew, unlock
from .living import Living
from .port import Lease
from .tables import WRITES

_TRIES = 5
# Postgres: deadlock, serialization failure.
_AGAIN = ("40P01", "40001")
_T = TypeVar("_T")


class Leases:
    """Leases over an engine; the ledger's own transactions go through `_write` too."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine, self._lock = engine, threading.Lock()
        file = engine.url.database if engine.dialect.name == "sqlite" else None
        self._living = Living(Path(f"{file}.leases") if file and file != ":memory:" else None)

    def acquire(self, name: str, holder: str, at: datetime, lasts: timedelta) -> Lease | None:
        """The lease on `name`, or None while another holds it. The same holder's next lease fences its last one.

        In a ledger of its own file a lease ends with its process too.
        """
        return self._write(lambda db: acquire(db, self._living, name, holder, at, lasts))

    def renew(self, lease: Lease, at: datetime, lasts: timedelta) -> Lease:
        """The lease, longer. Raises LeaseLost where another took it over."""
        return self._write(lambda db: renew(db, lease, at, lasts))

    def release(self, lease: Lease, at: datetime) -> None:
        """Give the lease up; nothing where another has it by now."""
        self._write(lambda db: release(db, lease, at))
        self._living.let_go(lease.name, lease.token)

    def lease(self, name: str) -> Lease | None:
        """The lease on `name` as it stands, also one that has ended; None where nobody ever had it."""
        with self._lock, self._engine.connect() as db:
            return held(db, name)

    def unlock(self, name: str, who: str, at: datetime) -> Lease | None:
        """Take the lease from whoever holds it, whose writes are refused from now on; None where nobody held it."""
        found = self._write(lambda db: unlock(db, name, who, at))
        if found is not None:
            self._living.let_go(name, found.token)
        return found

    @contextmanager
    def fenced(self, *leases: Lease) -> Iterator[None]:
        """What is done in the block is done as their holder: until it ends nobody can take one of them over.

        Keep it short: others wait. Raises LeaseLost where one was taken over.
        """
        with self._lock, self._engine.connect().execution_options(**{WRITES: True}) as db, db.begin():
            refuse_all_stale(db, leases)
            yield

    def _write(self, work: Callable[[sa.Connection], _T]) -> _T:
        """`work` in a transaction; again where another process wrote the same key first and what it wrote now shows."""
        for left in reversed(range(_TRIES)):
            try:
                with self._lock, self._engine.connect().execution_options(**{WRITES: True}) as db, db.begin():
                    return work(db)
            except DBAPIError as error:
                again = isinstance(error, IntegrityError) or getattr(error.orig, "sqlstate", "") in _AGAIN
                if not left or not again:
                    raise
        raise AssertionError("the loop ends by returning or raising")
