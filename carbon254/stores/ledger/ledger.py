"""The ledger: what each feed has done for each partition (market day), by which payloads, and how it stands.

SQLAlchemy Core on SQLite or Postgres, one code. Rows, checksum and watermark of a partition follow from the payload
batches noted for it, so that noting one twice changes nothing. Every change of state is kept in `history`.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.pool import StaticPool

from carbon254.errors import PermanentError

STATES = ("pending", "running", "completed", "failed", "replaying")
_NEXT = {
    "": set(STATES),
    "pending": {"running", "completed", "failed"},
    "running": {"completed", "failed", "running"},
    "completed": {"running", "replaying", "completed", "failed"},
    "failed": {"running", "replaying", "completed", "failed"},
    "replaying": {"completed", "failed", "replaying"},
}
_META = sa.MetaData()
_RUNS = sa.Table(
    "runs",
    _META,
    sa.Column("feed", sa.String(128), primary_key=True),
    sa.Column("partition", sa.String(32), primary_key=True),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("build", sa.Integer, nullable=False),
    sa.Column("changed_at", sa.String(40), nullable=False),
    sa.Column("error", sa.Text, nullable=False),
)
_PARTS = sa.Table(
    "parts",
    _META,
    sa.Column("feed", sa.String(128), primary_key=True),
    sa.Column("partition", sa.String(32), primary_key=True),
    sa.Column("payload", sa.String(96), primary_key=True),
    sa.Column("rows", sa.BigInteger, nullable=False),
    sa.Column("watermark", sa.String(40), nullable=False),
    sa.Column("received_at", sa.String(40), nullable=False),
)
_HISTORY = sa.Table(
    "history",
    _META,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("feed", sa.String(128), nullable=False),
    sa.Column("partition", sa.String(32), nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("at", sa.String(40), nullable=False),
    sa.Column("note", sa.Text, nullable=False),
)


class IllegalTransition(PermanentError):
    """A state that cannot follow the present one."""


@dataclass(frozen=True, slots=True)
class Noted:
    """A batch of a payload that reached a partition."""

    feed: str
    partition: str
    payload: str
    rows: int
    watermark: str
    received_at: str


@dataclass(frozen=True, slots=True)
class Entry:
    """How a partition stands. `checksum` is over its payload batches, whatever their order; times are UTC."""

    feed: str
    partition: str
    state: str
    attempts: int
    build: int
    changed_at: datetime
    error: str
    payloads: int
    rows: int
    watermark: datetime | None
    first_received: datetime | None
    last_received: datetime | None
    checksum: str


class Ledger:
    """The ledger at an SQLAlchemy URL."""

    def __init__(self, url: str) -> None:
        sqlite = url.startswith("sqlite")
        # One connection for SQLite: older system libraries can lose a WAL reset between two.
        options: dict[str, Any] = {"poolclass": StaticPool, "connect_args": {"check_same_thread": False}}
        self._engine = sa.create_engine(url, **(options if sqlite else {}))
        self._lock = threading.Lock()
        if sqlite:
            with self._engine.connect() as connection:
                connection.exec_driver_sql("PRAGMA synchronous = FULL")
        _META.create_all(self._engine)

    def begin(self, feed: str, partition: str, at: datetime, state: str = "running") -> None:
        """A run starts; its attempt is counted. Raises IllegalTransition."""
        with self._lock, self._engine.begin() as db:
            self._move(db, feed, partition, state, at, attempt=True)

    def fail(self, feed: str, partition: str, at: datetime, error: str) -> None:
        """A run ended with an error."""
        with self._lock, self._engine.begin() as db:
            self._move(db, feed, partition, "failed", at, error=error)

    def rebuilt(self, feed: str, partition: str, at: datetime) -> None:
        """A new build of the partition stands."""
        with self._lock, self._engine.begin() as db:
            self._move(db, feed, partition, "completed", at, new_build=True)

    def complete(self, noted: Sequence[Noted], at: datetime) -> None:
        """Batches of payloads reached their partitions. Those already noted change nothing."""
        with self._lock, self._engine.begin() as db:
            for part in noted:
                key = (part.feed, part.partition, part.payload)
                where = sa.and_(*(column == value for column, value in zip(_PARTS.primary_key, key, strict=True)))
                if db.execute(sa.select(_PARTS.c.rows).where(where)).first():
                    continue
                db.execute(
                    _PARTS.insert().values(
                        feed=part.feed,
                        partition=part.partition,
                        payload=part.payload,
                        rows=part.rows,
                        watermark=part.watermark,
                        received_at=part.received_at,
                    )
                )
                self._move(db, part.feed, part.partition, "completed", at)

    def entries(
        self, feed: str | None = None, partition: str | None = None, state: str | None = None, limit: int = 100
    ) -> list[Entry]:
        """How partitions stand, newest partition first."""
        query = sa.select(_RUNS).order_by(_RUNS.c.partition.desc(), _RUNS.c.feed).limit(limit)
        for column, value in ((_RUNS.c.feed, feed), (_RUNS.c.partition, partition), (_RUNS.c.state, state)):
            query = query.where(column == value) if value else query
        with self._lock, self._engine.connect() as db:
            return [self._entry(db, row._mapping) for row in db.execute(query)]

    def watermark(self, feed: str, partition: str | None = None) -> datetime | None:
        """The end of the newest interval received; None before any."""
        query = sa.select(sa.func.max(_PARTS.c.watermark)).where(_PARTS.c.feed == feed)
        query = query.where(_PARTS.c.partition == partition) if partition else query
        with self._lock, self._engine.connect() as db:
            return _moment(db.execute(query).scalar())

    def totals(self) -> dict[str, tuple[int, int, datetime | None]]:
        """(payload batches, rows, watermark) of each feed."""
        query = sa.select(
            _PARTS.c.feed, sa.func.count(), sa.func.sum(_PARTS.c.rows), sa.func.max(_PARTS.c.watermark)
        ).group_by(_PARTS.c.feed)
        with self._lock, self._engine.connect() as db:
            return {feed: (count, int(rows), _moment(mark)) for feed, count, rows, mark in db.execute(query)}

    def history(self, feed: str, partition: str) -> list[tuple[str, datetime, str]]:
        """(state, when, note) of each change, oldest first."""
        query = sa.select(_HISTORY).where(_HISTORY.c.feed == feed, _HISTORY.c.partition == partition)
        with self._lock, self._engine.connect() as db:
            rows = db.execute(query.order_by(_HISTORY.c.id)).all()
            return [(row.state, datetime.fromisoformat(row.at), row.note) for row in rows]

    def prune(self, before: datetime) -> int:
        """Forget history older than `before`; how many lines."""
        with self._lock, self._engine.begin() as db:
            return db.execute(_HISTORY.delete().where(_HISTORY.c.at < _text(before))).rowcount

    def close(self) -> None:
        """Close the connections."""
        self._engine.dispose()

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
        new_build: bool = False,
    ) -> None:
        where = sa.and_(_RUNS.c.feed == feed, _RUNS.c.partition == partition)
        found = db.execute(sa.select(_RUNS).where(where)).first()
        before = found.state if found else ""
        if state not in _NEXT[before]:
            raise IllegalTransition(f"{feed} {partition}: {state} cannot follow {before}")
        values = {
            "state": state,
            "changed_at": _text(at),
            "error": error,
            "attempts": (found.attempts if found else 0) + attempt,
            "build": (found.build if found else 1) + new_build,
        }
        if found:
            db.execute(_RUNS.update().where(where).values(**values))
        else:
            db.execute(_RUNS.insert().values(feed=feed, partition=partition, **values))
        if state != before:
            db.execute(_HISTORY.insert().values(feed=feed, partition=partition, state=state, at=_text(at), note=error))

    def _entry(self, db: sa.Connection, run: Any) -> Entry:
        parts = db.execute(
            sa.select(_PARTS)
            .where(_PARTS.c.feed == run["feed"], _PARTS.c.partition == run["partition"])
            .order_by(_PARTS.c.payload)
        ).all()
        received = [part.received_at for part in parts]
        return Entry(
            run["feed"], run["partition"], run["state"], run["attempts"], run["build"],
            datetime.fromisoformat(run["changed_at"]), run["error"], len(parts), sum(part.rows for part in parts),
            _moment(max((part.watermark for part in parts), default=None)),
            _moment(min(received, default=None)), _moment(max(received, default=None)),
            hashlib.sha256("\n".join(part.payload for part in parts).encode()).hexdigest(),
        )  # fmt: skip


def open_ledger(url: str) -> Ledger:
    """The ledger at `url`: `sqlite:////abs/file.db`, or a Postgres URL."""
    return Ledger(url)


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
