"""The embedded log: SQLite in WAL mode, every commit on disk before it returns (synchronous=FULL).

One writer connection a process, guarded by a lock; SQLite's own lock orders writers of several processes. Each thread
reads through a connection of its own. Headers and body carry a CRC-32 that is checked whenever they are read. apsw
brings a SQLite of its own, newer than the WAL-reset race that system libraries still have.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import apsw
import orjson

from carbon254.errors import CorruptRecord
from carbon254.faults import reach

from .connections import Readers, connect
from .letters import LETTERS, Letters
from .port import Letter, NewRecord, Record, TopicInfo
from .transaction import EmbeddedTxn, intact, state

_SCHEMA = """
CREATE TABLE IF NOT EXISTS records (
  offset INTEGER PRIMARY KEY AUTOINCREMENT, topic TEXT NOT NULL, key TEXT, headers BLOB NOT NULL,
  body BLOB NOT NULL, crc INTEGER NOT NULL, appended_s REAL NOT NULL);
CREATE UNIQUE INDEX IF NOT EXISTS by_key ON records (topic, key) WHERE key IS NOT NULL;
CREATE INDEX IF NOT EXISTS by_topic ON records (topic, offset);
CREATE INDEX IF NOT EXISTS by_time ON records (appended_s);
CREATE TABLE IF NOT EXISTS offsets (
  consumer TEXT NOT NULL, topic TEXT NOT NULL, offset INTEGER NOT NULL, PRIMARY KEY (consumer, topic)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS state (
  scope TEXT NOT NULL, key TEXT NOT NULL, value BLOB NOT NULL, PRIMARY KEY (scope, key)) WITHOUT ROWID;
-- What carries no checksum is held twice, so that `PRAGMA integrity_check` finds either copy changed.
CREATE INDEX IF NOT EXISTS offsets_again ON offsets (offset);
CREATE INDEX IF NOT EXISTS state_again ON state (value);
"""
# How often another process's commits are looked out for.
_LOOK_S = 0.25
_VISIT_S = 600.0
_RECORD = "offset, topic, key, headers, body, crc, appended_s"


class EmbeddedLog:
    """A log in one SQLite file. Safe to share between threads and between processes."""

    publishes = False

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = threading.RLock()
        self._news, self._told = threading.Condition(), 0
        self._watcher: threading.Thread | None = None
        self._closed, self._visited_s = threading.Event(), -_VISIT_S
        self._readers = Readers(path)
        self._writer = connect(path, _SCHEMA + LETTERS)

    def append(self, records: Iterable[NewRecord]) -> list[int]:
        """Append in a transaction of its own."""
        with self.transaction() as txn:
            return txn.append(records)

    @contextmanager
    def transaction(self) -> Iterator[EmbeddedTxn]:
        """A transaction; on disk when the block ends, undone when it raises."""
        with self._lock:
            self._readers.refuse_closed()
            try:
                # Begun in here: whatever comes between this and the block must not leave a transaction open.
                self._writer.execute("BEGIN IMMEDIATE")
                reach("log.begun")
                txn = EmbeddedTxn(self._writer, time.time())
                yield txn
                reach("log.committing")
                self._writer.execute("COMMIT")
                reach("log.committed")
            except BaseException:
                # A full disk ends the transaction by itself; rolling back again would hide the reason.
                if self._writer.in_transaction:
                    with suppress(apsw.Error):
                        self._writer.execute("ROLLBACK")
                raise
        if txn.appended or txn.moved:
            self.wake()

    def read(self, consumer: str, prefix: str, limit: int = 64) -> list[Record]:
        """Records of topics that start with `prefix` beyond the consumer's offsets, oldest first."""
        pending: list[tuple[int]] = []
        rows: list[tuple] = []
        # One snapshot, so that of a transaction over several topics all is seen or nothing.
        with self._reader() as db:
            done = self.offsets(consumer)
            for topic in self._names(prefix):
                pending += db.execute(
                    "SELECT offset FROM records WHERE topic = ? AND offset > ? ORDER BY offset LIMIT ?",
                    (topic, done.get(topic, 0), limit),
                )
            # Bodies come after the choice, so that memory is bounded by the limit and not by the number of topics.
            query = f"SELECT {_RECORD} FROM records WHERE offset = ?"
            for chosen in sorted(pending)[:limit]:
                rows += db.execute(query, chosen)
        return [_record(row) for row in rows]

    def fetch(self, offset: int) -> Record:
        """The record at an offset. Raises KeyError where there is none."""
        row = self._reader().execute(f"SELECT {_RECORD} FROM records WHERE offset = ?", (offset,)).fetchone()
        if row is None:
            raise KeyError(f"the log has no record {offset}")
        return _record(row)

    def scan(self, prefix: str, after: int = 0) -> Iterator[Record]:
        """Every record of topics that start with `prefix`, oldest first."""
        while True:
            rows = (
                self._reader()
                .execute(
                    f"SELECT {_RECORD} FROM records WHERE offset > ? AND substr(topic, 1, ?) = ? "
                    "ORDER BY offset LIMIT 100",
                    (after, len(prefix), prefix),
                )
                .fetchall()
            )
            if not rows:
                return
            for row in rows:
                record = _record(row)
                after = record.offset
                yield record

    def offsets(self, consumer: str) -> dict[str, int]:
        """The consumer's committed offset of each topic."""
        return dict(self._reader().execute("SELECT topic, offset FROM offsets WHERE consumer = ?", (consumer,)))

    def lag(self, consumer: str, prefix: str, ours: bool = False) -> int:
        """Records that the consumer has yet to carry; all of them are ours."""
        query, ahead = "SELECT count(*) FROM records WHERE topic = ? AND offset > ?", [0]
        with self._reader() as db:
            done = self.offsets(consumer)
            ahead += [_scalar(db, query, (topic, done.get(topic, 0))) for topic in self._names(prefix)]
        return sum(ahead)

    def end_offset(self) -> int:
        """The highest offset ever given; 0 for an empty log."""
        row = self._reader().execute("SELECT seq FROM sqlite_sequence WHERE name = 'records'").fetchone()
        return int(row[0]) if row else 0

    def topics(self) -> list[TopicInfo]:
        """How much each topic holds."""
        query = "SELECT topic, count(*), min(offset), max(offset) FROM records GROUP BY topic ORDER BY topic"
        return [TopicInfo(*row) for row in self._reader().execute(query)]

    def get_state(self, scope: str, key: str) -> bytes | None:
        """The committed value."""
        return state(self._reader(), scope, key)

    def letters(self, topic: str | None = None, status: str | None = None, limit: int = 1_000) -> list[Letter]:
        """Letters, oldest first."""
        return Letters(self._reader()).listed(topic, status, limit)

    def letter(self, number: int) -> Letter:
        """One letter. Raises KeyError where there is none."""
        return Letters(self._reader()).one(number)

    def count_letters(self, topic: str | None = None, status: str | None = None) -> int:
        """How many letters there are."""
        return Letters(self._reader()).count(topic, status)

    def trim(self, prefix: str, consumers: Sequence[str], before: datetime) -> int:
        """Delete records of `prefix` that all `consumers` carried and that are older than `before`; how many."""
        done = [self.offsets(consumer) for consumer in consumers]
        total = 0
        for topic in self._names(prefix):
            carried = min((offsets.get(topic, 0) for offsets in done), default=0)
            with self._lock:
                self._readers.refuse_closed()
                self._writer.execute(
                    "DELETE FROM records WHERE topic = ? AND offset <= ? AND appended_s < ?",
                    (topic, carried, before.timestamp()),
                )
                total += self._writer.changes()
                reach("log.trimmed")
        return total

    def check(self) -> list[str]:
        """What is wrong with the file; empty when nothing is."""
        problems = [row[0] for row in self._reader().execute("PRAGMA integrity_check") if row[0] != "ok"]
        for offset, headers, body, crc in self._reader().execute("SELECT offset, headers, body, crc FROM records"):
            if not intact(headers, body, crc):
                problems.append(f"record {offset}: it does not match its checksum")
        return problems

    def news(self) -> int:
        """Rises with whatever is appended or carried; hand it to `wait`, and nothing that came in between is missed."""
        with self._news:
            self._watch()
            return self._told

    def wait(self, timeout_s: float, beyond: int | None = None) -> None:
        """Return when something is appended or carried, by any process, beyond a count of `news`; or after a while."""
        with self._news:
            self._watch()
            seen = self._told if beyond is None else beyond
            self._news.wait_for(lambda: self._told != seen or self._closed.is_set(), timeout_s)

    def wake(self) -> None:
        """Let whoever waits look again."""
        with self._news:
            self._told += 1
            self._news.notify_all()

    def visited(self) -> bool:
        """Whether another process has written here lately: a command beside us, which waits for what it brought."""
        return time.monotonic() < self._visited_s + _VISIT_S

    def _watch(self) -> None:
        """Look out for other processes' commits, from the first time that somebody waits."""
        if self._watcher is None and not self._closed.is_set():
            self._watcher = threading.Thread(target=self._look_out, name="c254-log-news", daemon=True)
            self._watcher.start()

    def _look_out(self) -> None:
        # The writer's own commits leave its version as it is: only what others commit changes it.
        before: int | None = None
        while not self._closed.wait(_LOOK_S):
            with self._lock:
                if self._closed.is_set():
                    return
                version = _scalar(self._writer, "PRAGMA data_version", ())
            if before is not None and version != before:
                self._visited_s = time.monotonic()
                self.wake()
            before = version

    def trouble(self) -> str:
        """A file answers or raises; there is nothing to wait for."""
        return ""

    def close(self) -> None:
        """Close every connection. Reading or writing afterwards raises WorkspaceError."""
        self._closed.set()
        self.wake()
        with self._lock:
            self._readers.close()
            self._writer.close()

    def _names(self, prefix: str) -> list[str]:
        """Topics that start with `prefix`, found by skipping through the index."""
        found, after = [], prefix
        query = "SELECT min(topic) FROM records WHERE topic >= ? AND topic < ?"
        upper = prefix + "\U0010ffff"
        while True:
            name = _scalar(self._reader(), query, (after, upper))
            if name is None:
                return found
            found.append(name)
            after = name + "\0"

    def _reader(self) -> apsw.Connection:
        return self._readers.mine()


def open_log(path: Path) -> EmbeddedLog:
    """The log in the file at `path`, made where there is none."""
    return EmbeddedLog(path)


def _scalar(db: apsw.Connection, query: str, values: Sequence[str | int]) -> Any:
    """The one value of a query that always has one."""
    return next(iter(db.execute(query, tuple(values))))[0]


def _record(row: tuple) -> Record:
    offset, topic, key, headers, body, crc, appended_s = row
    if not intact(headers, body, crc):
        raise CorruptRecord(f"record {offset} of {topic} does not match its checksum; rebuild it: c254 feeds replay")
    return Record(offset, topic, key, orjson.loads(headers), body, appended_s)
