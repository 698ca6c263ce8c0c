"""The ledger's counts: what became of each payload's records, batch by batch."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import asdict
from datetime import datetime

import sqlalchemy as sa

from .leases import Leases
from .port import Counts
from .tables import COUNTS, same, text_of

_NUMBERS = ("records", "stored", "confirmed", "duplicate", "rejected", "held", "letters")


class PayloadCounts(Leases):
    """Counts over the ledger's engine; of a batch that is counted again, the last count stands."""

    def count(self, counts: Sequence[Counts], at: datetime) -> None:
        """Keep what became of payloads' records, counted `at`; counted again, the last count stands."""
        last = {(one.feed, one.payload, one.batch): asdict(one) | {"at": text_of(at)} for one in counts}
        rows = [last[key] for key in sorted(last)]

        def put(db: sa.Connection) -> None:
            for feed in {row["feed"] for row in rows}:
                mine = [row for row in rows if row["feed"] == feed]
                within = COUNTS.c.payload.in_({row["payload"] for row in mine})
                held = db.execute(
                    sa.select(COUNTS.c.payload, COUNTS.c.batch).where(COUNTS.c.feed == feed, within)
                ).all()
                for payload, batch in {(row["payload"], row["batch"]) for row in mine} & {tuple(one) for one in held}:
                    db.execute(COUNTS.delete().where(same(COUNTS, {"feed": feed, "payload": payload, "batch": batch})))
            db.execute(COUNTS.insert(), rows)

        if rows:
            self._write(put)

    def counts(self, feed: str, payloads: Collection[int] | None = None, limit: int = 100) -> list[Counts]:
        """Of each payload of a feed the sum over its batches, newest first; all, or those named."""
        total = [sa.func.sum(COUNTS.c[name]).label(name) for name in _NUMBERS]
        told = [
            sa.func.max(COUNTS.c[name]).label(name)
            for name in ("sha256", "received_at", "name", "note", "first", "last")
        ]
        query = sa.select(COUNTS.c.payload, *total, *told).where(COUNTS.c.feed == feed)
        query = query if payloads is None else query.where(COUNTS.c.payload.in_(list(payloads)))
        query = query.group_by(COUNTS.c.payload)
        query = query.order_by(sa.func.max(COUNTS.c.received_at).desc(), COUNTS.c.payload).limit(limit)
        with self._lock, self._engine.connect() as db:
            rows = [dict(row._mapping) for row in db.execute(query)]
        return [Counts(feed=feed, batch="", **{**row, **{name: int(row[name]) for name in _NUMBERS}}) for row in rows]
