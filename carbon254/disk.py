"""What a disk refuses, told in one line: a workspace that is full, may only be read, is another's, or whose disk fails.

The stores speak in many tongues (the system's errno, SQLite, ClickHouse, Arrow, Iceberg); this is the one place where
all of them are turned into our own errors.
"""

from __future__ import annotations

import errno
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from carbon254.errors import Carbon254Error, DiskFailing, DiskFull, DiskRefused, DiskTrouble, NoWorkspace

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_REFUSED = (errno.EROFS, errno.EACCES, errno.EPERM)
_FAILING = (errno.EIO, errno.ENXIO, errno.ENODEV, errno.ESTALE)
# Less than this is no room: a database needs a few pages for a journal.
_ROOM = 64 << 10
# How libraries without an errno say it. Their own names for it come first, then the system's words.
_WORDS: tuple[tuple[re.Pattern[str], type[DiskTrouble]], ...] = (
    (
        re.compile(r"NOT_ENOUGH_SPACE|No space left|Disk quota exceeded|disk is full|errno:? ?(28|122)\b", re.I),
        DiskFull,
    ),
    (
        re.compile(
            r"Read-only file system|Permission denied|Operation not permitted|readonly database|read-only database|"
            r"unable to open database file|access permission denied|errno:? ?(30|13|1)\b",
            re.I,
        ),
        DiskRefused,
    ),
    (re.compile(r"Input/output error|disk I/O error|Structure needs cleaning|errno:? ?5\b", re.I), DiskFailing),
)
_OF_THE_SYSTEM = re.compile(r"NOT_ENOUGH_SPACE|ErrnoException|filesystem error|Poco::|std::exception")
_ENGINES = ("apsw", "sqlite3", "sqlalchemy", "clickhouse_connect", "chdb", "pyiceberg", "pyarrow")
_DATABASE = {"FullError": DiskFull, "ReadOnlyError": DiskRefused, "CantOpenError": DiskRefused, "IOError": DiskFailing}


def disk_trouble(error: BaseException, folder: Path | str) -> DiskTrouble | None:
    """What the disk refused, where that is what an error or one of its causes comes from; else None.

    The file that the system names stands in the message, else `folder`.
    """
    for one in _causes(error):
        if isinstance(one, DiskTrouble):
            return one
        kind = _kind(one)
        if kind is not None:
            if kind is not DiskFull and not isinstance(one, OSError) and _is_full(Path(folder)):
                # Databases say that they cannot open or extend a file, not why.
                kind = DiskFull
            named = one.filename if isinstance(one, OSError) and isinstance(one.filename, str | bytes) else None
            return kind(_told(kind, Path(folder), Path(str(named)) if named else None))
    return None


def folder_trouble(folder: Path) -> NoWorkspace | DiskTrouble | None:
    """Why a folder cannot be looked into at all: a file in its place, or one that another user keeps to himself."""
    for place in (folder, *folder.parents):
        try:
            facts = place.stat()
        except PermissionError:
            continue
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            return disk_trouble(error, folder)
        if not _is_folder(facts.st_mode):
            return NoWorkspace(f"{place} is a file, and a workspace is a folder: name another with --workspace")
        break
    try:
        next(folder.iterdir(), None)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        return disk_trouble(error, folder)
    return None


@contextmanager
def told_of(folder: Path | str) -> Iterator[None]:
    """Within the block, what the disk under `folder` refuses is raised as DiskTrouble."""
    try:
        yield
    except Exception as error:
        found = disk_trouble(error, folder)
        if found is None or found is error:
            raise
        raise found from error


def _is_full(folder: Path) -> bool:
    """Whether the disk that a folder is on, or would be on, has no room left."""
    there = next((place for place in (folder, *folder.parents) if place.exists()), None)
    return there is not None and shutil.disk_usage(there).free < _ROOM


def _is_folder(mode: int) -> bool:
    return (mode & 0o170000) == 0o040000


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error, and what it came from; each once."""
    seen: set[int] = set()
    pending: list[BaseException | None] = [error]
    while pending:
        one = pending.pop(0)
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        pending += [getattr(one, "orig", None), one.__cause__, None if one.__suppress_context__ else one.__context__]


def _kind(error: BaseException) -> type[DiskTrouble] | None:
    if isinstance(error, Carbon254Error):
        return None
    if isinstance(error, OSError) and error.errno is not None:
        for numbers, kind in ((_FULL, DiskFull), (_REFUSED, DiskRefused), (_FAILING, DiskFailing)):
            if error.errno in numbers:
                # The network refuses with the same numbers, and names no file.
                return kind if error.filename is not None or error.errno not in _REFUSED else None
        return None
    room = type(error).__module__.split(".")[0]
    if room == "apsw" and type(error).__name__ in _DATABASE:
        return _DATABASE[type(error).__name__]
    if room in _ENGINES or isinstance(error, OSError | RuntimeError):
        text = str(error)
        # ClickHouse repeats what was asked, and that may hold any words: only its errors of the system count.
        if "DB::" in text and not _OF_THE_SYSTEM.search(text):
            return None
        return next((kind for words, kind in _WORDS if words.search(text)), None)
    return None


def _told(kind: type[DiskTrouble], folder: Path, named: Path | None) -> str:
    place = _place(folder, named)
    if kind is DiskFull:
        return (
            f"there is no space left for {place}: free some of its disk, or move it to a larger one, and do it again; "
            "what was acknowledged is kept"
        )
    if kind is DiskRefused:
        return refusal(folder, named)
    return f"the disk under {place} fails: check it and the system's log, and restore from a backup what it lost"


def refusal(folder: Path, named: Path | None = None) -> str:
    """What to say of a folder, and of a file in it, that may not be written or read."""
    return (
        f"{_place(folder, named)} may not be written here: mount it for writing, or run this as the user who owns it; "
        "reading works beside its node, or on a folder that may be read"
    )


def _place(folder: Path, named: Path | None) -> str:
    return f"{folder}" if named is None or named == folder else f"{folder} (at {named.name})"
