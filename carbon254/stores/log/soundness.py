"""Is the log's file what was written? Asked of the file before it is opened for work, and of the state kept beside it.

Records carry checksums of their own (`EmbeddedLog.check`). State is derived and carries none; what it says is checked
against itself: names of sets of places are digests of their members, spans are pairs of times, digests are digests.
"""

from __future__ import annotations

import hashlib
import re
from datetime import datetime
from pathlib import Path

import apsw
import orjson

from .connections import may_write, read_only

_TABLES = ("records", "offsets", "state", "letters")
_DIGEST = re.compile(rb"[0-9a-f]{64}")


def check_file(path: Path) -> list[str]:
    """What keeps the log at `path` from being read; empty when nothing does. Nothing is made or changed."""
    if not path.exists():
        return [f"{path.name} is missing; restore it from a backup"]
    try:
        db = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE) if may_write(path) else read_only(path)
    except apsw.Error as error:
        return [f"{path.name} cannot be opened ({error}); restore it from a backup"]
    try:
        held = {row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        lacking = sorted(set(_TABLES) - held)
        if lacking:
            return [f"{path.name} is not a log: it has no {', '.join(lacking)}; restore it from a backup"]
        problems = [f"{path.name} is harmed: {row[0]}" for row in db.execute("PRAGMA integrity_check(5)")]
        return _state(db) if problems == [f"{path.name} is harmed: ok"] else problems
    except apsw.Error as error:
        return [f"{path.name} cannot be read ({type(error).__name__}: {error}); restore it from a backup"]
    finally:
        db.close()


def _state(db: apsw.Connection) -> list[str]:
    rows = db.execute("SELECT scope, key, value FROM state")
    harmed = [(scope, key) for scope, key, value in rows if not _makes_sense(scope.split(":")[0], key, value)]
    return [f"state {scope} {key} is harmed" for scope, key in harmed[:20]]


def _makes_sense(scope: str, key: str, value: bytes | str) -> bool:
    value = value.encode() if isinstance(value, str) else value
    try:
        if scope == "places":
            members = orjson.loads(value)
            return hashlib.sha256("\0".join(sorted(members)).encode()).hexdigest()[:16] == key
        if scope == "span":
            first, last = (datetime.fromisoformat(text) for text in value.decode().split(" "))
            return first <= last and bool(key)
        if scope == "seen":
            start, end = (datetime.fromisoformat(text) for text in key.split("/"))
            return start < end and all(at and len(name) == 16 for at, name in orjson.loads(value))
        return scope != "latest" or _DIGEST.fullmatch(value) is not None
    except (ValueError, TypeError):
        return False
