"""Reading a workspace that may only be read: a mirror of it in a temporary folder, in which every store can open.

Stores write a little even when they are only asked: locks, journals, marks. In the mirror what never changes is linked
(the hot store's parts, raw payloads, the lake's files) and what would be written to is copied (the small databases).
The log, which may be long, is read in place unless a journal that was never carried over stands beside it. Nothing is
written to the workspace itself; the mirror goes when the process ends.
"""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from pathlib import Path

from carbon254.disk import refusal, told_of
from carbon254.errors import DiskFull, DiskRefused
from carbon254.walking import names_in

_MARK = "workspace.json"
_JOURNALS = ("-wal", "-journal")
_LINKED = ("raw", "lake/warehouse")
_COPIED = ("workspace.json", "ledger.db", "quality.db", "reference.db", "lake/catalog.db")
_LOG = "log.db"
_HOT = "hot"
# What the engine writes anew or adds to; the files of its parts never change.
_ANEW, _JOURNALED = (".sql",), ("deduplication_logs",)
# Says which process has the folder open.
_ENGINES_OWN = ("status",)
_PREFIX = "c254-mirror-"


def readable(root: Path) -> Path:
    """The workspace itself where it may be written, else a mirror of it. Raises DiskTrouble where there is no way."""
    root = root.resolve()
    if not (root / _MARK).is_file() or not _refused(root):
        return root
    try:
        mirror = Path(tempfile.mkdtemp(prefix=_PREFIX))
    except OSError as error:
        raise DiskRefused(
            f"{root} may only be read, and so may every temporary folder: set TMPDIR to one that may be written"
        ) from error
    atexit.register(shutil.rmtree, mirror, ignore_errors=True)
    try:
        with told_of(root):
            _fill(mirror, root)
    except DiskFull:
        raise DiskFull(
            f"{root} may only be read, and {mirror.parent} has no space for what reading it needs: set TMPDIR to "
            "a folder on another disk"
        ) from None
    return mirror


def refuse_read_only(root: Path) -> None:
    """Raise DiskRefused where a workspace may not be written: before something is begun that would fail half way."""
    if refused := _refused(root.resolve()):
        raise DiskRefused(refusal(root, refused[0]))


def is_mirror(root: Path) -> bool:
    """Whether a workspace is a mirror of another: there is nothing to carry in it."""
    return root.name.startswith(_PREFIX)


def _refused(root: Path) -> list[Path]:
    """What of the workspace may not be written: the folder, or one of the files and folders in it."""
    return [place for place in (root, *(root / name for name in names_in(root))) if not os.access(place, os.W_OK)]


def _fill(mirror: Path, root: Path) -> None:
    (mirror / "lake").mkdir()
    for name in _LINKED:
        if (root / name).exists():
            (mirror / name).symlink_to(root / name)
    for name in _COPIED:
        _copy(root / name, mirror / name)
    if _journal(root / _LOG):
        _copy(root / _LOG, mirror / _LOG)
    elif (root / _LOG).exists():
        (mirror / _LOG).symlink_to(root / _LOG)
    _link_parts(root / _HOT, mirror / _HOT)


def _journal(database: Path) -> list[Path]:
    """Journals beside a database that hold something the database has not yet."""
    beside = [database.with_name(database.name + suffix) for suffix in _JOURNALS]
    return [journal for journal in beside if journal.is_file() and journal.stat().st_size]


def _copy(database: Path, target: Path) -> None:
    for source in (database, *_journal(database)):
        if source.is_file():
            shutil.copyfile(source, target.with_name(target.name + source.name.removeprefix(database.name)))


def _link_parts(folder: Path, target: Path) -> None:
    """The engine's folders made anew, its links kept, its files linked; what it may write anew is copied."""
    target.mkdir(exist_ok=True)
    for name in names_in(folder):
        found = folder / name
        if found.is_symlink():
            (target / name).symlink_to(found.readlink())
        elif found.is_dir():
            _link_parts(found, target / name)
        elif found.suffix in _ANEW or name == "format_version.txt" or folder.name in _JOURNALED:
            shutil.copyfile(found, target / name)
        elif name not in _ENGINES_OWN:
            (target / name).symlink_to(found)
