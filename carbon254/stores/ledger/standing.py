"""How a partition stands, from its run and the parts and fold noted for it."""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from .folding import digest_of
from .port import Entry
from .tables import FOLDS, PARTS, moment_of


def entry_of(db: sa.Connection, run: Any) -> Entry:
    """The entry of a row of `runs`."""
    found = []
    for table in (PARTS, FOLDS):
        where = (table.c.feed == run.feed) & (table.c.partition == run.partition)
        found.append(db.execute(sa.select(table).where(where)).all())
    parts, (fold, *_) = found[0], [*found[1], None]
    payloads = len(parts) + (fold.payloads if fold else 0)
    return Entry(
        feed=run.feed,
        partition=run.partition,
        state=run.state,
        attempts=run.attempts,
        build=run.build,
        changed_at=datetime.fromisoformat(run.changed_at),
        error=run.error,
        payloads=payloads,
        rows=sum(part.rows for part in parts) + (fold.rows if fold else 0),
        watermark=moment_of(max([p.watermark for p in parts] + ([fold.watermark] if fold else []), default=None)),
        first_received=moment_of(
            min([p.received_at for p in parts] + ([fold.first_received] if fold else []), default=None)
        ),
        last_received=moment_of(
            max([p.received_at for p in parts] + ([fold.last_received] if fold else []), default=None)
        ),
        checksum=checksum(payloads, digest_of((part.payload for part in parts), fold.digest if fold else "")),
        code=run.code,
    )


def checksum(payloads: int, digest: str) -> str:
    """SHA-256 over how many payload batches there are and their digest, whatever their order; hexadecimal."""
    return hashlib.sha256(f"{payloads} {digest}".encode()).hexdigest()
