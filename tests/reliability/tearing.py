"""SQLite on a disk that may lose power: an apsw VFS that passes everything on and tells a `Disk` about it.

SQLite itself syncs the folder when it first syncs a journal or WAL that it made, and when it is told to sync after it
removed one; the shim tells the disk the same.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import apsw

from .disk import Disk

NAME = "tearing"
_JOURNALS = apsw.SQLITE_OPEN_WAL | apsw.SQLITE_OPEN_MAIN_JOURNAL


class Tearing(apsw.VFS):
    """The default VFS until `unregister`. `synced` is called before and after each sync."""

    def __init__(self, root: Path, disk: Disk, synced: Callable[[], None]) -> None:
        self.root, self.disk, self.synced = root, disk, synced
        self.base = apsw.vfs_names()[0]
        super().__init__(NAME, self.base, makedefault=True)

    def path(self, name: str) -> str:
        return str(Path(name).relative_to(self.root))

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> apsw.VFSFile:  # noqa: N802
        return TornFile(self, name, flags)

    def xDelete(self, name: str, sync_folder: bool) -> None:  # noqa: N802
        super().xDelete(name, sync_folder)
        self.disk.unlink(self.path(name))
        if sync_folder:
            self.disk.sync(self.disk.root)
            self.synced()


class TornFile(apsw.VFSFile):
    """One open file of the database."""

    def __init__(self, vfs: Tearing, name: str | apsw.URIFilename | None, flags: list[int]) -> None:
        super().__init__(vfs.base, name, flags)
        text = name.filename() if isinstance(name, apsw.URIFilename) else name
        assert text is not None, "a temporary file: the log should need none"
        self._vfs, self._new = vfs, bool(flags[0] & _JOURNALS)
        vfs.disk.create(vfs.path(text))
        self._node = vfs.disk.file(vfs.path(text))

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802
        super().xWrite(data, offset)
        self._vfs.disk.write(self._node, offset, bytes(data))

    def xTruncate(self, size: int) -> None:  # noqa: N802
        super().xTruncate(size)
        self._vfs.disk.truncate(self._node, size)

    def xSync(self, flags: int) -> None:  # noqa: N802
        self._vfs.synced()
        super().xSync(flags)
        self._vfs.disk.sync(self._node)
        if self._new:
            self._new = False
            self._vfs.disk.sync(self._vfs.disk.root)
        self._vfs.synced()
