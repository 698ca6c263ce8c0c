"""Rate budgets that survive restarts and are shared by every process of a workspace.

One token bucket a host, in a small SQLite file; a token is taken inside an immediate transaction, so that any number
of workers together never exceed what the card allows. The validators of conditional requests live beside them.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import apsw

_SCHEMA = """
CREATE TABLE IF NOT EXISTS buckets (host TEXT PRIMARY KEY, next_at REAL NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS validators (url TEXT PRIMARY KEY, etag TEXT, modified TEXT) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS breakers (host TEXT PRIMARY KEY, failures INTEGER NOT NULL, opened_at REAL) WITHOUT ROWID;
"""
_BUSY_MS = 30_000


@dataclass(frozen=True, slots=True)
class Validators:
    """What a conditional request sends back."""

    etag: str | None = None
    modified: str | None = None


class Budget(Protocol):
    """What the fetcher asks before and after a call. Times are seconds since the epoch."""

    def take(self, host: str, min_interval_s: float, burst: int, now_s: float) -> float: ...
    def pause(self, host: str, until_s: float) -> None: ...
    def validators(self, url: str) -> Validators: ...
    def remember(self, url: str, validators: Validators) -> None: ...
    def failures(self, host: str) -> tuple[int, float | None]: ...
    def note(self, host: str, ok: bool, now_s: float, threshold: int) -> None: ...


class FileBudget:
    """The budget in one SQLite file."""

    def __init__(self, path: Path) -> None:
        self._lock = threading.Lock()
        self._db = apsw.Connection(str(path))
        self._db.set_busy_timeout(_BUSY_MS)
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute(_SCHEMA)

    def take(self, host: str, min_interval_s: float, burst: int, now_s: float) -> float:
        """Take a token; the seconds to wait before using it.

        `next_at` is when the bucket will hold one token more than now; it runs `burst` intervals ahead at most.
        """
        with self._lock:
            # One statement, so that no other process can come in between reading and taking.
            taken = self._db.execute(
                "INSERT INTO buckets VALUES (?1, ?2 + ?3) ON CONFLICT (host) DO UPDATE "
                "SET next_at = max(next_at, ?2) + ?3 RETURNING next_at",
                (host, now_s - (burst - 1) * min_interval_s, min_interval_s),
            ).fetchall()
        free_at: Any = taken[0][0]
        return max(0.0, free_at - min_interval_s - now_s)

    def pause(self, host: str, until_s: float) -> None:
        """No call before `until_s`: the provider said so."""
        with self._lock:
            self._db.execute(
                "INSERT INTO buckets VALUES (?, ?) "
                "ON CONFLICT (host) DO UPDATE SET next_at = max(next_at, excluded.next_at)",
                (host, until_s),
            )

    def validators(self, url: str) -> Validators:
        """The validators of the last answer from `url`."""
        row = self._db.execute("SELECT etag, modified FROM validators WHERE url = ?", (url,)).fetchone()
        return Validators(*row) if row else Validators()

    def remember(self, url: str, validators: Validators) -> None:
        """Keep an answer's validators; none at all forgets them."""
        with self._lock:
            if validators == Validators():
                self._db.execute("DELETE FROM validators WHERE url = ?", (url,))
            else:
                row = (url, validators.etag, validators.modified)
                self._db.execute("INSERT OR REPLACE INTO validators VALUES (?, ?, ?)", row)

    def failures(self, host: str) -> tuple[int, float | None]:
        """(failures in a row, when the circuit opened or None)."""
        row = self._db.execute("SELECT failures, opened_at FROM breakers WHERE host = ?", (host,)).fetchone()
        return (int(row[0]), row[1]) if row else (0, None)

    def note(self, host: str, ok: bool, now_s: float, threshold: int) -> None:
        """Count an outcome; at `threshold` failures in a row the circuit opens."""
        with self._lock, self._db:
            if ok:
                self._db.execute("DELETE FROM breakers WHERE host = ?", (host,))
                return
            failures = self.failures(host)[0] + 1
            opened = now_s if failures >= threshold else None
            self._db.execute("INSERT OR REPLACE INTO breakers VALUES (?, ?, ?)", (host, failures, opened))


def open_budget(path: Path) -> FileBudget:
    """The budget in the file at `path`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return FileBudget(path)
