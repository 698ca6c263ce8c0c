"""The connection behind the reference store: SQLite or Postgres, brought to the schema this code knows when opened.

Writers take turns: SQLite by `BEGIN IMMEDIATE`, Postgres by an advisory lock that ends with the transaction. So two
processes that open at once do not both migrate, and two loads of one list do not both open a row.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy import event, exc
from sqlalchemy.pool import StaticPool

from carbon254.errors import ReferenceRefused
from carbon254.lasting import make_folder
from carbon254.stores.commits import lasting_commits
from carbon254.stores.migrations import Migrations
from carbon254.stores.postgres import address, answer, open_engine, opening

from .tables import METADATA

SETTING = "C254_REFERENCE_URL"
MIGRATIONS = Migrations(
    "reference", Path(__file__).parent / "versions", "0002", "reference_version", METADATA, SETTING, ReferenceRefused
)
_TURN = 254_004  # any number, as long as nobody else's advisory lock has it
_BUSY_S = 30


class Database:
    """Transactions of a reference database at an SQLAlchemy URL."""

    def __init__(self, url: str) -> None:
        self._engine = _engine(url)
        self._lock = threading.RLock()
        self._writing = threading.local()
        self._sqlite = self._engine.dialect.name == "sqlite"
        try:
            with opening(self._engine, SETTING):
                self._migrate()
        except exc.OperationalError as error:
            self.close()
            cause = str(error.orig).strip().splitlines()[0]
            raise ReferenceRefused(f"the reference store at {self._engine.url} does not open: {cause}") from None
        except BaseException:
            self.close()
            raise

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """A transaction that sees one state; within `write`, that transaction."""
        if mine := getattr(self._writing, "connection", None):
            yield mine
        elif not self._sqlite:
            with self._engine.connect().execution_options(isolation_level="REPEATABLE READ") as connection:
                yield connection
        else:
            with self._lock, self._engine.connect() as connection:
                yield connection

    @contextmanager
    def write(self) -> Iterator[sa.Connection]:
        """A transaction that no other writer shares; undone when the block raises. Within another, it is that one."""
        if mine := getattr(self._writing, "connection", None):
            yield mine
            return
        with self._turn() as connection:
            self._writing.connection = connection
            try:
                yield connection
            finally:
                self._writing.connection = None

    @contextmanager
    def _turn(self) -> Iterator[sa.Connection]:
        if not self._sqlite:
            with self._engine.begin() as connection:
                connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_TURN)))
                yield connection
            return
        with self._lock, self._engine.connect().execution_options(turn="IMMEDIATE") as connection, connection.begin():
            yield connection

    def answer(self) -> None:
        """Raise TransientError where the server does not answer."""
        answer(self._engine)

    def close(self) -> None:
        """Close the connections."""
        self._engine.dispose()

    def _migrate(self) -> None:
        """Bring the schema to what this code knows. Raises ReferenceRefused where it is newer than this code."""
        with self.read() as connection:
            if MIGRATIONS.is_current(connection):
                return
        with self.write() as connection:
            # Whoever had the turn before may have done it.
            MIGRATIONS.run(connection)


def _engine(url: str) -> sa.Engine:
    read = address(url, SETTING)
    return _sqlite(read) if read.get_backend_name() == "sqlite" else open_engine(url, SETTING)


def _sqlite(url: sa.URL) -> sa.Engine:
    if url.database and url.database != ":memory:":
        make_folder(Path(url.database).absolute().parent)
    # One connection: older system libraries can lose a WAL reset between two.
    engine = sa.create_engine(
        url,
        poolclass=StaticPool,
        connect_args={"check_same_thread": False, "timeout": _BUSY_S, "isolation_level": None},
    )

    lasting_commits(engine)

    # The driver would not open a transaction before DDL, nor take a writer's turn at its start.
    @event.listens_for(engine, "begin")
    def _begin(connection: sa.Connection) -> None:
        connection.exec_driver_sql("BEGIN " + connection.get_execution_options().get("turn", "DEFERRED"))

    return engine
