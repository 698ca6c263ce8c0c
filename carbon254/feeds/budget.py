"""Rate budgets that survive restarts and are shared by every process of a workspace.

One token bucket a host, in a small SQLite file; a token is taken inside an immediate transaction, so that any number
of workers together never exceed what the card allows. The validators of conditional requests live beside them.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import apsw

from carbon254.errors import TransientError
from carbon254.faults import reach

_SCHEMA = """
CREATE TABLE IF NOT EXISTS buckets (host TEXT PRIMARY KEY, next_at REAL NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS validators (url TEXT PRIMARY KEY, etag TEXT, modified TEXT) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS breakers (host TEXT PRIMARY KEY, failures INTEGER NOT NULL, opened_at REAL) WITHOUT ROWID;
"""
_BUSY_MS = 30_000
_AGAIN_S = 0.01
# No queue or pause reaches farther: what lies beyond was noted by a clock that has been put back since.
_FARTHEST_S = 3_600.0


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
    """The budget in one SQLite file.

    One connection, one lock, one statement a call: a statement is a transaction of its own, so that no other process
    comes in between reading and writing, and none of them has to give way to another.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._db = _opened(path)

    def take(self, host: str, min_interval_s: float, burst: int, now_s: float) -> float:
        """Take a token; the seconds to wait before using it.

        `next_at` is when the bucket will hold one token more than now; it runs `burst` intervals ahead at most.
        """
        taken = self._run(
            "INSERT INTO buckets VALUES (?1, ?2 + ?3) ON CONFLICT (host) DO UPDATE "
            "SET next_at = max(min(next_at, ?4), ?2) + ?3 RETURNING next_at",
            (host, now_s - (burst - 1) * min_interval_s, min_interval_s, now_s + _FARTHEST_S),
        )
        return max(0.0, taken[0][0] - min_interval_s - now_s)

    def pause(self, host: str, until_s: float) -> None:
        """No call before `until_s`: the provider said so."""
        self._run(
            "INSERT INTO buckets VALUES (?, ?) "
            "ON CONFLICT (host) DO UPDATE SET next_at = max(next_at, excluded.next_at)",
            (host, until_s),
        )

    def validators(self, url: str) -> Validators:
        """The validators of the last answer from `url`."""
        found = self._run("SELECT etag, modified FROM validators WHERE url = ?", (url,))
        return Validators(*found[0]) if found else Validators()

    def remember(self, url: str, validators: Validators) -> None:
        """Keep an answer's validators; none at all forgets them."""
        if validators == Validators():
            self._run("DELETE FROM validators WHERE url = ?", (url,))
        else:
            row = (url, validators.etag, validators.modified)
            self._run("INSERT OR REPLACE INTO validators VALUES (?, ?, ?)", row)

    def failures(self, host: str) -> tuple[int, float | None]:
        """(failures in a row, when the circuit opened or None)."""
        found = self._run("SELECT failures, opened_at FROM breakers WHERE host = ?", (host,))
        return (int(found[0][0]), found[0][1]) if found else (0, None)

    def note(self, host: str, ok: bool, now_s: float, threshold: int) -> None:
        """Count an outcome; at `threshold` failures in a row the circuit opens, and again at each one after it."""
        if ok:
            self._run("DELETE FROM breakers WHERE host = ?", (host,))
            return
        self._run(
            "INSERT INTO breakers VALUES (?1, 1, iif(1 >= ?3, ?2, NULL)) ON CONFLICT (host) DO UPDATE "
            "SET failures = failures + 1, opened_at = iif(failures + 1 >= ?3, ?2, NULL)",
            (host, now_s, threshold),
        )

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._db.close()

    def _run(self, statement: str, values: tuple[str | float | None, ...]) -> list[Any]:
        """The rows of one statement. Raises TransientError where another process keeps the file to itself."""
        with self._lock:
            try:
                reach("budget.asking")
                return self._db.execute(statement, values).fetchall()
            except (apsw.BusyError, apsw.LockedError) as error:
                raise _kept(self._path) from error


def open_budget(path: Path) -> FileBudget:
    """The budget in the file at `path`. Raises TransientError where another process keeps it to itself."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return FileBudget(path)


def _opened(path: Path) -> apsw.Connection:
    """The file, made where there is none.

    Two processes that switch it to WAL at once would wait for each other: SQLite refuses one of them at once, whatever
    its busy timeout, and that one comes again.
    """
    db = apsw.Connection(str(path))
    db.set_busy_timeout(_BUSY_MS)
    deadline_s = time.monotonic() + _BUSY_MS / 1000
    while True:
        try:
            db.execute("PRAGMA journal_mode = WAL")
            db.execute(_SCHEMA)
            return db
        except apsw.BusyError as error:
            if time.monotonic() > deadline_s:
                db.close()
                raise _kept(path) from error
        time.sleep(_AGAIN_S)


def _kept(path: Path) -> TransientError:
    return TransientError(f"another process has kept {path} to itself for {_BUSY_MS // 1000} s; end it, then try again")
