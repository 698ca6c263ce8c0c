"""A transaction of the embedded log: outputs, offsets, state and letters on one connection."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence

import apsw
import orjson

from carbon254.errors import WorkspaceError
from carbon254.faults import reach

from .letters import Letters
from .port import Letter, NewRecord, Published


class EmbeddedTxn:
    """An open transaction on the writer connection."""

    def __init__(self, db: apsw.Connection, now_s: float) -> None:
        self._db, self._now_s = db, now_s
        self.appended = self.moved = False

    def append(self, records: Iterable[NewRecord]) -> list[int]:
        """Offsets of the records; of the stored one where (topic, key) is already there."""
        return [self._append(record) for record in records]

    def _append(self, record: NewRecord) -> int:
        if record.key is not None:
            found = self._db.execute(
                "SELECT offset FROM records WHERE topic = ? AND key = ?", (record.topic, record.key)
            ).fetchone()
            if found:
                return int(found[0])
        self.appended = True
        headers = orjson.dumps(dict(record.headers))
        self._db.execute(
            "INSERT INTO records (topic, key, headers, body, crc, appended_s) VALUES (?, ?, ?, ?, ?, ?)",
            (
                record.topic,
                record.key,
                headers,
                record.body,
                zlib.crc32(record.body, zlib.crc32(headers)),
                self._now_s,
            ),
        )
        reach("log.appended")
        return self._db.last_insert_rowid()

    def commit(self, consumer: str, topic: str, offset: int) -> None:
        """Move a consumer's offset forward; never back."""
        reach("log.moving")
        self.moved = True
        self._db.execute(
            "INSERT INTO offsets VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET offset = max(offset, excluded.offset)",
            (consumer, topic, offset),
        )

    def put_state(self, scope: str, key: str, value: bytes) -> None:
        """Keep a value by scope and key."""
        reach("log.stating")
        self._db.execute(
            "INSERT INTO state VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET value = excluded.value", (scope, key, value)
        )

    def get_state(self, scope: str, key: str) -> bytes | None:
        """The value of this transaction's view."""
        return state(self._db, scope, key)

    def add_letter(self, letter: Letter) -> None:
        """Keep a letter; one that is already there stays as it is."""
        reach("log.lettering")
        Letters(self._db).add(letter)

    def resolve_letters(self, ids: Sequence[int], how: str) -> None:
        """Mark letters as resolved."""
        reach("log.resolving")
        Letters(self._db).resolve(ids, how)

    def publish(self, messages: Iterable[Published]) -> None:
        """A file has no readers outside: raises WorkspaceError, see `Log.publishes`."""
        raise WorkspaceError("the embedded log publishes nothing; set C254_KAFKA_BOOTSTRAP")


def intact(headers: bytes | str, body: bytes, crc: int) -> bool:
    """Whether a stored record matches its checksum. Older records have one over the body alone."""
    head = headers.encode() if isinstance(headers, str) else headers
    return crc in (zlib.crc32(body, zlib.crc32(head)), zlib.crc32(body))


def state(db: apsw.Connection, scope: str, key: str) -> bytes | None:
    """The value kept under a scope and key."""
    row = db.execute("SELECT value FROM state WHERE scope = ? AND key = ?", (scope, key)).fetchone()
    return row[0] if row else None
