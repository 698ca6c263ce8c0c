"""Which workspace a folder is: a uuid, and where a node last saw it, so that a copy is told from the original.

A folder that is opened is the same workspace where its inode is the one that was noted, under whatever path; disks give
inodes of removed folders again, so the age of its lock file counts too. Else,
where the noted folder still answers with this uuid, the opened one is a copy: it gets a uuid of its own. Else the
workspace was moved, or restored from a backup.
"""

from __future__ import annotations

import json
import socket
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

Origin = Literal["new", "same", "copied", "moved"]
_PREFIX_DIGITS, _LOCK = 8, "lock"


@dataclass(frozen=True, slots=True)
class Seen:
    """Where a workspace was: its folder's device and inode, the host, and the path; since when its lock file is what it
    is (ns), which no copy keeps."""

    device: int
    inode: int
    host: str
    path: str
    since: int = 0


@dataclass(frozen=True, slots=True)
class Identity:
    """Which workspace a folder is. `copy_of` is the uuid of the workspace that it was copied from, empty for none.

    `prefix` stands before a copy's topics where the settings name none, so that it never writes to the original's.
    """

    uuid: str = ""
    prefix: str = ""
    copy_of: str = ""
    seen: Seen | None = field(default=None)


def identity_in(facts: Mapping[str, Any]) -> Identity:
    """The identity that a workspace's marker holds; an empty one where it holds none, as older ones do."""
    try:
        seen = Seen(**facts["seen"]) if facts.get("seen") else None
    except TypeError:
        seen = None
    texts = {name: str(facts.get(name, "")) for name in ("uuid", "prefix", "copy_of")}
    return Identity(**texts, seen=seen)


def facts_of(identity: Identity) -> dict[str, Any]:
    """The identity as the marker holds it."""
    return asdict(identity)


def identify(root: Path, known: Identity, marker: str) -> tuple[Identity, Origin]:
    """The identity of the folder that is opened now, and how it follows from what its `marker` file said."""
    here = _seen(root)
    if not known.uuid:
        return Identity(uuid.uuid4().hex, seen=here), "new"
    before = known.seen
    if before is None:
        return Identity(known.uuid, known.prefix, known.copy_of, here), "moved"
    same_path, same_files = before.path == here.path, before.since in (0, here.since)
    if same_files and (before.device, before.inode, before.host) == (here.device, here.inode, here.host):
        # Under another path it was renamed, or is mounted a second time: the path that still answers stays noted.
        stays = not same_path and _is_same(Path(before.path), root)
        return Identity(known.uuid, known.prefix, known.copy_of, before if stays else here), "same"
    if same_path and same_files and before.inode == here.inode:
        # Disks are numbered anew by a restart, and containers name themselves anew.
        return Identity(known.uuid, known.prefix, known.copy_of, here), "same"
    if not same_path and _answers(Path(before.path), known.uuid, marker):
        fresh = uuid.uuid4().hex
        return Identity(fresh, f"{fresh[:_PREFIX_DIGITS]}.", known.uuid, here), "copied"
    return Identity(known.uuid, known.prefix, known.copy_of, here), "moved"


def _seen(root: Path) -> Seen:
    facts = root.stat()
    try:
        since = (root / _LOCK).stat().st_ctime_ns
    except OSError:
        since = 0
    return Seen(facts.st_dev, facts.st_ino, socket.gethostname(), str(root), since)


def _is_same(folder: Path, root: Path) -> bool:
    try:
        return folder.samefile(root)
    except OSError:
        return False


def _answers(folder: Path, wanted: str, marker: str) -> bool:
    """Whether a folder is there and is the workspace of this uuid."""
    try:
        return json.loads((folder / marker).read_text("utf-8")).get("uuid") == wanted
    except (OSError, ValueError, AttributeError):
        return False
