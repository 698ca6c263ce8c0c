"""Dead letters as a table of SQLite: one row a letter, told apart by topic, payload, line and reason."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import apsw

from .port import Letter

LETTERS = """
CREATE TABLE IF NOT EXISTS letters (
  id INTEGER PRIMARY KEY AUTOINCREMENT, topic TEXT NOT NULL, payload TEXT NOT NULL, line INTEGER NOT NULL,
  reason TEXT NOT NULL, raw TEXT NOT NULL, stage TEXT NOT NULL, parser TEXT NOT NULL, received_at TEXT NOT NULL,
  status TEXT NOT NULL, resolved_by TEXT, UNIQUE (topic, payload, line, reason));
CREATE INDEX IF NOT EXISTS letters_again ON letters (raw, stage, parser, received_at, status, resolved_by);
"""
_COLUMNS = "id, topic, payload, line, reason, raw, stage, parser, received_at, status, resolved_by"
# The line of a letter that is about a payload as a whole; a null would never equal another null.
_WHOLE_PAYLOAD = -1


class Letters:
    """The letters of a database, in whatever transaction its connection is."""

    def __init__(self, db: apsw.Connection) -> None:
        self._db = db

    def add(self, letter: Letter) -> None:
        """Keep a letter; one that is already there stays as it is."""
        line = _WHOLE_PAYLOAD if letter.line is None else letter.line
        self._db.execute(
            "INSERT INTO letters (topic, payload, line, reason, raw, stage, parser, received_at, status, resolved_by) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
            (
                letter.topic, letter.payload, line, letter.reason, letter.raw, letter.stage, letter.parser,
                letter.received_at.isoformat(), letter.status, letter.resolved_by,
            ),
        )  # fmt: skip

    def has(self, letter: Letter) -> bool:
        """Whether the letter is already there."""
        line = _WHOLE_PAYLOAD if letter.line is None else letter.line
        query = "SELECT 1 FROM letters WHERE topic = ? AND payload = ? AND line = ? AND reason = ?"
        return self._db.execute(query, (letter.topic, letter.payload, line, letter.reason)).fetchone() is not None

    def resolve(self, ids: Sequence[int], how: str) -> None:
        """Mark letters as resolved."""
        self._db.executemany(
            "UPDATE letters SET status = 'resolved', resolved_by = ? WHERE id = ?", [(how, number) for number in ids]
        )

    def listed(self, topic: str | None, status: str | None, limit: int) -> list[Letter]:
        """Letters, oldest first."""
        where, values = _filter(topic, status)
        query = f"SELECT {_COLUMNS} FROM letters {where} ORDER BY id LIMIT ?"
        return [_letter(row) for row in self._db.execute(query, (*values, limit))]

    def one(self, number: int) -> Letter:
        """One letter. Raises KeyError where there is none."""
        row = self._db.execute(f"SELECT {_COLUMNS} FROM letters WHERE id = ?", (number,)).fetchone()
        if row is None:
            raise KeyError(f"there is no letter {number}; see: c254 dlq list")
        return _letter(row)

    def count(self, topic: str | None, status: str | None) -> int:
        """How many letters there are."""
        where, values = _filter(topic, status)
        return int(next(iter(self._db.execute(f"SELECT count(*) FROM letters {where}", values)))[0])


def _filter(topic: str | None, status: str | None) -> tuple[str, tuple[str, ...]]:
    wanted = [(column, value) for column, value in (("topic", topic), ("status", status)) if value]
    where = " AND ".join(f"{column} = ?" for column, _ in wanted)
    return (f"WHERE {where}" if where else ""), tuple(value for _, value in wanted)


def _letter(row: tuple) -> Letter:
    named = dict(zip(_COLUMNS.split(", "), row, strict=True))
    line = None if named["line"] == _WHOLE_PAYLOAD else named["line"]
    return Letter(**{**named, "line": line, "received_at": datetime.fromisoformat(named["received_at"])})
