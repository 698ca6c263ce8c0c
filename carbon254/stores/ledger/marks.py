"""The ledger's marks: how far it has come in which log, written with what it notes, and how far quality has come."""

from __future__ import annotations

import sqlalchemy as sa

from carbon254.stores.marks import Mark

from .leases import Leases
from .tables import MARKS, same

LEDGER, QUALITY = "ledger", "quality"


class Marks(Leases):
    """Marks over the ledger's engine, by the store that they are of."""

    def marks(self, store: str = LEDGER) -> list[Mark]:
        """How far a store has come, in which logs."""
        query = sa.select(MARKS).where(MARKS.c.store == store)
        with self._lock, self._engine.connect() as db:
            return [Mark(row.workspace, row.log, int(row.offset)) for row in db.execute(query)]

    def keep_mark(self, mark: Mark, store: str = LEDGER) -> None:
        """Note how far a store has come; never back."""
        self._write(lambda db: put(db, mark, store))


def put(db: sa.Connection, mark: Mark, store: str = LEDGER) -> None:
    """Keep a mark in an open transaction; a lower one than is kept changes nothing."""
    key = {"store": store, "workspace": mark.workspace, "log": mark.log}
    before = db.execute(sa.select(MARKS.c.offset).where(same(MARKS, key)).with_for_update()).scalar()
    if before is None:
        db.execute(MARKS.insert().values(**key, offset=mark.offset))
    elif before < mark.offset:
        db.execute(MARKS.update().where(same(MARKS, key)).values(offset=mark.offset))
