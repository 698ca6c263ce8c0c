"""Connections to the log's file: how one is opened, and a reader of its own for each thread.

A reader is closed with the log, or once its thread has ended: a server's pool brings new threads as long as it runs.
"""

from __future__ import annotations

import os
import threading
import time
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

import apsw

from carbon254.errors import WorkspaceError

_BUSY_MS = 30_000
_AGAIN_S = 0.01


def connect(path: Path, schema: str = "") -> apsw.Connection:
    """A connection that waits for other processes' writers, in WAL mode, every commit synced.

    Two processes that switch a file to WAL at once would wait for each other: SQLite refuses one of them at once,
    whatever its busy timeout, and that one comes again. Raises WorkspaceError where another keeps the file to itself.
    """
    if not may_write(path):
        return read_only(path)
    connection = apsw.Connection(str(path))
    connection.set_busy_timeout(_BUSY_MS)
    deadline_s = time.monotonic() + _BUSY_MS / 1000
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute(f"PRAGMA synchronous = FULL; {schema}")
            return connection
        except apsw.BusyError as error:
            if time.monotonic() > deadline_s:
                connection.close()
                kept_s = _BUSY_MS // 1000
                raise WorkspaceError(f"another process has kept {path} to itself for {kept_s} s; end it") from error
        time.sleep(_AGAIN_S)


def may_write(path: Path) -> bool:
    """Whether a database that is there may be written: its file, and the folder its journal would lie in."""
    real = path.resolve()
    return not real.exists() or (os.access(real, os.W_OK) and os.access(real.parent, os.W_OK))


def read_only(path: Path) -> apsw.Connection:
    """A connection to a file that may only be read: without locks and journals, for which nothing could be made."""
    flags = apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI
    return apsw.Connection(f"file:{quote(str(path.resolve()))}?immutable=1", flags=flags)


class Readers:
    """One connection a thread. Its lock is not the writer's: a first read need not wait for a transaction to end."""

    def __init__(self, path: Path) -> None:
        self._path, self._local, self._lock = path, threading.local(), threading.Lock()
        self._open: list[tuple[threading.Thread, apsw.Connection]] = []
        self._closed = False

    def mine(self) -> apsw.Connection:
        """This thread's connection. Raises WorkspaceError once the log is closed."""
        self.refuse_closed()
        found = getattr(self._local, "reader", None)
        if found is None:
            found = connect(self._path)
            with self._lock:
                # Whoever closes the log closes what is in the list, and nothing that joins it later.
                self.refuse_closed()
                self._forget_ended()
                self._open.append((threading.current_thread(), found))
            self._local.reader = found
        return found

    def refuse_closed(self) -> None:
        """Raise WorkspaceError once the log is closed."""
        if self._closed:
            raise WorkspaceError(f"the log {self._path.name} is closed; open it again to read or write")

    def close(self) -> None:
        """Close all of them."""
        with self._lock:
            self._closed = True
            for _, reader in self._open:
                # A thread may be in the middle of a read; its connection closes when it lets go of it.
                with suppress(apsw.ThreadingViolationError):
                    reader.close()
            self._open.clear()

    def _forget_ended(self) -> None:
        alive = [(thread, reader) for thread, reader in self._open if thread.is_alive()]
        kept = {id(reader) for _, reader in alive}
        for _, reader in self._open:
            if id(reader) not in kept:
                reader.close()
        self._open = alive
