"""Ports: taking one to listen on, and who holds one that is taken, so that an error can say what to stop.

Holders are known on Linux, for processes we may look at.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from carbon254.errors import WorkspaceError
from carbon254.walking import matching, names_in

EMULATOR_PORT = 8255
_TRIES = 50
_PROC = Path("/proc")
_LISTENING = "0A"
_LOCAL, _STATE, _INODE = 1, 3, 9


def listener(host: str, port: int, explicit: bool) -> socket.socket:
    """A bound socket: on `port`, or the next free one where the port was not asked for by name.

    A node that seeks leaves the emulator's usual port alone. Raises WorkspaceError saying what to do when the asked
    port is taken.
    """
    others = [] if explicit or port == 0 else range(port + 1, port + _TRIES)
    for candidate in (port, *(other for other in others if other != EMULATOR_PORT)):
        listening = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((host, candidate))
            return listening
        except OSError:
            listening.close()
    raise WorkspaceError(f"port {port} is taken by {holder(port)}; stop it, or take another: --port 0 finds a free one")


def holder(port: int) -> str:
    """The process that listens on a TCP port, as people name it."""
    wanted = {f"socket:[{inode}]" for inode in _inodes(port)}
    for process in matching(_PROC, "[0-9]*") if wanted else ():
        if wanted & set(_descriptors(process)):
            return f"process {process.name} ({_name(process)})"
    return "another program"


def _inodes(port: int) -> Iterator[str]:
    for table in ("tcp", "tcp6"):
        try:
            lines = (_PROC / "net" / table).read_text("ascii").splitlines()[1:]
        except OSError:
            continue
        for cells in map(str.split, lines):
            if cells[_STATE] == _LISTENING and int(cells[_LOCAL].rpartition(":")[2], 16) == port:
                yield cells[_INODE]


def _descriptors(process: Path) -> Iterator[str]:
    try:
        found = names_in(process / "fd")
    except OSError:
        return
    for descriptor in found:
        # Files close while we look; the one this listing was read from already has.
        with suppress(OSError):
            yield str((process / "fd" / descriptor).readlink())


def _name(process: Path) -> str:
    try:
        return (process / "comm").read_text("utf-8", "replace").strip()
    except OSError:
        return "?"
