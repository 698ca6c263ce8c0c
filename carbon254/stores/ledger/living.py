"""Which leases of a ledger in a file are held by a living process.

Each lease has a lock on a file of its own for as long as its process lives: the kernel frees it when the process ends,
however it ends. A lease without a locked file is nobody's, whatever time it was given, also one that an older version
left. Databases on a server have no such locks: there a lease ends by its time, which its holder keeps moving on.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
from contextlib import suppress
from pathlib import Path


class Living:
    """The lock files beside a ledger; `folder` is None where there is none and every lease counts as held."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._held: dict[tuple[str, int], int] = {}

    def holds(self, name: str, token: int) -> bool:
        """Whether a living process holds the lease, as far as can be told."""
        if self._folder is None:
            return True
        try:
            probe = os.open(self._path(name, token), os.O_RDWR)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(probe, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(probe)
        return False

    def take(self, name: str, token: int) -> None:
        """This process holds the lease from now on."""
        if self._folder is None or (name, token) in self._held:
            return
        self._folder.mkdir(mode=0o700, exist_ok=True)
        handle = os.open(self._path(name, token), os.O_RDWR | os.O_CREAT, 0o600)
        # Nobody else takes this token: the ledger gives each once.
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        self._held[name, token] = handle

    def let_go(self, name: str, token: int) -> None:
        """The lease is no longer held, by whomever it was."""
        if self._folder is not None:
            with suppress(FileNotFoundError):
                self._path(name, token).unlink()
        if (handle := self._held.pop((name, token), None)) is not None:
            os.close(handle)

    def close(self) -> None:
        """Let go of everything that this process holds."""
        for name, token in list(self._held):
            self.let_go(name, token)

    def _path(self, name: str, token: int) -> Path:
        assert self._folder is not None
        return self._folder / f"{hashlib.sha256(name.encode()).hexdigest()[:16]}-{token}"
