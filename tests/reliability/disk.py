"""A disk as pessimistic as POSIX allows: what was synced stays, of the rest anything may.

The model takes operations in their order and can say, at any moment, which trees a power cut could leave behind. A
file's bytes last once the file was synced; a name lasts once its folder was synced, whether it was made, renamed or
removed. A sync that failed drops what it should have written for good: a later sync that succeeds says nothing about
it. Names differ where it was room that lacked: file systems keep them with their own books, and give up on those only
by turning read-only; a later sync may write them yet.

`crash` gives one tree: nothing unsynced ("none"), a random choice of the unsynced pages and names ("some"), or all
bytes but the end of the last write, and no unsynced name ("torn"); "died" is what a process leaves that only died.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from pathlib import Path

PAGE = 4096
VARIANTS = ("none", "some", "torn")
DIED = "died"


@dataclass
class Inode:
    """A file: its bytes now, those that last, and the writes in between (offset, bytes), or (-1, size) for a cut."""

    now: bytearray = field(default_factory=bytearray)
    lasting: bytearray = field(default_factory=bytearray)
    pending: list[tuple[int, bytes | int]] = field(default_factory=list)


@dataclass
class Folder:
    """A folder: its names now, those that last, and the changes in between (name, what it names or None)."""

    now: dict[str, Inode | Folder] = field(default_factory=dict)
    lasting: dict[str, Inode | Folder] = field(default_factory=dict)
    pending: list[tuple[str, Inode | Folder | None]] = field(default_factory=list)


class Disk:
    """Everything below one folder. Paths are relative to it; `.` is the folder itself."""

    def __init__(self) -> None:
        self.root = Folder()

    def mkdir(self, path: str) -> None:
        self._name(path, Folder())

    def create(self, path: str) -> None:
        """Open for writing; an existing file stays."""
        if self.find(path) is None:
            self._name(path, Inode())

    def write(self, node: Inode, offset: int, data: bytes) -> None:
        apply(node.now, offset, data)
        node.pending.append((offset, data))

    def truncate(self, node: Inode, size: int) -> None:
        cut(node.now, size)
        node.pending.append((-1, size))

    def rename(self, old: str, new: str) -> None:
        node = self.find(old)
        assert node is not None, f"{old} is renamed and was never made"
        self._name(new, node)
        self._name(old, None)

    def unlink(self, path: str) -> None:
        self._name(path, None)

    def sync(self, node: Inode | Folder, worked: bool = True, no_room: bool = False) -> None:
        """fsync of a file or folder; where it did not work, what was pending is lost for good, names apart."""
        if no_room and isinstance(node, Folder):
            return
        if isinstance(node, Inode):
            for offset, change in node.pending if worked else ():
                cut(node.lasting, change) if isinstance(change, int) else apply(node.lasting, offset, change)
        else:
            for name, named in node.pending if worked else ():
                node.lasting.pop(name, None) if named is None else node.lasting.__setitem__(name, named)
        node.pending.clear()

    def find(self, path: str) -> Inode | Folder | None:
        node: Inode | Folder | None = self.root
        for part in [part for part in path.split("/") if part not in (".", "")]:
            node = node.now.get(part) if isinstance(node, Folder) else None
        return node

    def file(self, path: str) -> Inode:
        node = self.find(path)
        assert isinstance(node, Inode), f"{path} is written and was never opened"
        return node

    def crash(self, target: Path, variant: str, chance: random.Random) -> None:
        """Write the tree that a power cut could leave now into the folder `target`."""
        _write_folder(self.root, target, variant, chance)

    def _name(self, path: str, node: Inode | Folder | None) -> None:
        folder, name = self.find(str(Path(path).parent)), Path(path).name
        assert isinstance(folder, Folder), f"the folder of {path} was never made"
        folder.now.pop(name, None) if node is None else folder.now.__setitem__(name, node)
        folder.pending.append((name, node))


def _write_folder(folder: Folder, target: Path, variant: str, chance: random.Random) -> None:
    target.mkdir(parents=True, exist_ok=True)
    names = dict(folder.now if variant == DIED else folder.lasting)
    for name, node in folder.pending:
        if variant == "some" and chance.random() < 0.5:
            names.pop(name, None) if node is None else names.__setitem__(name, node)
    for name, node in names.items():
        if isinstance(node, Folder):
            _write_folder(node, target / name, variant, chance)
        else:
            (target / name).write_bytes(_contents(node, variant, chance))


def _contents(node: Inode, variant: str, chance: random.Random) -> bytes:
    if variant == DIED:
        return bytes(node.now)
    found = bytearray(node.lasting)
    for at, (offset, change) in enumerate(node.pending if variant != "none" else ()):
        if isinstance(change, int):
            if variant == "torn" or chance.random() < 0.5:
                cut(found, change)
        elif variant == "some":
            _pages(found, offset, change, chance)
        elif at < len(node.pending) - 1:
            apply(found, offset, change)
        else:
            apply(found, offset, change[: chance.randrange(len(change) + 1)])
    return bytes(found)


def _pages(found: bytearray, offset: int, data: bytes, chance: random.Random) -> None:
    """Each page of a write comes to the disk or does not."""
    at = 0
    while at < len(data):
        end = min(len(data), at + PAGE - (offset + at) % PAGE)
        if chance.random() < 0.5:
            apply(found, offset + at, data[at:end])
        at = end


def apply(found: bytearray, offset: int, data: bytes) -> None:
    """Write bytes at an offset; a hole is zeros."""
    if len(found) < offset:
        found.extend(bytes(offset - len(found)))
    found[offset : offset + len(data)] = data


def cut(found: bytearray, size: int) -> None:
    """Make the file `size` bytes long."""
    if size < len(found):
        del found[size:]
    else:
        found.extend(bytes(size - len(found)))
