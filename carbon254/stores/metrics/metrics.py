"""Where quality is remembered: per feed, partition and build the state's bytes, its metrics, its score and verdict.

SQLAlchemy Core on SQLite or Postgres, one code. What is stored is opaque here: bytes that merge, numbers by name, and
a verdict as JSON. A partition judged anew replaces what was kept of that build; other builds stay, the highest stands.
`source` says which rows and rules the state was made of; where it still holds, the rows need not be read again.
"""

from __future__ import annotations

import hashlib
import json
import math
import threading
from collections.abc import Collection, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event

from carbon254.errors import CorruptRecord
from carbon254.stores.making import alone_in, alone_with
from carbon254.stores.migrations import Migrations
from carbon254.stores.postgres import address, open_engine, opening

# It stands beside the ledger.
_SETTING = "C254_LEDGER_URL"
_VERSIONS = Path(__file__).parent / "versions"


def _tables(kind: str) -> tuple[sa.MetaData, sa.Table, sa.Table, sa.Table]:
    meta = sa.MetaData()
    states = sa.Table(
        f"{kind}_states",
        meta,
        sa.Column("feed", sa.String(128), primary_key=True),
        sa.Column("partition", sa.String(32), primary_key=True),
        sa.Column("build", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("source", sa.String(128), nullable=False),
        sa.Column("state", sa.LargeBinary, nullable=False),
        sa.Column("checksum", sa.String(64), nullable=False),
        sa.Column("score", sa.Double),
        sa.Column("verdict", sa.Text, nullable=False),
        sa.Column("judged_at", sa.String(40), nullable=False),
    )
    numbers = sa.Table(
        f"{kind}_metrics",
        meta,
        sa.Column("feed", sa.String(128), primary_key=True),
        sa.Column("partition", sa.String(32), primary_key=True),
        sa.Column("build", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("metric", sa.String(128), primary_key=True),
        sa.Column("value", sa.Double, nullable=False),
    )
    # How often something was kept: by it an older copy of the store is seen.
    turns = sa.Table(
        f"{kind}_turns", meta,
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("turns", sa.BigInteger, nullable=False),
    )  # fmt: skip
    return meta, states, numbers, turns


@dataclass(frozen=True, slots=True)
class Kept:
    """What is kept of one build of a partition. `score` is None where nothing could be judged; times are UTC."""

    feed: str
    partition: str
    build: int
    source: str
    state: bytes
    score: float | None
    judged_at: datetime
    verdict: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)


class MetricStore:
    """The metric store at an SQLAlchemy URL.

    `kind` is quality (partitions as they stand, by build) or verdict (the gate's verdicts on market days: `build` is
    the verdict's number, and `judged_at` the moment it speaks of). `by` leaves out what was judged later.
    """

    def __init__(self, url: str, kind: str = "quality") -> None:
        self._meta, self._states, self._metrics, self._turns = _tables(kind)
        self._lock = threading.RLock()
        self._engine = _engine(url)
        with ExitStack() as alone:
            file = self._engine.url.database
            if self._engine.dialect.name == "sqlite" and file:
                event.listen(self._engine, "connect", _durable)
                # Of two that switch a file to WAL at once, SQLite refuses one, whatever its timeout.
                alone.enter_context(alone_in(Path(file).parent))
            with opening(self._engine, _SETTING), self._engine.begin() as db:
                alone_with(db)
                migrations = Migrations("quality", _VERSIONS, "0001", f"{kind}_version", self._meta, _SETTING)
                migrations.run(db)

    def put(self, kept: Kept) -> None:
        """Keep a build's state, metrics and verdict instead of what was kept of it. Metrics that are not finite are
        left out."""
        key = {"feed": kept.feed, "partition": kept.partition, "build": kept.build}
        numbers = [
            {**key, "metric": name, "value": float(value)}
            for name, value in kept.metrics.items()
            if math.isfinite(value)
        ]
        with self._lock, self._engine.begin() as db:
            for table in (self._metrics, self._states):
                db.execute(sa.delete(table).where(*(table.c[name] == value for name, value in key.items())))
            db.execute(
                sa.insert(self._states).values(
                    **key,
                    source=kept.source,
                    state=kept.state,
                    checksum=_checksum(kept.state),
                    score=kept.score,
                    verdict=json.dumps(kept.verdict),
                    judged_at=_text(kept.judged_at),
                )
            )
            if numbers:
                db.execute(sa.insert(self._metrics), numbers)
            self._take_turn(db, 1)

    def get(self, feed: str, partition: str) -> Kept | None:
        """What is kept of the highest build. Raises CorruptRecord where stored bytes are damaged."""
        found = self.between(feed, partition, partition)
        return found[0] if found else None

    def numbered(self, feed: str, partition: str, build: int) -> Kept | None:
        """What is kept of one build. Raises CorruptRecord where stored bytes are damaged."""
        key = {"feed": feed, "partition": partition, "build": build}
        query = sa.select(self._states).where(*(self._states.c[name] == value for name, value in key.items()))
        with self._lock, self._engine.connect() as db:
            row = db.execute(query).one_or_none()
            numbers = self._numbers(db, feed, partition, partition) if row is not None else {}
        return None if row is None else _kept(row, numbers.get((partition, build), {}))

    def after(self, feed: str, partition: str, since: datetime, limit: int) -> Sequence[tuple[str, int, datetime]]:
        """(partition, build, judged at) of partitions after one that were judged at `since` or later, in order."""
        columns = self._states.c
        query = (
            sa.select(columns.partition, columns.build, columns.judged_at)
            .where(columns.feed == feed, columns.partition > partition, columns.judged_at >= _text(since))
            .order_by(columns.partition, columns.build)
            .limit(limit)
        )
        with self._lock, self._engine.connect() as db:
            return [(row.partition, row.build, datetime.fromisoformat(row.judged_at)) for row in db.execute(query)]

    def covered(self, feed: str) -> Mapping[str, str]:
        """Partition → what its highest build says that it covers."""
        newest = self._newest(feed, None).subquery()
        query = sa.select(self._states.c.partition, self._states.c.verdict).join(newest, self._same(newest))
        with self._lock, self._engine.connect() as db:
            rows = db.execute(query.where(self._states.c.feed == feed)).all()
        return {row.partition: str(json.loads(row.verdict).get("covers", "")) for row in rows}

    def marks(self, feed: str, before: str, by: datetime | None = None, limit: int = 60) -> Sequence[tuple[str, str]]:
        """(partition, source) of the highest builds of the last `limit` partitions before `before`, newest first."""
        newest = self._newest(feed, by).where(self._states.c.partition < before)
        newest = newest.order_by(self._states.c.partition.desc()).limit(limit).subquery()
        query = (
            sa.select(self._states.c.partition, self._states.c.source)
            .join(newest, self._same(newest))
            .where(self._states.c.feed == feed)
            .order_by(self._states.c.partition.desc())
        )
        with self._lock, self._engine.connect() as db:
            return [(row.partition, row.source) for row in db.execute(query)]

    def between(self, feed: str, first: str, last: str, by: datetime | None = None) -> Sequence[Kept]:
        """The highest build of each partition in [first, last], in order. Raises CorruptRecord."""
        columns = self._states.c
        newest = self._newest(feed, by).where(columns.partition >= first, columns.partition <= last).subquery()
        query = (
            sa.select(self._states)
            .join(newest, self._same(newest))
            .where(self._states.c.feed == feed)
            .order_by(self._states.c.partition)
        )
        with self._lock, self._engine.connect() as db:
            rows = db.execute(query).all()
            numbers = self._numbers(db, feed, first, last)
        return [_kept(row, numbers.get((row.partition, row.build), {})) for row in rows]

    def history(
        self, feed: str, before: str, limit: int = 60, by: datetime | None = None
    ) -> Mapping[str, Sequence[float]]:
        """Each metric of the last `limit` partitions before `before`, oldest first."""
        newest = self._newest(feed, by).where(self._states.c.partition < before)
        newest = newest.order_by(self._states.c.partition.desc()).limit(limit).subquery()
        metrics = self._metrics.c
        query = (
            sa.select(metrics.metric, metrics.value)
            .join(newest, (metrics.partition == newest.c.partition) & (metrics.build == newest.c.build))
            .where(metrics.feed == feed)
            .order_by(metrics.partition)
        )
        found: dict[str, list[float]] = {}
        with self._lock, self._engine.connect() as db:
            for metric, value in db.execute(query):
                found.setdefault(metric, []).append(value)
        return found

    def overall(self, feeds: Collection[str]) -> float | None:
        """Mean score of all kept partitions of these feeds, weighted by their rows; None where none was scored."""
        columns = self._states.c
        builds = sa.select(columns.feed, columns.partition, sa.func.max(columns.build).label("build"))
        newest = builds.where(columns.feed.in_(feeds)).group_by(columns.feed, columns.partition).subquery()
        key = ("feed", "partition", "build")
        rows = self._metrics.c.value
        mean = (
            sa.select(sa.func.sum(self._states.c.score * rows) / sa.func.nullif(sa.func.sum(rows), 0))
            .join(newest, sa.and_(*(self._states.c[name] == newest.c[name] for name in key)))
            .join(self._metrics, sa.and_(*(self._states.c[name] == self._metrics.c[name] for name in key)))
            .where(self._metrics.c.metric == "rows", self._states.c.score.is_not(None))
        )
        with self._lock, self._engine.connect() as db:
            return db.execute(mean).scalar()

    def turns(self) -> int:
        """How often something was kept in this store."""
        with self._lock, self._engine.connect() as db:
            return int(db.execute(sa.select(self._turns.c.turns)).scalar() or 0)

    def forget(self, turns: int = 0) -> None:
        """Forget everything that is kept, for it is made anew; the store counts on from `turns` at least."""
        with self._lock, self._engine.begin() as db:
            for table in (self._metrics, self._states):
                db.execute(sa.delete(table))
            held = int(db.execute(sa.select(self._turns.c.turns)).scalar() or 0)
            self._take_turn(db, max(0, turns - held))

    def _take_turn(self, db: sa.Connection, more: int) -> None:
        if not db.execute(sa.update(self._turns).values(turns=self._turns.c.turns + more)).rowcount:
            db.execute(sa.insert(self._turns).values(id=1, turns=more))

    def feeds(self) -> Sequence[str]:
        """Feeds with a kept partition."""
        with self._lock, self._engine.connect() as db:
            return list(db.execute(sa.select(self._states.c.feed).distinct().order_by(self._states.c.feed)).scalars())

    def close(self) -> None:
        """Close the connections."""
        self._engine.dispose()

    def _newest(self, feed: str, by: datetime | None) -> sa.Select[Any, Any]:
        """(partition, highest build) of a feed's partitions, of those judged by a moment."""
        query = sa.select(self._states.c.partition, sa.func.max(self._states.c.build).label("build"))
        query = query.where(self._states.c.feed == feed).group_by(self._states.c.partition)
        return query if by is None else query.where(self._states.c.judged_at <= _text(by))

    def _same(self, newest: sa.Subquery) -> sa.ColumnElement[bool]:
        columns = self._states.c
        return (columns.partition == newest.c.partition) & (columns.build == newest.c.build)

    def _numbers(self, db: sa.Connection, feed: str, first: str, last: str) -> dict[tuple[str, int], dict[str, float]]:
        query = sa.select(self._metrics).where(
            self._metrics.c.feed == feed, self._metrics.c.partition >= first, self._metrics.c.partition <= last
        )
        found: dict[tuple[str, int], dict[str, float]] = {}
        for row in db.execute(query):
            found.setdefault((row.partition, row.build), {})[row.metric] = row.value
        return found


def open_metrics(url: str, kind: str = "quality") -> MetricStore:
    """The metric store at `url`: `sqlite:////abs/file.db`, or a Postgres URL."""
    return MetricStore(url, kind)


def _kept(row: Any, numbers: Mapping[str, float]) -> Kept:
    if _checksum(row.state) != row.checksum:
        raise CorruptRecord(
            f"the kept quality of {row.feed} {row.partition} is damaged; make it anew: "
            f"c254 quality run --feed {row.feed} --again"
        )
    return Kept(
        row.feed, row.partition, row.build, row.source, bytes(row.state), row.score,
        datetime.fromisoformat(row.judged_at), json.loads(row.verdict), numbers,
    )  # fmt: skip


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


def _checksum(state: bytes) -> str:
    return hashlib.sha256(state).hexdigest()


def _engine(url: str) -> sa.Engine:
    if address(url, _SETTING).get_backend_name() == "sqlite":
        return sa.create_engine(url)
    return open_engine(url, _SETTING)


def _durable(connection: Any, _: Any) -> None:
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "busy_timeout=30000"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()
