"""One process at a time makes what a store keeps its rows in: two that start at once would both find it lacking."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa

_TURN = 254_005  # any number, as long as nobody else's advisory lock has it


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Nobody else who asks has the folder until the block ends, or the process does. Waits; leaves no file."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def alone_with(db: sa.Connection) -> None:
    """On Postgres, nobody else who asks makes tables until this transaction ends: call it first in one. Waits.

    On SQLite a transaction that began to write is alone already.
    """
    if db.dialect.name == "postgresql":
        db.execute(sa.select(sa.func.pg_advisory_xact_lock(_TURN)))
