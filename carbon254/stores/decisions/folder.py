"""The journal of decisions as one file beside the raw payloads. Its writers take turns, also from several processes."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Collection
from pathlib import Path

from carbon254.faults import reach
from carbon254.lasting import sync_folder

from .port import Decision, kind_of, line, read


class FolderJournal:
    """See `port.Journal`. A line without its end was never acknowledged: it is cut off by the next one."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def write(self, decision: Decision) -> None:
        """Write a decision down; on disk when this returns. Raises OSError, and leaves no half of it then."""
        told = line(decision)
        with self._path.open("a+b", buffering=0) as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            file.seek(0)
            found = file.read()
            kept = found[: found.rfind(b"\n") + 1]
            if told in kept.splitlines(keepends=True):
                return
            try:
                file.truncate(len(kept))
                rest = memoryview(told)
                while rest:
                    rest = rest[file.write(rest) :]
                reach("decisions.written")
                os.fsync(file.fileno())
            except BaseException:
                file.truncate(len(kept))
                raise
        reach("decisions.synced")
        sync_folder(self._path.parent)
        reach("decisions.lasting")

    def every(self) -> list[Decision]:
        """Every decision, first first. Raises CorruptRecord where one was damaged."""
        return [read(one, str(self._path)) for one in self._lines()]

    def count(self, kinds: Collection[str]) -> int:
        """How many decisions of these kinds there are."""
        return sum(kind_of(one) in kinds for one in self._lines())

    def _lines(self) -> list[bytes]:
        if not self._path.exists():
            return []
        found = self._path.read_bytes()
        return found[: found.rfind(b"\n") + 1].splitlines(keepends=True)
