"""The ledger: what each feed has done for each partition (market day), by which payloads, and how it stands.

SQLAlchemy Core on SQLite or Postgres, one code. Rows, checksum, cells and watermark of a partition follow from the
payload batches noted for it, so that noting one twice changes nothing, also from two processes at once. Every change
of state is kept in `history`, every act of a person or command in the audit trail.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from carbon254.faults import reach
from carbon254.stores.postgres import answer, opening

from .folding import FOLD_AT, Cells, among, cells_of, cells_text, folded
from .leases import Leases
from .leasing import refuse_stale
from .port import (
    NEXT,
    Act,
    Arrivals,
    Build,
    Capability,
    Change,
    Counts,
    Entry,
    IllegalTransition,
    Lease,
    Noted,
    NotOffered,
)
from .standing import entry_of
from .tables import (
    AUDIT,
    BUILDS,
    COUNTS,
    FOLDS,
    HISTORY,
    PARTS,
    PLACES,
    RUNS,
    SETTING,
    make,
    moment_of,
    open_engine,
    text_of,
)

_NUMBERS = ("records", "stored", "confirmed", "duplicate", "rejected", "held", "letters")


class Ledger(Leases):
    """The ledger at an SQLAlchemy URL: everything of `port.OPERATIONS`."""

    def __init__(self, url: str) -> None:
        super().__init__(open_engine(url))
        self.capability = Capability("postgres" if self._engine.dialect.name == "postgresql" else "sqlite")
        with opening(self._engine, SETTING):
            self._write(make)

    def begin(
        self, feed: str, partition: str, at: datetime, state: str = "running", fence: Lease | None = None
    ) -> None:
        """A run starts; its attempt is counted. Raises IllegalTransition, and LeaseLost behind a newer holder."""
        self._write(lambda db: self._move(db, feed, partition, state, at, attempt=True, fence=fence))

    def fail(self, feed: str, partition: str, at: datetime, error: str, fence: Lease | None = None) -> None:
        """A run ended with an error."""
        self._write(lambda db: self._move(db, feed, partition, "failed", at, error=error, fence=fence))

    def settle(
        self, feed: str, partition: str, at: datetime, fence: Lease | None = None, state: str = "completed"
    ) -> None:
        """A run ended well: completed, or pending where there is nothing yet."""
        self._write(lambda db: self._move(db, feed, partition, state, at, fence=fence))

    def rebuilt(self, feed: str, partition: str, at: datetime, code: str = "", fence: Lease | None = None) -> None:
        """A new build of the partition stands, made by this version of the code."""
        self._write(lambda db: self._move(db, feed, partition, "completed", at, build=True, code=code, fence=fence))

    def complete(self, noted: Sequence[Noted], at: datetime, fence: Lease | None = None) -> None:
        """Batches of payloads reached their partitions. Those already noted change nothing."""
        self._write(lambda db: self._note(db, noted, at, fence))

    def entries(
        self, feed: str | None = None, partition: str | None = None, state: str | None = None, limit: int = 100
    ) -> list[Entry]:
        """How partitions stand, newest partition first."""
        query = sa.select(RUNS).order_by(RUNS.c.partition.desc(), RUNS.c.feed).limit(limit)
        for column, value in ((RUNS.c.feed, feed), (RUNS.c.partition, partition), (RUNS.c.state, state)):
            query = query.where(column == value) if value else query
        with self._lock, self._engine.connect() as db:
            return [entry_of(db, row) for row in db.execute(query).all()]

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

    def history(self, feed: str, partition: str) -> list[tuple[str, datetime, str]]:
        """(state, when, note) of each change, oldest first."""
        query = sa.select(HISTORY).where(HISTORY.c.feed == feed, HISTORY.c.partition == partition)
        with self._lock, self._engine.connect() as db:
            rows = db.execute(query.order_by(HISTORY.c.id)).all()
            return [(row.state, datetime.fromisoformat(row.at), row.note) for row in rows]

    def changes(self, feed: str, partition: str | None = None, limit: int = 100) -> list[Change]:
        """Changes of state of one partition, or of all of the feed, newest first."""
        query = sa.select(HISTORY).where(HISTORY.c.feed == feed)
        query = query.where(HISTORY.c.partition == partition) if partition else query
        with self._lock, self._engine.connect() as db:
            rows = db.execute(query.order_by(HISTORY.c.at.desc(), HISTORY.c.id.desc()).limit(limit)).all()
        return [Change(row.partition, row.state, datetime.fromisoformat(row.at), row.note) for row in rows]

    def record(self, acts: Sequence[Act]) -> None:
        """Add to the audit trail."""
        rows = [asdict(act) | {"at": text_of(act.at)} for act in acts]
        if rows:
            self._write(lambda db: db.execute(AUDIT.insert(), rows))

    def trail(self, feed: str | None = None, partition: str | None = None, limit: int = 100) -> list[Act]:
        """The audit trail, newest first."""
        query = sa.select(AUDIT).order_by(AUDIT.c.id.desc()).limit(limit)
        for column, value in ((AUDIT.c.feed, feed), (AUDIT.c.partition, partition)):
            query = query.where(column == value) if value else query
        with self._lock, self._engine.connect() as db:
            return [
                Act(datetime.fromisoformat(row.at), row.who, row.what, row.feed, row.partition, row.why)
                for row in db.execute(query)
            ]

    def prune(self, before: datetime) -> int:
        """Forget history and acts older than `before`; how many lines. How partitions stand is kept."""

        def forget(db: sa.Connection) -> int:
            old = text_of(before)
            db.execute(COUNTS.delete().where(COUNTS.c.received_at < old))
            return sum(db.execute(table.delete().where(table.c.at < old)).rowcount for table in (HISTORY, AUDIT))

        return self._write(forget)

    def proven(self, build: Build) -> None:
        """Keep what a build was proven to hold; a later proof of the same build takes its place."""
        values = asdict(build) | {"at": text_of(build.at)}
        key = {name: values[name] for name in ("feed", "partition", "build")}

        def put(db: sa.Connection) -> None:
            db.execute(BUILDS.delete().where(_same(BUILDS, key)))
            reach("ledger.proving")
            db.execute(BUILDS.insert().values(**values))

        self._write(put)

    def builds(self, feed: str, partition: str | None = None) -> list[Build]:
        """What builds were proven to hold, newest partition and build first."""
        query = sa.select(BUILDS).where(BUILDS.c.feed == feed)
        query = query.where(BUILDS.c.partition == partition) if partition else query
        with self._lock, self._engine.connect() as db:
            rows = db.execute(query.order_by(BUILDS.c.partition.desc(), BUILDS.c.build.desc())).all()
        return [Build(**{**row._mapping, "at": datetime.fromisoformat(row.at)}) for row in rows]

    def count(self, counts: Sequence[Counts]) -> None:
        """Keep what became of payloads' records; counted again, the last count stands."""
        last = {(one.feed, one.payload, one.batch): asdict(one) for one in counts}
        rows = [last[key] for key in sorted(last)]

        def put(db: sa.Connection) -> None:
            for feed in {row["feed"] for row in rows}:
                mine = [row for row in rows if row["feed"] == feed]
                within = COUNTS.c.payload.in_({row["payload"] for row in mine})
                held = db.execute(
                    sa.select(COUNTS.c.payload, COUNTS.c.batch).where(COUNTS.c.feed == feed, within)
                ).all()
                for payload, batch in {(row["payload"], row["batch"]) for row in mine} & {tuple(one) for one in held}:
                    db.execute(COUNTS.delete().where(_same(COUNTS, {"feed": feed, "payload": payload, "batch": batch})))
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
        query = query.group_by(COUNTS.c.payload).order_by(COUNTS.c.payload.desc()).limit(limit)
        with self._lock, self._engine.connect() as db:
            rows = [dict(row._mapping) for row in db.execute(query)]
        return [Counts(feed=feed, batch="", **{**row, **{name: int(row[name]) for name in _NUMBERS}}) for row in rows]

    def answer(self) -> None:
        """Raise TransientError where the database's server does not answer. A file has none; it is only busy."""
        answer(self._engine)

    def close(self) -> None:
        """Close the connections; leases of this process end in a ledger of its own file."""
        self._living.close()
        self._engine.dispose()

    def _note(self, db: sa.Connection, noted: Sequence[Noted], at: datetime, fence: Lease | None) -> None:
        reach("ledger.noting")
        days: dict[tuple[str, str], list[Noted]] = {}
        for part in sorted(noted, key=lambda one: (one.feed, one.partition)):
            days.setdefault((part.feed, part.partition), []).append(part)
        folds = FOLDS.c.feed.in_(list({feed for feed, _ in days}))
        are_folded = {tuple(row) for row in db.execute(sa.select(FOLDS.c.feed, FOLDS.c.partition).where(folds))}
        for (feed, partition), parts in days.items():
            key = {"feed": feed, "partition": partition}
            fold = (
                db.execute(sa.select(FOLDS).where(_same(FOLDS, key))).first()
                if (feed, partition) in are_folded
                else None
            )
            held = set(db.execute(sa.select(PARTS.c.payload).where(_same(PARTS, key))).scalars())
            fresh = {part.payload: part for part in reversed(parts) if part.payload not in held}
            again = among(list(fresh), fold.members) if fold else set()
            new = [part for part in fresh.values() if part.payload not in again]
            if not new:
                continue
            db.execute(PARTS.insert(), [_part(part) for part in new])
            reach("ledger.parts")
            self._move(db, feed, partition, "completed", at, code=new[-1].code, fence=fence)
            if len(held) + len(new) >= FOLD_AT:
                _fold(db, key, fold)

    def _move(
        self,
        db: sa.Connection,
        feed: str,
        partition: str,
        state: str,
        at: datetime,
        *,
        error: str = "",
        attempt: bool = False,
        build: bool = False,
        code: str = "",
        fence: Lease | None = None,
    ) -> None:
        refuse_stale(db, fence)
        where = _same(RUNS, {"feed": feed, "partition": partition})
        reach("ledger.moving")
        found = db.execute(sa.select(RUNS).where(where).with_for_update()).first()
        before = found.state if found else ""
        if state not in NEXT[before]:
            raise IllegalTransition(f"{feed} {partition}: {state} cannot follow {before}")
        values = {
            "state": state,
            "changed_at": text_of(at),
            "error": error,
            "attempts": (found.attempts if found else 0) + attempt,
            "build": (found.build if found else 1) + build,
            "code": code or (found.code if found else ""),
        }
        if found:
            db.execute(RUNS.update().where(where).values(**values))
        else:
            db.execute(RUNS.insert().values(feed=feed, partition=partition, **values))
        if state != before:
            line = {"feed": feed, "partition": partition, "state": state, "at": text_of(at), "note": error}
            db.execute(HISTORY.insert().values(**line))
            reach("ledger.moved")


def open_ledger(url: str) -> Ledger:
    """The ledger at `url`: `sqlite:////abs/file.db`, or a Postgres URL. Raises NotOffered for ClickHouse."""
    if url.startswith(("http://", "https://", "clickhouse")):
        raise NotOffered(
            "ClickHouse has no compare-and-set, so it cannot decide states and leases: keep the ledger on SQLite or "
            "Postgres, and set C254_LEDGER_HISTORY=clickhouse to have its history and audit trail there too"
        )
    return Ledger(url)


def _same(table: sa.Table, key: Mapping[str, Any]) -> sa.ColumnElement[bool]:
    return sa.and_(*(table.c[name] == value for name, value in key.items()))


def _fold(db: sa.Connection, key: Mapping[str, str], before: Any | None) -> None:
    where = _same(PARTS, key)
    row = folded(db.execute(sa.select(PARTS).where(where)).all(), before)
    db.execute(FOLDS.delete().where(_same(FOLDS, key)))
    reach("ledger.folding")
    db.execute(FOLDS.insert().values(**key, **row))
    db.execute(PARTS.delete().where(where))
    reach("ledger.folded")


def _part(part: Noted) -> dict[str, Any]:
    return {
        "feed": part.feed,
        "partition": part.partition,
        "payload": part.payload,
        "rows": part.rows,
        "watermark": part.watermark,
        "received_at": part.received_at,
        "cells": cells_text({name: int(periods, 16) for name, periods in part.cells}),
    }
