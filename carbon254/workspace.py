"""A workspace: the folder that holds everything one node keeps, and who owns it now.

    workspace.json   format version, whether the data are emulated, which workspace it is and where it was seen
    node.json        the running node, while there is one
    raw/ log.db ledger.db reference.db hot/ lake/ budget.db

One process owns a workspace: it holds a lock on `lock` for as long as it lives, so that a crash frees it.
"""

from __future__ import annotations

import fcntl
import json
import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from carbon254.disk import folder_trouble, told_of
from carbon254.errors import NoWorkspace, WorkspaceError
from carbon254.identity import Identity, Origin, facts_of, identify, identity_in
from carbon254.lasting import make_folder, sync_folder
from carbon254.walking import files_below

FORMAT = 2
DEFAULT, DEMO = Path("workspace"), Path("demo-workspace")
# What others may not do with what we make: anything.
_OTHERS = 0o077


@dataclass(frozen=True)
class Running:
    """The node that owns a workspace."""

    pid: int
    url: str


class Workspace:
    """A workspace folder. `claim` makes this process its owner; `release` gives it up."""

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()
        self._lock: IO[str] | None = None

    def path(self, name: str) -> Path:
        """A place inside the workspace."""
        return self.root / name

    def create(self) -> None:
        """Make the folder, or check that it has the format this code writes. Raises WorkspaceError."""
        marker = self.path("workspace.json")
        if marker.exists():
            self._refuse_other(_format(marker))
            return
        if trouble := folder_trouble(self.root):
            raise trouble
        left = {marker.with_suffix(".tmp").name}
        if self.root.exists() and any(path.name not in left for path in self.root.iterdir()):
            raise WorkspaceError(f"{self.root} is not empty and not a workspace; name an empty or new folder")
        make_folder(self.root)
        self._keep_to_owner()
        _write(marker, json.dumps({"format": FORMAT}) + "\n")

    def _refuse_other(self, found: object) -> None:
        """Raise WorkspaceError where the folder has another format than this code reads, or half of this one."""
        command = f"c254 upgrade --workspace {self.root}"
        if self.upgrading() is not None:
            raise WorkspaceError(f"the upgrade of {self.root} was cut off: go on with it: {command}")
        if isinstance(found, int) and found < FORMAT:
            raise WorkspaceError(
                f"{self.root} has format {found}, and this version reads format {FORMAT}: bring it over, raw payloads "
                f"stay as they are: {command}"
            )
        if found != FORMAT:
            raise WorkspaceError(
                f"{self.root} has format {found}; this version reads format {FORMAT}. "
                "Open it with the version that wrote it, or take another folder"
            )

    def format(self) -> int:
        """The format that the marker names. Raises NoWorkspace where it is torn or there is none."""
        found = _format(self.existing().path("workspace.json"))
        return found if isinstance(found, int) else 0

    def upgrading(self) -> list[str] | None:
        """The steps that an upgrade has done that did not come to its end; None where there is none."""
        found = self._facts().get("upgrading")
        return [str(one) for one in found] if isinstance(found, list) else None

    def begin_upgrade(self, done: list[str]) -> None:
        """Note that the workspace is being brought to today's format, and how far. Older programs refuse it now."""
        self._keep({"format": FORMAT, "upgrading": done})

    def end_upgrade(self) -> None:
        """The workspace has today's format."""
        facts = {name: value for name, value in self._facts().items() if name != "upgrading"}
        _write(self.path("workspace.json"), json.dumps(facts | {"format": FORMAT}) + "\n")

    def existing(self) -> Workspace:
        """This workspace, if it is one. Raises NoWorkspace, and DiskRefused where it may not be looked into."""
        with told_of(self.root):
            there = self.path("workspace.json").exists()
        if not there:
            if trouble := folder_trouble(self.root):
                raise trouble
            demo = f"; the demo's is {DEMO}" if (DEMO / "workspace.json").exists() else ""
            raise NoWorkspace(
                f"there is no workspace at {self.root}{demo}; bring data in with c254 feeds run, or emulated data with "
                "c254 demo"
            )
        return self

    def emulated(self) -> bool | None:
        """Whether the data are emulated; None where that was never marked."""
        found = self._facts().get("emulated")
        return found if isinstance(found, bool) else None

    def mark(self, emulated: bool) -> None:
        """Keep whether the data are emulated."""
        if self.emulated() != emulated:
            self._keep({"emulated": emulated})

    @property
    def identity(self) -> Identity:
        """Which workspace this is, as it was last noted; see `identify`."""
        return identity_in(self._facts())

    def identify(self) -> Origin:
        """Note which workspace this is and where; whether it is new, the same, a copy of another, or was moved.

        A folder that may not be written stays as it is.
        """
        if not os.access(self.root, os.W_OK):
            return "same"
        handle = os.open(self.root, os.O_RDONLY)
        try:
            # Two processes that look at a copy at once give it one uuid.
            fcntl.flock(handle, fcntl.LOCK_EX)
            before = self.identity
            found, origin = identify(self.root, before, "workspace.json")
            if found != before:
                self._keep(facts_of(found))
        finally:
            os.close(handle)
        return origin

    def _facts(self) -> dict[str, Any]:
        try:
            found = json.loads(self.path("workspace.json").read_text("utf-8"))
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def _keep(self, facts: dict[str, Any]) -> None:
        told = {"format": FORMAT} | self._facts() | facts
        _write(self.path("workspace.json"), json.dumps(told) + "\n")

    def claim(self, older: bool = False) -> None:
        """Own the workspace, also one of an older format where that is said. Raises WorkspaceError naming the owner
        where another process has it, DiskTrouble where the disk lets nobody write."""
        with told_of(self.root):
            if not older:
                self.create()
            self._claim()

    def _claim(self) -> None:
        self._keep_to_owner()
        lock = self.path("lock").open("a+")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.close()
            owner = self.running()
            where = f"by the node at {owner.url} (process {owner.pid})" if owner else "by another process"
            raise WorkspaceError(f"{self.root} is in use {where}; stop it first: c254 stop") from None
        self._lock = lock
        self.path("node.json").unlink(missing_ok=True)

    def _keep_to_owner(self) -> None:
        """The folder is its owner's alone, and so is every file that this process makes from now on."""
        os.umask(_OTHERS)
        # A folder of somebody else's, or on a read-only disk, stays as it is.
        with suppress(OSError):
            self.root.chmod(0o700)

    def announce(self, url: str) -> None:
        """Write where the node can be reached."""
        target = self.path("node.json")
        fresh = target.with_suffix(".tmp")
        fresh.write_text(json.dumps({"pid": os.getpid(), "url": url}), "utf-8")
        fresh.replace(target)

    def release(self) -> None:
        """Give the workspace up."""
        if self._lock is not None:
            self.path("node.json").unlink(missing_ok=True)
            self._lock.close()
            self._lock = None

    def running(self) -> Running | None:
        """The node that owns the workspace, if one does and has said where it is."""
        if not self._owned():
            return None
        try:
            facts = json.loads(self.path("node.json").read_text("utf-8"))
            return Running(facts["pid"], facts["url"])
        except (ValueError, KeyError, TypeError, OSError):
            # Torn, not said yet, or given up at this moment: where the node is will be said again.
            return None

    def _owned(self) -> bool:
        try:
            # For reading: who may only read the workspace may ask, too.
            probe = self.path("lock").open()
        except (FileNotFoundError, NotADirectoryError):
            return False
        with probe:
            try:
                fcntl.flock(probe, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                return True
            fcntl.flock(probe, fcntl.LOCK_UN)
            return False

    def size(self) -> int:
        """Bytes on disk."""
        return sum(facts.st_size for _, facts in files_below(self.root))


def stored_default() -> Path:
    """The workspace that is read where none is named: `workspace`, or the demo's where only that is there."""
    if not (DEFAULT / "workspace.json").exists() and (DEMO / "workspace.json").exists():
        return DEMO
    return DEFAULT


def _format(marker: Path) -> object:
    """The format that the marker names. Raises NoWorkspace where it is torn, or no marker at all."""
    try:
        found = json.loads(marker.read_text("utf-8"))["format"]
    except (ValueError, KeyError, TypeError, OSError) as error:
        raise NoWorkspace(
            f"{marker} cannot be read ({type(error).__name__}): restore it from a backup, or write "
            f'{{"format": {FORMAT}}} into it if the rest of the folder is whole'
        ) from None
    return found


def _write(target: Path, text: str) -> None:
    """A file that is whole, whenever the power is cut: a marker without its words would lock everybody out."""
    fresh = target.with_suffix(".tmp")
    with fresh.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(target)
    sync_folder(target.parent)
