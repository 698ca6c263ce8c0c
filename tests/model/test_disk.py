"""What a disk refuses, in whatever words a library says it, is one error that names the folder and what to do."""

from __future__ import annotations

import errno
import sqlite3
from pathlib import Path

import apsw
import pyarrow as pa
import pytest
from clickhouse_connect.driver.exceptions import DatabaseError
from sqlalchemy.exc import OperationalError

from carbon254.disk import disk_trouble, folder_trouble, told_of
from carbon254.errors import DiskFailing, DiskFull, DiskRefused, DiskTrouble, NoWorkspace, QueryRefused, WorkspaceError

FOLDER = Path("/srv/desk/workspace")


def sql_error(words: str) -> OperationalError:
    return OperationalError("INSERT", {}, sqlite3.OperationalError(words))


def engine(what: str, number: int, words: str) -> RuntimeError:
    return RuntimeError(f"Code: 76. DB::ErrnoException: {what}: , errno: {number}, strerror: {words}")


REFUSALS: list[tuple[Exception, type[DiskTrouble]]] = [
    (OSError(errno.ENOSPC, "No space left on device"), DiskFull),
    (OSError(errno.EDQUOT, "Disk quota exceeded", "/srv/x"), DiskFull),
    (OSError(errno.EROFS, "Read-only file system", "/srv/x"), DiskRefused),
    (PermissionError(errno.EACCES, "Permission denied", "/srv/x"), DiskRefused),
    (OSError(errno.EIO, "Input/output error"), DiskFailing),
    (apsw.FullError("FullError: database or disk is full"), DiskFull),
    (apsw.ReadOnlyError("ReadOnlyError: attempt to write a readonly database"), DiskRefused),
    (apsw.CantOpenError("CantOpenError: unable to open database file"), DiskRefused),
    (apsw.IOError("IOError: disk I/O error"), DiskFailing),
    (sql_error("database or disk is full"), DiskFull),
    (sql_error("attempt to write a readonly database"), DiskRefused),
    (sql_error("unable to open database file"), DiskRefused),
    (sql_error("disk I/O error"), DiskFailing),
    (DatabaseError("Code: 243. DB::Exception: Cannot reserve 1.00 MiB. (NOT_ENOUGH_SPACE)"), DiskFull),
    (engine("Cannot write", 28, "No space left on device"), DiskFull),
    (engine("Cannot open file /x", 30, "Read-only file system"), DiskRefused),
    (engine("Cannot open file /x", 13, "Permission denied"), DiskRefused),
    (pa.ArrowException("IOError: [errno 5] Input/output error"), DiskFailing),
    (OSError("[Errno 28] Error writing bytes to file. Detail: [errno 28] No space left on device"), DiskFull),
]
OTHERS: list[Exception] = [
    ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused"),
    PermissionError(errno.EACCES, "Permission denied"),
    FileNotFoundError(errno.ENOENT, "No such file or directory", "/srv/x"),
    apsw.BusyError("BusyError: database is locked"),
    sql_error("no such table: runs"),
    DatabaseError("Code: 47. DB::Exception: Unknown expression identifier `Permission denied`. (UNKNOWN_IDENTIFIER)"),
    ValueError("No space left on device"),
    QueryRefused("Permission denied"),
]


@pytest.mark.parametrize(("error", "kind"), REFUSALS, ids=lambda one: str(one)[:40])
def test_a_refusal_of_the_disk_names_the_folder_and_what_to_do(error: Exception, kind: type[DiskTrouble]) -> None:
    found = disk_trouble(error, FOLDER)
    assert type(found) is kind and str(found).count("\n") == 0 and str(FOLDER) in str(found)
    with pytest.raises(kind), told_of(FOLDER):
        try:
            raise error
        except Exception as cause:
            raise WorkspaceError("the lake cannot be opened") from cause


@pytest.mark.parametrize("error", OTHERS, ids=lambda one: str(one)[:40])
def test_what_is_no_refusal_of_the_disk_stays_what_it_is(error: Exception) -> None:
    assert disk_trouble(error, FOLDER) is None
    with pytest.raises(type(error)), told_of(FOLDER):
        raise error


def test_a_cause_that_was_hushed_up_is_not_told() -> None:
    try:
        try:
            raise OSError(errno.ENOSPC, "No space left on device")
        except OSError:
            raise WorkspaceError("something else") from None
    except WorkspaceError as error:
        assert disk_trouble(error, FOLDER) is None


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x", "utf-8")
    assert isinstance(folder_trouble(tmp_path / "file"), NoWorkspace)
    assert isinstance(folder_trouble(tmp_path / "file" / "a" / "b"), NoWorkspace)
    assert folder_trouble(tmp_path) is None and folder_trouble(tmp_path / "none" / "yet") is None
