"""Walks over folders that others change meanwhile.

A live store merges, drops and rotates its files all the time: what vanishes between being listed and being looked at
is left out, as if the walk had come a moment later. A folder that may not be read still raises PermissionError: a
figure that silently lacks a part would be wrong.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from fnmatch import fnmatchcase
from pathlib import Path

_GONE = (FileNotFoundError, NotADirectoryError)


def names_in(folder: Path) -> list[str]:
    """The names in a folder, in order; none where it is gone."""
    return sorted(entry.name for entry in _entries(folder))


def matching(folder: Path, pattern: str) -> Iterator[Path]:
    """Paths below a folder that match a pattern such as `store/*/*.zst`, in order; `*` stays within a name."""
    first, _, rest = pattern.partition("/")
    for name in names_in(folder):
        if fnmatchcase(name, first):
            found = folder / name
            if rest:
                yield from matching(found, rest)
            else:
                yield found


def files_below(folder: Path) -> Iterator[tuple[Path, os.stat_result]]:
    """Every file below a folder with what the disk says of it; links are not followed."""
    pending = [folder]
    while pending:
        for entry in _entries(pending.pop()):
            with suppress(*_GONE):
                if entry.is_dir(follow_symlinks=False):
                    pending.append(Path(entry.path))
                elif entry.is_file(follow_symlinks=False):
                    yield Path(entry.path), entry.stat(follow_symlinks=False)


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as found:
            return list(found)
    except _GONE:
        return []
