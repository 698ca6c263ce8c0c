"""The raw archive: every payload as it came, compressed, named by its SHA-256, never changed.

    ab/abcdef….zst     the bytes
    ab/abcdef….jsonl   where they came from and when, a line an arrival, each with a checksum

A payload is written to a temporary file, synced, renamed, and its folder synced, before `put` returns. Reading checks
the bytes against their name. Files in the making are locked, so that several processes may share the folder: opening
the archive removes what a crash left, and nothing that somebody is writing. The store on S3 keeps the same names.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol

from carbon254.faults import reach
from carbon254.lasting import sync_folder
from carbon254.walking import matching

from .notes import Provenance, arrivals, line, whole
from .packing import is_whole, pack, unpack


@dataclass(frozen=True, slots=True)
class RawRef:
    """A stored payload."""

    sha256: str
    size: int


class RawArchive(Protocol):
    """Payloads by their SHA-256. `put` returns once they are on disk; `get` never returns other bytes than came in."""

    def put(self, data: bytes, provenance: Provenance) -> RawRef: ...
    def get(self, sha256: str) -> bytes: ...
    def provenance(self, sha256: str) -> list[Provenance]: ...
    def ids(self) -> Iterator[str]: ...
    def __contains__(self, sha256: str) -> bool: ...
    def sweep(self) -> int: ...


class FolderArchive:
    """The archive in a folder."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._lasting: set[Path] = set()
        # Folders that could not be synced: what the disk dropped then, a later sync that works does not bring back.
        self._failed: set[Path] = set()
        root.mkdir(parents=True, exist_ok=True)
        self._sync(root.parent)

    def put(self, data: bytes, provenance: Provenance) -> RawRef:
        """Store a payload and note its arrival; both are on disk when this returns.

        The same bytes again add only a line of provenance, and mend an object that was damaged since. Raises OSError
        (a full disk, a failing one), and leaves no half of anything then.
        """
        sha256 = hashlib.sha256(data).hexdigest()
        told = line(provenance, sha256)
        target = self._path(sha256)
        self._make_folder(target.parent)
        if not self._holds(sha256):
            _write(target, data)
        reach("raw.stored")
        _note(target.with_suffix(".jsonl"), told)
        reach("raw.noted")
        # Also where nothing was new: another process may have renamed, and not yet synced, what we found.
        self._sync(target.parent)
        reach("raw.lasting")
        return RawRef(sha256, len(data))

    def get(self, sha256: str) -> bytes:
        """The payload's bytes. Raises KeyError where there is none, CorruptPayload where they changed."""
        path = self._path(sha256)
        if not path.exists():
            raise KeyError(f"the raw archive has no payload {sha256}")
        with path.open("rb") as stored:
            return unpack(stored, sha256, str(path))

    def provenance(self, sha256: str) -> list[Provenance]:
        """Every arrival of the payload, first first; none where a crash came between the bytes and the note.

        Raises KeyError where there is no payload, CorruptPayload where a line was damaged.
        """
        journal = self._path(sha256).with_suffix(".jsonl")
        if not journal.exists():
            if sha256 not in self:
                raise KeyError(f"the raw archive has no payload {sha256}")
            return []
        return arrivals(journal.read_bytes(), sha256, str(journal))

    def ids(self) -> Iterator[str]:
        """Every payload's SHA-256."""
        yield from (path.stem for path in matching(self._root, "*/*.zst"))

    def __contains__(self, sha256: str) -> bool:
        return self._path(sha256).exists()

    def sweep(self) -> int:
        """Remove temporary files that a crash left; how many. Those that are being written stay."""
        return sum(_remove_orphan(found) for found in matching(self._root, "*/*.tmp"))

    def _path(self, sha256: str) -> Path:
        return self._root / sha256[:2] / f"{sha256}.zst"

    def _holds(self, sha256: str) -> bool:
        """Whether the payload is there and whole: an arrival is acknowledged only when it can be read back."""
        path = self._path(sha256)
        if not path.exists():
            return False
        with path.open("rb") as stored:
            return is_whole(stored, sha256)

    def _sync(self, folder: Path) -> None:
        """The folder's names on disk. Raises OSError where they are not, and again until the archive is opened anew."""
        if folder in self._failed:
            raise OSError(
                errno.EIO, "the disk failed to keep this folder; check the disk, then start again", str(folder)
            )
        try:
            sync_folder(folder)
        except OSError as error:
            if error.errno == errno.EIO:
                self._failed.add(folder)
            raise

    def _make_folder(self, folder: Path) -> None:
        """The folder, and its name on disk: whoever made it may not have come to syncing it."""
        if folder not in self._lasting:
            folder.mkdir(exist_ok=True)
            reach("raw.folder_made")
            self._sync(self._root)
            reach("raw.folder_synced")
            self._lasting.add(folder)


def _write(target: Path, data: bytes) -> None:
    with _in_the_making(target) as (partial, file):
        pack(data, file)
        file.flush()
        reach("raw.written")
        os.fsync(file.fileno())
        reach("raw.synced")
        partial.replace(target)
        reach("raw.renamed")


@contextmanager
def _in_the_making(target: Path) -> Iterator[tuple[Path, IO[bytes]]]:
    """A temporary file beside `target`, locked while it is written, and gone again where that fails."""
    while True:
        partial = target.with_suffix(f".{os.getpid()}.{os.urandom(4).hex()}.tmp")
        with partial.open("xb") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            # A sweep may have come between making and locking it; then its name is gone.
            if os.fstat(file.fileno()).st_nlink == 0:
                continue
            try:
                yield partial, file
            except BaseException:
                partial.unlink(missing_ok=True)
                raise
            return


def _note(journal: Path, told: bytes) -> None:
    """Add a line that is not there yet; what a crash left of an earlier one goes."""
    with journal.open("a+b", buffering=0) as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        found = file.read()
        kept = whole(found)
        if told in kept.splitlines(keepends=True):
            return
        try:
            file.truncate(len(kept))
            rest = memoryview(told)
            reach("raw.note_cut")
            while rest:
                rest = rest[file.write(rest) :]
            reach("raw.note_written")
            os.fsync(file.fileno())
        except BaseException:
            # A line that may not have reached the disk must not look noted to the next try.
            file.truncate(len(kept))
            raise


def _remove_orphan(path: Path) -> bool:
    """Whether the file was a crash's; it is gone then. A folder that may only be read is left as it is."""
    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink()
    except (BlockingIOError, FileNotFoundError, PermissionError):
        return False
    except OSError as error:
        if error.errno != errno.EROFS:
            raise
        return False
    return True
