"""The ledger's tables for SQLite and Postgres, made where they lack and widened where an older version made them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.pool import StaticPool

from carbon254.stores import postgres
from carbon254.stores.commits import lasting_commits
from carbon254.stores.making import alone_with
from carbon254.stores.migrations import Migrations
from carbon254.stores.postgres import address

SETTING = "C254_LEDGER_URL"
META = sa.MetaData()
WRITES = "c254_writes"
_BUSY_S = 30


def _text(name: str, size: int, **options: Any) -> sa.Column:
    return sa.Column(name, sa.String(size), nullable=False, **options)


def _late(name: str, kind: Any = sa.Text) -> sa.Column:
    """A column that older ledgers lack: empty in their rows."""
    return sa.Column(name, kind, nullable=False, server_default="")


RUNS = sa.Table(
    "runs",
    META,
    _text("feed", 128, primary_key=True),
    _text("partition", 32, primary_key=True),
    _text("state", 16),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("build", sa.Integer, nullable=False),
    _text("changed_at", 40),
    sa.Column("error", sa.Text, nullable=False),
    _late("code", sa.String(80)),
)
PARTS = sa.Table(
    "parts",
    META,
    _text("feed", 128, primary_key=True),
    _text("partition", 32, primary_key=True),
    _text("payload", 96, primary_key=True),
    sa.Column("rows", sa.BigInteger, nullable=False),
    _text("watermark", 40),
    _text("received_at", 40),
    _late("cells"),
)
# Many parts of one partition, kept as one row; `members` still knows each of them.
FOLDS = sa.Table(
    "folds",
    META,
    _text("feed", 128, primary_key=True),
    _text("partition", 32, primary_key=True),
    sa.Column("payloads", sa.BigInteger, nullable=False),
    sa.Column("rows", sa.BigInteger, nullable=False),
    _text("watermark", 40),
    _text("first_received", 40),
    _text("last_received", 40),
    _text("digest", 64),
    sa.Column("members", sa.LargeBinary, nullable=False),
    sa.Column("cells", sa.Text, nullable=False),
)
HISTORY = sa.Table(
    "history",
    META,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    _text("feed", 128),
    _text("partition", 32),
    _text("state", 16),
    _text("at", 40),
    sa.Column("note", sa.Text, nullable=False),
    sa.Index("history_by_partition", "feed", "partition"),
)
AUDIT = sa.Table(
    "audit",
    META,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    _text("at", 40),
    _text("who", 128),
    _text("what", 64),
    _text("feed", 128),
    _text("partition", 32),
    sa.Column("why", sa.Text, nullable=False),
)
PLACES = sa.Table(
    "place_sets", META, _text("name", 64, primary_key=True), sa.Column("places", sa.LargeBinary, nullable=False)
)
LEASES = sa.Table(
    "leases",
    META,
    _text("name", 160, primary_key=True),
    _text("holder", 128),
    sa.Column("token", sa.BigInteger, nullable=False),
    _text("expires_at", 40),
)
BUILDS = sa.Table(
    "builds",
    META,
    _text("feed", 128, primary_key=True),
    _text("partition", 32, primary_key=True),
    sa.Column("build", sa.Integer, primary_key=True),
    _text("code", 80),
    sa.Column("payloads", sa.BigInteger, nullable=False),
    sa.Column("rows", sa.BigInteger, nullable=False),
    _text("hash", 64),
    _text("at", 40),
)

# What became of a payload's records: one line a batch of its rows, and one for the payload as a whole (batch "").
COUNTS = sa.Table(
    "counts",
    META,
    _text("feed", 128, primary_key=True),
    sa.Column("payload", sa.BigInteger, primary_key=True),
    _text("batch", 48, primary_key=True),
    _text("sha256", 64),
    _text("received_at", 40),
    sa.Column("name", sa.Text, nullable=False),
    *(
        sa.Column(name, sa.BigInteger, nullable=False)
        for name in ("records", "stored", "confirmed", "duplicate", "rejected", "held", "letters")
    ),
    sa.Column("note", sa.Text, nullable=False),
    _text("first", 40),
    _text("last", 40),
    _text("at", 40),  # when it was counted, which may be long after the payload was received
)

# How far the ledger, and what is judged by it, has come in which log.
MARKS = sa.Table(
    "marks",
    META,
    _text("store", 32, primary_key=True),
    _text("workspace", 64, primary_key=True),
    _text("log", 64, primary_key=True),
    sa.Column("offset", sa.BigInteger, nullable=False),
)


def open_engine(url: str) -> sa.Engine:
    """The engine at an SQLAlchemy URL. Raises SettingsError where it is none of SQLite or Postgres."""
    if address(url, SETTING).get_backend_name() != "sqlite":
        return postgres.open_engine(url, SETTING)
    # One connection for SQLite: older system libraries can lose a WAL reset between two.
    arguments = {"check_same_thread": False, "timeout": _BUSY_S}
    engine = sa.create_engine(url, poolclass=StaticPool, connect_args=arguments)
    lasting_commits(engine)
    event.listen(engine, "connect", _settle)
    event.listen(engine, "begin", _take)
    return engine


MIGRATIONS = Migrations("ledger", Path(__file__).parent / "versions", "0002", "ledger_version", META, SETTING)


def make(db: sa.Connection) -> None:
    """Make the tables, or bring them to what this code knows."""
    alone_with(db)
    MIGRATIONS.run(db)


def text_of(moment: datetime) -> str:
    """An instant as text that sorts as instants do."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


def moment_of(text: str | None) -> datetime | None:
    """The instant of a text; None for none."""
    return datetime.fromisoformat(text) if text else None


def same(table: sa.Table, key: Mapping[str, Any]) -> sa.ColumnElement[bool]:
    """The condition that selects the rows of a table with these values."""
    return sa.and_(*(table.c[name] == value for name, value in key.items()))


def _settle(connection: Any, _record: object) -> None:
    """SQLite: transactions begin where we say."""
    connection.isolation_level = None


def _take(db: sa.Connection) -> None:
    """SQLite: a transaction that will write has the file to itself before it reads."""
    db.exec_driver_sql("BEGIN IMMEDIATE" if db.get_execution_options().get(WRITES) else "BEGIN")
