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
from carbon254.stores.postgres import address, open_engine, opening

# It stands beside the ledger.
_SETTING = "C254_LEDGER_URL"
_META = sa.MetaData()
_STATES = sa.Table(
    "quality_states",
    _META,
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
_METRICS = sa.Table(
    "quality_metrics",
    _META,
    sa.Column("feed", sa.String(128), primary_key=True),
    sa.Column("partition", sa.String(32), primary_key=True),
    sa.Column("build", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("metric", sa.String(128), primary_key=True),
    sa.Column("value", sa.Double, nullable=False),
)


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
    """The metric store at an SQLAlchemy URL."""

    def __init__(self, url: str) -> None:
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
                _META.create_all(db)

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
            for table in (_METRICS, _STATES):
                db.execute(sa.delete(table).where(*(table.c[name] == value for name, value in key.items())))
            db.execute(
                sa.insert(_STATES).values(
                    **key,
                    source=kept.source,
                    state=kept.state,
                    checksum=_checksum(kept.state),
                    score=kept.score,
                    verdict=json.dumps(kept.verdict),
                    judged_at=kept.judged_at.astimezone(UTC).isoformat(timespec="microseconds"),
                )
            )
            if numbers:
                db.execute(sa.insert(_METRICS), numbers)

    def get(self, feed: str, partition: str) -> Kept | None:
        """What is kept of the highest build. Raises CorruptRecord where stored bytes are damaged."""
        found = self.between(feed, partition, partition)
        return found[0] if found else None

    def between(self, feed: str, first: str, last: str) -> Sequence[Kept]:
        """The highest build of each partition in [first, last], in order. Raises CorruptRecord."""
        newest = (
            sa.select(_STATES.c.partition, sa.func.max(_STATES.c.build).label("build"))
            .where(_STATES.c.feed == feed, _STATES.c.partition >= first, _STATES.c.partition <= last)
            .group_by(_STATES.c.partition)
            .subquery()
        )
        query = (
            sa.select(_STATES)
            .join(newest, (_STATES.c.partition == newest.c.partition) & (_STATES.c.build == newest.c.build))
            .where(_STATES.c.feed == feed)
            .order_by(_STATES.c.partition)
        )
        with self._lock, self._engine.connect() as db:
            rows = db.execute(query).all()
            numbers = self._numbers(db, feed, first, last)
        return [_kept(row, numbers.get((row.partition, row.build), {})) for row in rows]

    def history(self, feed: str, before: str, limit: int = 60) -> Mapping[str, Sequence[float]]:
        """Each metric of the last `limit` partitions before `before`, oldest first."""
        newest = (
            sa.select(_METRICS.c.partition, sa.func.max(_METRICS.c.build).label("build"))
            .where(_METRICS.c.feed == feed, _METRICS.c.partition < before)
            .group_by(_METRICS.c.partition)
            .order_by(_METRICS.c.partition.desc())
            .limit(limit)
            .subquery()
        )
        query = (
            sa.select(_METRICS.c.metric, _METRICS.c.value)
            .join(newest, (_METRICS.c.partition == newest.c.partition) & (_METRICS.c.build == newest.c.build))
            .where(_METRICS.c.feed == feed)
            .order_by(_METRICS.c.partition)
        )
        found: dict[str, list[float]] = {}
        with self._lock, self._engine.connect() as db:
            for metric, value in db.execute(query):
                found.setdefault(metric, []).append(value)
        return found

    def overall(self, feeds: Collection[str]) -> float | None:
        """Mean score of all kept partitions of these feeds, weighted by their rows; None where none was scored."""
        builds = sa.select(_STATES.c.feed, _STATES.c.partition, sa.func.max(_STATES.c.build).label("build"))
        newest = builds.where(_STATES.c.feed.in_(feeds)).group_by(_STATES.c.feed, _STATES.c.partition).subquery()
        key = ("feed", "partition", "build")
        rows = _METRICS.c.value
        mean = (
            sa.select(sa.func.sum(_STATES.c.score * rows) / sa.func.nullif(sa.func.sum(rows), 0))
            .join(newest, sa.and_(*(_STATES.c[name] == newest.c[name] for name in key)))
            .join(_METRICS, sa.and_(*(_STATES.c[name] == _METRICS.c[name] for name in key)))
            .where(_METRICS.c.metric == "rows", _STATES.c.score.is_not(None))
        )
        with self._lock, self._engine.connect() as db:
            return db.execute(mean).scalar()

    def feeds(self) -> Sequence[str]:
        """Feeds with a kept partition."""
        with self._lock, self._engine.connect() as db:
            return list(db.execute(sa.select(_STATES.c.feed).distinct().order_by(_STATES.c.feed)).scalars())

    def close(self) -> None:
        """Close the connections."""
        self._engine.dispose()

    def _numbers(self, db: sa.Connection, feed: str, first: str, last: str) -> dict[tuple[str, int], dict[str, float]]:
        query = sa.select(_METRICS).where(
            _METRICS.c.feed == feed, _METRICS.c.partition >= first, _METRICS.c.partition <= last
        )
        found: dict[tuple[str, int], dict[str, float]] = {}
        for row in db.execute(query):
            found.setdefault((row.partition, row.build), {})[row.metric] = row.value
        return found


def open_metrics(url: str) -> MetricStore:
    """The metric store at `url`: `sqlite:////abs/file.db`, or a Postgres URL."""
    return MetricStore(url)


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
