"""The ledger: what each feed has done for each partition (market day), by which payloads, and how it stands.

SQLAlchemy Core on SQLite or Postgres, one code. Rows, checksum, cells and watermark of a partition follow from the
payload batches noted for it, so that noting one twice changes nothing, also from two processes at once. Every change
of state is kept in `history`, every act of a person or command in the audit trail.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from carbon254.faults import reach
from carbon254.stores.marks import Mark
from carbon254.stores.postgres import answer, opening

from .counts import PayloadCounts
from .folding import FOLD_AT, among, cells_text, folded
from .leasing import refuse_stale
from .marks import Marks, put
from .port import (
    NEXT,
    Act,
    Build,
    Capability,
    Change,
    Entry,
    IllegalTransition,
    Lease,
    Noted,
    NotOffered,
)
from .received import Received
from .standing import entry_of
from .tables import (
    AUDIT,
    BUILDS,
    COUNTS,
    FOLDS,
    HISTORY,
    MARKS,
    PARTS,
    PLACES,
    RUNS,
    SETTING,
    make,
    open_engine,
    same,
    text_of,
)


class Ledger(PayloadCounts, Received, Marks):
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

    def complete(
        self, noted: Sequence[Noted], at: datetime, fence: Lease | None = None, mark: Mark | None = None
    ) -> None:
        """Batches of payloads reached their partitions; `mark` says how far the ledger has come with them. Those
        already noted change nothing."""

        def note(db: sa.Connection) -> None:
            self._note(db, noted, at, fence)
            if mark is not None:
                put(db, mark)

        self._write(note)

    def entries(
        self, feed: str | None = None, partition: str | None = None, state: str | None = None, limit: int = 100
    ) -> list[Entry]:
        """How partitions stand, newest partition first."""
        query = sa.select(RUNS).order_by(RUNS.c.partition.desc(), RUNS.c.feed).limit(limit)
        for column, value in ((RUNS.c.feed, feed), (RUNS.c.partition, partition), (RUNS.c.state, state)):
            query = query.where(column == value) if value else query
        with self._lock, self._engine.connect() as db:
            return [entry_of(db, row) for row in db.execute(query).all()]

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
            db.execute(COUNTS.delete().where(COUNTS.c.at < old))
            return sum(db.execute(table.delete().where(table.c.at < old)).rowcount for table in (HISTORY, AUDIT))

        return self._write(forget)

    def forget(self) -> None:
        """Forget everything but leases and what proofs found, because it is noted anew."""
        tables = (RUNS, PARTS, FOLDS, HISTORY, AUDIT, COUNTS, PLACES, MARKS)
        self._write(lambda db: [db.execute(table.delete()) for table in tables])

    def proven(self, build: Build) -> None:
        """Keep what a build was proven to hold; a later proof of the same build takes its place."""
        values = asdict(build) | {"at": text_of(build.at)}
        key = {name: values[name] for name in ("feed", "partition", "build")}

        def put(db: sa.Connection) -> None:
            db.execute(BUILDS.delete().where(same(BUILDS, key)))
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
                db.execute(sa.select(FOLDS).where(same(FOLDS, key))).first()
                if (feed, partition) in are_folded
                else None
            )
            held = set(db.execute(sa.select(PARTS.c.payload).where(same(PARTS, key))).scalars())
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
        where = same(RUNS, {"feed": feed, "partition": partition})
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


def _fold(db: sa.Connection, key: Mapping[str, str], before: Any | None) -> None:
    where = same(PARTS, key)
    row = folded(db.execute(sa.select(PARTS).where(where)).all(), before)
    db.execute(FOLDS.delete().where(same(FOLDS, key)))
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
