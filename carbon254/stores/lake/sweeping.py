"""Files below a table that no snapshot names: left by commits that died, lost a race, or were forgotten.

A commit writes its files before it names them, so a young file may belong to one that still runs. Only files older than
a few days count. The files are listed before the table is asked what it names: what is committed in between is named.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime

import pyarrow.fs as pafs
from pyiceberg.io import FileIO
from pyiceberg.io.pyarrow import PyArrowFileIO
from pyiceberg.table import Table

from carbon254.faults import reach

from .reaching import Advance, everything

# Some catalogs of others keep a pointer of their own beside the metadata.
_NOT_OURS = ("version-hint.text",)


@dataclass(frozen=True, slots=True)
class Orphan:
    """A file that no snapshot names."""

    table: str
    path: str
    bytes: int
    written: datetime


def orphans(name: str, table: Table, before: datetime, advance: Advance | None = None) -> list[Orphan]:
    """Files below the table's place, last written before an instant, that no snapshot names; oldest first."""
    place, io = table.location().rstrip("/"), table.io
    assert isinstance(io, PyArrowFileIO)
    listed = [file for file in _listed(io, place) if file.mtime and file.mtime < before]
    named = {path_in(io, path) for path in everything(table, advance)} if listed else set[str]()
    root, below = place, path_in(io, place)
    found = [
        Orphan(name, root + file.path.removeprefix(below), file.size or 0, file.mtime.astimezone(UTC))
        for file in listed
        if file.path not in named and file.base_name not in _NOT_OURS
    ]
    return sorted(found, key=lambda one: (one.written, one.path))


def remove(io: FileIO, paths: Iterable[str]) -> tuple[int, int]:
    """Remove files; one that is gone already is none. Gives how many went, and their bytes."""
    files = size = 0
    for path in sorted(paths):
        with suppress(FileNotFoundError):
            known = len(io.new_input(path))
            io.delete(path)
            files, size = files + 1, size + known
            reach("upkeep.removed")
    return files, size


def _listed(io: PyArrowFileIO, place: str) -> Iterator[pafs.FileInfo]:
    scheme, netloc, path = io.parse_location(place, io.properties)
    system = io.fs_by_scheme(scheme, netloc)
    for file in system.get_file_info(pafs.FileSelector(path, allow_not_found=True, recursive=True)):
        if file.type == pafs.FileType.File:
            yield file


def path_in(io: FileIO, location: str) -> str:
    """A location as the file system tells it, whatever it was written with (`s3://`, `s3a://`, `file://`)."""
    assert isinstance(io, PyArrowFileIO)
    return io.parse_location(location, io.properties)[2]
