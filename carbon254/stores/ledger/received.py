"""What reached each partition, told from the payload batches noted for it and from those folded into one line."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Mapping
from datetime import datetime

import sqlalchemy as sa

from .folding import Cells, cells_of
from .leases import Leases
from .port import Arrivals
from .tables import FOLDS, PARTS, PLACES, RUNS, moment_of


class Received(Leases):
    """Arrivals, watermarks, totals and cells over the ledger's engine, with the sets of places that cells name."""

    def arrivals(self, feed: str) -> dict[str, Arrivals]:
        """What reached each partition of a feed, in two queries however many there are."""
        one = sa.literal(1).label("payloads")
        parts = sa.select(PARTS.c.partition, one, PARTS.c.received_at.label("first"), PARTS.c.received_at.label("last"))
        folds = sa.select(FOLDS.c.partition, FOLDS.c.payloads, FOLDS.c.first_received, FOLDS.c.last_received)
        every = sa.union_all(parts.where(PARTS.c.feed == feed), folds.where(FOLDS.c.feed == feed)).subquery()
        bounds = (sa.func.sum(every.c.payloads), sa.func.min(every.c.first), sa.func.max(every.c.last))
        builds = sa.select(RUNS.c.partition, RUNS.c.build).where(RUNS.c.feed == feed)
        with self._lock, self._engine.connect() as db:
            build = {row.partition: row.build for row in db.execute(builds)}
            rows = db.execute(sa.select(every.c.partition, *bounds).group_by(every.c.partition)).all()
        return {
            day: Arrivals(int(count), datetime.fromisoformat(first), datetime.fromisoformat(last), build.get(day, 1))
            for day, count, first, last in rows
        }

    def watermark(self, feed: str, partition: str | None = None) -> datetime | None:
        """The end of the newest interval received; None before any."""
        with self._lock, self._engine.connect() as db:
            marks = []
            for table in (PARTS, FOLDS):
                query = sa.select(sa.func.max(table.c.watermark)).where(table.c.feed == feed)
                query = query.where(table.c.partition == partition) if partition else query
                marks.append(db.execute(query).scalar())
        return moment_of(max((mark for mark in marks if mark), default=None))

    def totals(self) -> dict[str, tuple[int, int, datetime | None]]:
        """(payload batches, rows, watermark) of each feed."""
        one = sa.literal(1).label("payloads")
        every = sa.union_all(
            sa.select(PARTS.c.feed, one, PARTS.c.rows, PARTS.c.watermark),
            sa.select(FOLDS.c.feed, FOLDS.c.payloads, FOLDS.c.rows, FOLDS.c.watermark),
        ).subquery()
        sums = (sa.func.sum(every.c.payloads), sa.func.sum(every.c.rows), sa.func.max(every.c.watermark))
        query = sa.select(every.c.feed, *sums).group_by(every.c.feed)
        with self._lock, self._engine.connect() as db:
            return {feed: (int(count), int(rows), moment_of(mark)) for feed, count, rows, mark in db.execute(query)}

    def cells(self, feed: str, partition: str) -> Cells:
        """What the partition received: id of a set of places → its periods as bits."""
        with self._lock, self._engine.connect() as db:
            found: list[str] = []
            for table in (PARTS, FOLDS):
                where = (table.c.feed == feed) & (table.c.partition == partition)
                found += db.execute(sa.select(table.c.cells).where(where)).scalars()
        return cells_of(found)

    def keep_places(self, sets: Mapping[str, Iterable[str]]) -> None:
        """Keep the members of sets of places by their ids; those kept already stay."""
        packed = {name: zlib.compress(json.dumps(sorted(places)).encode()) for name, places in sets.items()}

        def add(db: sa.Connection) -> None:
            held = set(db.execute(sa.select(PLACES.c.name).where(PLACES.c.name.in_(list(packed)))).scalars())
            for name in sorted(packed.keys() - held):
                db.execute(PLACES.insert().values(name=name, places=packed[name]))

        self._write(add)

    def places(self, names: Iterable[str]) -> dict[str, frozenset[str]]:
        """Members of sets of places; a set that was never kept is absent."""
        with self._lock, self._engine.connect() as db:
            rows = db.execute(sa.select(PLACES).where(PLACES.c.name.in_(list(names)))).all()
        return {row.name: frozenset(json.loads(zlib.decompress(row.places))) for row in rows}
