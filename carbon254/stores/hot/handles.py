"""Connections to the engine: opened when needed, kept for the next caller, thrown away after a failure.

In process every handle is a session of its own; sessions run beside each other, calls on one do not. Two habits of
the embedded engine (26.9) decide the shape here. A handle whose query failed half way puts the rest of the failed
answer in front of the next answer, so a failed handle is never used again. Settings handed over with a raw query are
set and reset around it, which a read-only session refuses, so a reader's limits are set once, when its session opens.
"""

from __future__ import annotations

import fcntl
import logging
import os
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import clickhouse_connect
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError, OperationalError

from carbon254.errors import QueryRefused, SettingsError, TransientError, WorkspaceError
from carbon254.lasting import sync_folder
from carbon254.memory import resident
from carbon254.walking import matching

from .ddl import VIEWS
from .embedded import SETTINGS as ENGINE_SETTINGS
from .embedded import load
from .literal import literal
from .port import Limits
from .sessions import ALWAYS, EMBEDDED, Session, open_session

# What the client says beside its errors would go to standard error.
logging.getLogger("clickhouse_connect").addHandler(logging.NullHandler())
READERS = 8
_IDLE = 8
# Freed memory that the embedded engine may keep between statements, and how often it is asked for it at most.
_KEPT, _RELIEF_S = 96 << 20, 0.25
_SETTING = "C254_HOT_URL"
# Folders that name databases and tables; the parts inside a table are the engine's own to keep.
_NAMING = ("metadata", "store", "store/*", "store/*/*")


class Handles:
    """The handles of one store. Thread-safe; at most READERS readers run at a time, others wait their turn."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._idle: list[Client] = []
        self._sessions: list[tuple[Limits, Session]] = []
        self._lock = threading.Lock()
        self._turns = threading.BoundedSemaphore(READERS)
        self._closed = False
        # Resident bytes after memory was last returned, and when (monotonic s).
        self._settled, self._relieved = resident(), 0.0
        self._claim = _claim(url)
        try:
            if url.startswith(EMBEDDED):
                load()
            # Stays open until close(): the engine lives as long as one of its handles does.
            self._anchor = clickhouse_connect.get_client(dsn=url, **_unshared(url))
            self._anchor.command(f"CREATE DATABASE IF NOT EXISTS {VIEWS}")
        except Exception as error:
            _release(self._claim)
            if url.startswith(EMBEDDED):
                raise WorkspaceError(_cannot_open(url, error)) from error
            raise SettingsError(_refused(url, error)) from None

    @contextmanager
    def own(self) -> Iterator[Client]:
        """A handle for our own statements, without limits."""
        with self._answering():
            client = self._take() or self._open()
            try:
                yield client
            except BaseException:
                client.close()
                raise
            self._give(client)

    @contextmanager
    def session(self, limits: Limits, more: Mapping[str, Any] | None = None, turn: bool = True) -> Iterator[Session]:
        """A reader's session with these limits; with `more` settings it is of this use alone.

        Waits for its turn, unless it is for reading a statement only. Raises QueryRefused where none came within
        `limits.seconds`.
        """
        with self._turn(limits) if turn else nullcontext(), self._answering(), self._relieving(turn):
            session = None if more else self._take_session(limits)
            session = session or open_session(self._url, limits, more or {}, **_unshared(self._url))
            try:
                yield session
            except BaseException:
                session.close()
                raise
            if more:
                session.close()
            else:
                self._give_session(limits, session)

    @contextmanager
    def _turn(self, limits: Limits) -> Iterator[None]:
        if not self._turns.acquire(timeout=limits.seconds):
            raise QueryRefused(f"{READERS} other queries are running and none ended in time: try again later")
        try:
            yield
        finally:
            self._turns.release()

    @contextmanager
    def _relieving(self, wanted: bool) -> Iterator[None]:
        """Afterwards the embedded engine returns what it freed, where that is much: it would keep it, and the next
        statement's memory would come beside it."""
        try:
            yield
        finally:
            now, held = time.monotonic(), resident() if wanted and self._url.startswith(EMBEDDED) else 0
            if held > self._settled + _KEPT and now > self._relieved + _RELIEF_S and not self._closed:
                self._relieved = now
                with suppress(ClickHouseError, WorkspaceError), self.own() as client:
                    client.command("SYSTEM JEMALLOC PURGE")
                self._settled = min(self._settled, resident())

    def kill(self, mark: str) -> None:
        """Stop what a session runs; nothing happens where it runs nothing."""
        with self.own() as client:
            client.command(f"KILL QUERY WHERE Settings['log_comment'] = {literal(mark)} ASYNC")

    @contextmanager
    def _answering(self) -> Iterator[None]:
        """A server that does not answer is told in words that stay the same. Raises TransientError."""
        try:
            yield
        except OperationalError as error:
            if self._url.startswith(EMBEDDED):
                raise
            why = type(error.__cause__ or error).__name__
            raise TransientError(f"the hot store at {_place(self._url)} does not answer ({why})") from None

    def _take(self) -> Client | None:
        with self._lock:
            self._refuse_closed()
            return self._idle.pop() if self._idle else None

    def _open(self) -> Client:
        return clickhouse_connect.get_client(dsn=self._url, database=VIEWS, settings=ALWAYS, **_unshared(self._url))

    def _give(self, client: Client) -> None:
        with self._lock:
            if not self._closed and len(self._idle) < _IDLE:
                self._idle.append(client)
                return
        client.close()

    def _take_session(self, limits: Limits) -> Session | None:
        with self._lock:
            self._refuse_closed()
            at = next((at for at, (kind, _) in enumerate(self._sessions) if kind == limits), None)
            return None if at is None else self._sessions.pop(at)[1]

    def _give_session(self, limits: Limits, session: Session) -> None:
        with self._lock:
            surplus = session if self._closed else None
            if surplus is None:
                self._sessions.append((limits, session))
                surplus = self._sessions.pop(0)[1] if len(self._sessions) > _IDLE else None
        if surplus is not None:
            surplus.close()

    def _refuse_closed(self) -> None:
        if self._closed:
            raise WorkspaceError("the hot store is closed: open it again")

    def keep_names(self) -> None:
        """The tables of an embedded folder are on disk by their names: the engine syncs files, not what it puts in
        the folders above them."""
        if self._url.startswith(EMBEDDED):
            folder = Path(self._url.removeprefix(EMBEDDED))
            for found in (folder.parent, folder):
                sync_folder(found)
            for found in (found for pattern in _NAMING for found in matching(folder, pattern)):
                # A table dropped meanwhile takes its folder along.
                with suppress(FileNotFoundError):
                    sync_folder(found)

    def give_back(self) -> None:
        """Close handles that nobody uses, and return the embedded engine's freed memory to the system."""
        if not self._url.startswith(EMBEDDED):
            return
        with self._lock:
            idle, self._idle = self._idle, []
        for client in idle:
            client.close()
        with self.own() as client:
            client.command("SYSTEM JEMALLOC PURGE")
        self._settled = resident()

    def close(self) -> None:
        """Close every idle handle and give the folder up; a handle in use closes when its call ends."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            idle, self._idle = self._idle, []
            sessions, self._sessions = self._sessions, []
        for one in (*idle, *(session for _, session in sessions)):
            one.close()
        self._anchor.close()
        _release(self._claim)


def _unshared(url: str) -> dict[str, Any]:
    """On a server, queries of one client may run side by side only without a session id.

    The client would take a port other than 8443 for one without TLS, whatever the scheme says.
    """
    if url.startswith(EMBEDDED):
        return {"chdb_options": ENGINE_SETTINGS}
    return {"autogenerate_session_id": False, "interface": urlsplit(url).scheme}


def _claim(url: str) -> int | None:
    """Lock an embedded folder for this process; None for a server. Raises SettingsError for what is neither."""
    if not url.startswith(EMBEDDED):
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise SettingsError(f"{_SETTING} is no address; write https://user:password@host:8443")
        if "verify" in parts.query.lower():
            raise SettingsError(f"{_SETTING}: certificates are always checked; name an authority by ?ca_cert=FILE")
        return None
    folder = Path(url.removeprefix(EMBEDDED))
    if not folder.is_absolute():
        raise WorkspaceError(f"{url}: write the folder as an absolute path, e.g. chdb:///data/hot")
    folder.parent.mkdir(parents=True, exist_ok=True)
    lock = os.open(folder.with_name(folder.name + ".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(lock)
        raise WorkspaceError(
            f"{folder} is open already: ask the running node over HTTP, or stop it before opening the folder"
        ) from error
    return lock


def _release(lock: int | None) -> None:
    if lock is not None:
        os.close(lock)


def _place(url: str) -> str:
    """Where it is: the address may carry a password, a message must not."""
    return url if url.startswith(EMBEDDED) else url.rsplit("@", 1)[-1].partition("?")[0]


def _cannot_open(url: str, error: Exception) -> str:
    text = str(error)
    if "already" in text and isinstance(error, ClickHouseError):
        return f"{url}: this process holds another engine folder; close that store first ({text[:200]})"
    return f"the hot store at {url} cannot be opened: {text[:300]}"


def _refused(url: str, error: Exception) -> str:
    """One line for a server that could not be opened. The address may carry a password; the line does not."""
    place = _place(url)
    text = " ".join(str(error).split()).replace(url, place)
    if "CERTIFICATE_VERIFY_FAILED" in text:
        return f"{_SETTING}: the certificate of {place} is not trusted: name its authority by ?ca_cert=FILE"
    if "AUTHENTICATION_FAILED" in text or "Code: 516" in text:
        return f"{_SETTING}: {place} refuses these credentials: write https://user:password@host:8443"
    return f"{_SETTING}: {place} does not answer as a ClickHouse server ({text[:160]}): start it or change {_SETTING}"
