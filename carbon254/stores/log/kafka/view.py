"""The log as a table: where each record lies, offsets, state and letters, made from the journal and nothing else.

Look-ups by key, offset or scope are what a topic cannot answer. This file can: it is made by applying the journal's
transactions in their order, each whole, so that every process on every machine comes to the same table, and a file that
is lost is made again. A transaction that went by something another one changed before it is left out, by everybody.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import apsw

from ..connections import Readers, connect
from ..letters import LETTERS, Letters
from ..port import Letter, TopicInfo
from .manifest import Manifest, Move, Placed

SCHEMA = """
CREATE TABLE IF NOT EXISTS records (
  offset INTEGER PRIMARY KEY, topic TEXT NOT NULL, part INTEGER NOT NULL, position INTEGER NOT NULL, key TEXT,
  appended_s REAL NOT NULL);
CREATE UNIQUE INDEX IF NOT EXISTS by_key ON records (topic, key) WHERE key IS NOT NULL;
CREATE INDEX IF NOT EXISTS by_place ON records (topic, part, offset);
CREATE TABLE IF NOT EXISTS offsets (
  consumer TEXT NOT NULL, topic TEXT NOT NULL, part INTEGER NOT NULL, offset INTEGER NOT NULL,
  PRIMARY KEY (consumer, topic, part)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS state (
  scope TEXT NOT NULL, key TEXT NOT NULL, value BLOB NOT NULL, version INTEGER NOT NULL,
  PRIMARY KEY (scope, key)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS done (at INTEGER PRIMARY KEY, conflict TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
"""
_PLACED = "offset, topic, part, position, key, appended_s"
_REMEMBERED = 20_000
Owns = Callable[[str, int], bool]


class View:
    """The table in one file. Processes of one machine may share it: what one applied, the others find done."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path, self._lock = path, threading.Lock()
        self._readers = Readers(path)
        self._writer = connect(path, SCHEMA + LETTERS + "; PRAGMA synchronous = NORMAL")

    def fact(self, name: str) -> str:
        """Something noted about the file itself; empty where nothing was."""
        row = self._db.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
        return row[0] if row else ""

    def note(self, **facts: object) -> None:
        """Note facts about the file."""
        with self._writing() as db:
            _note(db, facts)

    def forget(self) -> None:
        """Empty the table: the journal it was made from is gone."""
        with self._writing() as db:
            for table in ("records", "offsets", "state", "done", "facts", "letters"):
                db.execute(f"DELETE FROM {table}")

    def apply(self, done: Sequence[tuple[int, Manifest]], resume: int) -> bool:
        """Apply transactions in the order of the journal; whether records came. `resume` is where to read on."""
        fresh = any(manifest.records for _, manifest in done)
        with self._writing() as db:
            applied = int(_fact(db, "applied") or -1)
            for at, manifest in done:
                if at <= applied:
                    continue
                conflict = _conflict(db, manifest)
                if not conflict:
                    _apply(db, at, manifest)
                db.execute("INSERT INTO done VALUES (?, ?)", (at, conflict))
                applied = at
            db.execute("DELETE FROM done WHERE at < ?", (applied - _REMEMBERED,))
            _note(db, {"applied": applied, "resume": max(resume, int(_fact(db, "resume") or 0))})
        return fresh

    def verdict(self, at: int) -> str | None:
        """What became of a transaction: "" when it counts, why not when it does not, None while it is not there."""
        row = self._db.execute("SELECT conflict FROM done WHERE at = ?", (at,)).fetchone()
        return row[0] if row else None

    def pending(self, consumer: str, prefix: str, limit: int, owns: Owns) -> list[Placed]:
        """The first records beyond a consumer's offsets, in partitions it owns."""
        found: list[Placed] = []
        query = f"SELECT {_PLACED} FROM records WHERE topic = ? AND part = ? AND offset > ? ORDER BY offset LIMIT ?"
        with self._db as db:
            done = self.positions(consumer)
            for topic, part in self.partitions(prefix):
                if owns(topic, part):
                    after = done.get((topic, part), 0)
                    found += [Placed(*row) for row in db.execute(query, (topic, part, after, limit))]
        return sorted(found, key=lambda one: one.offset)[:limit]

    def at(self, offset: int) -> Placed | None:
        """The record at an offset."""
        row = self._db.execute(f"SELECT {_PLACED} FROM records WHERE offset = ?", (offset,)).fetchone()
        return Placed(*row) if row else None

    def page(self, prefix: str, after: int, size: int) -> list[Placed]:
        """Records of topics that start with `prefix`, oldest first."""
        query = f"SELECT {_PLACED} FROM records WHERE offset > ? AND substr(topic, 1, ?) = ? ORDER BY offset LIMIT ?"
        return [Placed(*row) for row in self._db.execute(query, (after, len(prefix), prefix, size))]

    def offset_of_key(self, topic: str, key: str) -> int | None:
        """The offset of the record with this key."""
        row = self._db.execute("SELECT offset FROM records WHERE topic = ? AND key = ?", (topic, key)).fetchone()
        return row[0] if row else None

    def positions(self, consumer: str) -> dict[tuple[str, int], int]:
        """A consumer's offset in each partition."""
        query = "SELECT topic, part, offset FROM offsets WHERE consumer = ?"
        return {(topic, part): offset for topic, part, offset in self._db.execute(query, (consumer,))}

    def carried(self, consumer: str) -> dict[str, int]:
        """Of each topic, the offset up to which the consumer has carried every record, in whatever partition."""
        found: dict[str, int] = {}
        with self._db as db:
            places = self.positions(consumer)
            for (topic, _), offset in places.items():
                found[topic] = max(found.get(topic, 0), offset)
            for topic, part in self.partitions(""):
                if topic in found:
                    query = "SELECT min(offset) FROM records WHERE topic = ? AND part = ? AND offset > ?"
                    left = _scalar(db, query, (topic, part, places.get((topic, part), 0)))
                    found[topic] = found[topic] if left is None else min(found[topic], left - 1)
        return found

    def lag(self, consumer: str, prefix: str, owns: Owns) -> int:
        """Records that the consumer has yet to carry, in partitions it owns."""
        query, total = "SELECT count(*) FROM records WHERE topic = ? AND part = ? AND offset > ?", 0
        with self._db as db:
            done = self.positions(consumer)
            for topic, part in self.partitions(prefix):
                if owns(topic, part):
                    total += _scalar(db, query, (topic, part, done.get((topic, part), 0)))
        return total

    def partitions(self, prefix: str) -> list[tuple[str, int]]:
        """Partitions with records, of topics that start with `prefix`, found by skipping through the index."""
        found: list[tuple[str, int]] = []
        query = "SELECT topic, part FROM records WHERE (topic, part) > (?, ?) ORDER BY topic, part LIMIT 1"
        row: tuple[str, int] | None = (prefix, -1)
        while row := self._db.execute(query, row).fetchone():
            if not row[0].startswith(prefix):
                break
            found.append(row)
        return found

    def topics(self) -> list[TopicInfo]:
        """How much each topic holds."""
        query = "SELECT topic, count(*), min(offset), max(offset) FROM records GROUP BY topic ORDER BY topic"
        return [TopicInfo(*row) for row in self._db.execute(query)]

    def state(self, scope: str, key: str) -> tuple[bytes | None, int]:
        """A value and its version; (None, -1) where there is none."""
        row = self._db.execute("SELECT value, version FROM state WHERE scope = ? AND key = ?", (scope, key)).fetchone()
        return (row[0], row[1]) if row else (None, -1)

    def cut(self, topic: str, part: int, carried: int, before: datetime) -> tuple[int, int, int]:
        """(last offset, last position, how many) of the oldest records up to `carried` that came before a moment."""
        newer = "SELECT min(offset) FROM records WHERE topic = ? AND part = ? AND appended_s >= ?"
        first_kept = _scalar(self._db, newer, (topic, part, before.timestamp()))
        last = carried if first_kept is None else min(carried, first_kept - 1)
        query = "SELECT max(offset), max(position), count(*) FROM records WHERE topic = ? AND part = ? AND offset <= ?"
        row = next(iter(self._db.execute(query, (topic, part, last))))
        return row if row[2] else (0, 0, 0)

    def letters(self, topic: str | None, status: str | None, limit: int) -> list[Letter]:
        """Letters, oldest first."""
        return Letters(self._db).listed(topic, status, limit)

    def letter(self, number: int) -> Letter:
        """One letter. Raises KeyError where there is none."""
        return Letters(self._db).one(number)

    def has_letter(self, letter: Letter) -> bool:
        """Whether the letter is already there."""
        return Letters(self._db).has(letter)

    def count_letters(self, topic: str | None, status: str | None) -> int:
        """How many letters there are."""
        return Letters(self._db).count(topic, status)

    def harm(self) -> list[str]:
        """What is wrong with the file; empty when nothing is."""
        return [row[0] for row in self._db.execute("PRAGMA integrity_check") if row[0] != "ok"]

    def close(self) -> None:
        """Close every connection. Reading afterwards raises WorkspaceError."""
        with self._lock:
            self._readers.close()
            self._writer.close()

    @property
    def _db(self) -> apsw.Connection:
        return self._readers.mine()

    @contextmanager
    def _writing(self) -> Iterator[apsw.Connection]:
        with self._lock:
            self._readers.refuse_closed()
            self._writer.execute("BEGIN IMMEDIATE")
            try:
                yield self._writer
                self._writer.execute("COMMIT")
            except BaseException:
                if self._writer.in_transaction:
                    self._writer.execute("ROLLBACK")
                raise


def _conflict(db: apsw.Connection, manifest: Manifest) -> str:
    """Why a transaction does not count: what it went by is not so any more; empty when it does."""
    if not manifest.decides:
        return ""
    for scope, key, version in manifest.reads:
        row = db.execute("SELECT version FROM state WHERE scope = ? AND key = ?", (scope, key)).fetchone()
        if (row[0] if row else -1) != version:
            return f"state {scope} {key} was changed by another writer"
    for move in manifest.moves:
        if _position(db, move) != move.before:
            return f"another {move.consumer} carried {move.topic} meanwhile"
    return ""


def _apply(db: apsw.Connection, at: int, manifest: Manifest) -> None:
    for one in manifest.records:
        row = (one.offset, one.topic, one.partition, one.position, one.key, one.appended_s)
        # Two writers may have appended the same key at once: the first of them counts.
        db.execute("INSERT OR IGNORE INTO records VALUES (?, ?, ?, ?, ?, ?)", row)
    for move in manifest.moves:
        if move.offset > _position(db, move):
            row = (move.consumer, move.topic, move.partition, move.offset)
            db.execute("INSERT OR REPLACE INTO offsets VALUES (?, ?, ?, ?)", row)
    for scope, key, value in manifest.states:
        db.execute("INSERT OR REPLACE INTO state VALUES (?, ?, ?, ?)", (scope, key, value, at))
    for told in manifest.letters:
        Letters(db).add(Letter(**{**told, "received_at": datetime.fromisoformat(told["received_at"])}))
    for ids, how in manifest.resolved:
        Letters(db).resolve(ids, how)
    for topic, part, last in manifest.trims:
        db.execute("DELETE FROM records WHERE topic = ? AND part = ? AND offset <= ?", (topic, part, last))
    if manifest.records:
        _note(db, {"end": manifest.records[-1].offset})


def _position(db: apsw.Connection, move: Move) -> int:
    query = "SELECT offset FROM offsets WHERE consumer = ? AND topic = ? AND part = ?"
    row = db.execute(query, (move.consumer, move.topic, move.partition)).fetchone()
    return row[0] if row else 0


def _fact(db: apsw.Connection, name: str) -> str:
    row = db.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
    return row[0] if row else ""


def _note(db: apsw.Connection, facts: dict[str, Any]) -> None:
    db.executemany("INSERT OR REPLACE INTO facts VALUES (?, ?)", [(name, str(value)) for name, value in facts.items()])


def _scalar(db: apsw.Connection, query: str, values: Sequence[Any]) -> Any:
    return next(iter(db.execute(query, tuple(values))))[0]
