"""What a real process did to its files, told by strace, and the same done to a `Disk`.

The process itself is not changed in any way: what its libraries write counts, too. Acknowledgements are lines that it
appends to a file outside the folder, so that their place among the writes is exact.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from .disk import Disk, Folder, Inode

CALLS = (
    "openat,write,writev,pwrite64,fsync,fdatasync,rename,renameat,renameat2,unlink,unlinkat,mkdir,mkdirat,ftruncate,"
    "truncate,lseek,close,rmdir"
)
_LINE = re.compile(r"^(\d+) +(\w+)\((.*)\) += (-?\d+)(?:<[^>]*>)?(.*)$", re.DOTALL)
_HEX = re.compile(r'"((?:\\x[0-9a-f]{2})*)"|<((?:\\x[0-9a-f]{2})*)>')
_FD = re.compile(r"^(\d+)<((?:\\x[0-9a-f]{2})*)")
# Only a process that hangs is ended: a loaded machine may take its time.
_PATIENCE_S = 300
ACK, SYNC = "ack", "sync"


def need_strace() -> None:
    """Skip, visibly, where strace is not there or may not trace."""
    if not shutil.which("strace"):
        pytest.skip("strace is not installed: apt-get install strace")
    if subprocess.run(["strace", "-o", "/dev/null", "true"], capture_output=True, check=False).returncode:
        pytest.skip("strace may not trace here (ptrace is forbidden)")


def traced(
    arguments: Sequence[str], trace: Path, more: Sequence[str] = (), environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run `python -m …` under strace; the trace goes to a file. `more` are options (an injection)."""
    strace = ["strace", "-f", "--seccomp-bpf", "-y", "-xx", "-s", "50000000", "-e", f"trace={CALLS}", *more]
    return run_module(arguments, [*strace, "-o", str(trace)], environment)


def run_module(
    arguments: Sequence[str], under: Sequence[str] = (), environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run `python -m …` with the tests and the package in reach, under another program or by itself."""
    tests, package = Path(__file__).parents[1], Path(__file__).parents[2]
    given = {**os.environ, "PYTHONPATH": f"{package}:{tests}", **(environment or {})}
    command = [*under, sys.executable, "-m", *arguments]
    return subprocess.run(command, env=given, capture_output=True, text=True, check=False, timeout=_PATIENCE_S)


@dataclass(frozen=True)
class Call:
    """One system call that ended: its strings (paths, bytes), file descriptor, its path, and what came back."""

    name: str
    strings: list[bytes]
    fd: int
    path: str
    flags: str
    result: int
    rest: str


def calls(trace: Path) -> Iterator[Call]:
    """The calls of a trace in the order in which they ended."""
    begun: dict[str, str] = {}
    for line in trace.read_text("ascii", "replace").splitlines():
        pid, _, text = line.partition(" ")
        text = text.strip()
        if text.endswith("<unfinished ...>"):
            begun[pid] = text.removesuffix("<unfinished ...>")
            continue
        if text.startswith("<... "):
            text = begun.pop(pid, "") + text.partition("resumed>")[2]
        match = _LINE.match(f"{pid} {text}")
        if match:
            yield _call(match[2], match[3], int(match[4]), match[5])


def _call(name: str, arguments: str, result: int, rest: str) -> Call:
    found = _FD.match(arguments)
    strings = [_plain(one[1]) for one in _HEX.finditer(arguments) if one[1] is not None]
    path = _plain(found[2]).decode() if found else ""
    flags = arguments.rsplit('"', 1)[-1]
    return Call(name, strings, int(found[1]) if found else -1, path, flags, result, rest)


def _plain(text: str) -> bytes:
    return bytes.fromhex(text.replace("\\x", ""))


@dataclass
class _Open:
    node: Inode | Folder
    at: int = 0
    appends: bool = False


class Replay:
    """A trace done again on a `Disk`. `events` yields before and after each sync, and at each acknowledgement."""

    def __init__(self, folder: Path, acks: Path) -> None:
        self._root, self._acks = str(folder), str(acks)
        self.disk, self._open = Disk(), dict[int, _Open]()
        self.said: list[str] = []

    def events(self, trace: Path) -> Iterator[str]:
        """Do everything; stop at what a test wants to look at."""
        for call in calls(trace):
            if call.name in ("fsync", "fdatasync"):
                yield SYNC
                self._sync(call)
                yield SYNC
            elif call.name == "writev" and call.path == self._acks:
                self.said += call.strings[0].decode().split("\n")[:-1]
                yield ACK
            elif call.result >= 0:
                self._do(call)

    def _do(self, call: Call) -> None:
        if call.name == "openat":
            self._opened(call)
        elif call.name == "close":
            self._open.pop(call.fd, None)
        elif call.name in ("write", "pwrite64"):
            self._wrote(call)
        elif call.name == "lseek" and call.fd in self._open:
            self._open[call.fd].at = call.result
        elif call.name == "ftruncate" and (node := self._node(call)):
            self.disk.truncate(node, int(call.flags.rsplit(",", 1)[-1]))
        elif call.name.startswith(("mkdir", "unlink", "rmdir", "rename", "truncate")):
            self._named(call)

    def _named(self, call: Call) -> None:
        paths = [self._inside(path.decode()) for path in call.strings]
        if None in paths or not paths:
            return
        first = str(paths[0])
        if call.name.startswith("mkdir"):
            self.disk.mkdir(first)
        elif call.name.startswith("rename"):
            self.disk.rename(first, str(paths[1]))
        elif call.name == "truncate":
            self.disk.truncate(self.disk.file(first), int(call.flags.rsplit(",", 1)[-1]))
        else:
            self.disk.unlink(first)

    def _opened(self, call: Call) -> None:
        path = self._inside(call.strings[0].decode())
        if path is None:
            self._open.pop(call.result, None)
            return
        if "O_CREAT" in call.flags:
            self.disk.create(path)
        node = self.disk.find(path)
        assert node is not None, f"{path} was opened and never made"
        if "O_TRUNC" in call.flags and isinstance(node, Inode) and node.now:
            self.disk.truncate(node, 0)
        self._open[call.result] = _Open(node, 0, "O_APPEND" in call.flags)

    def _wrote(self, call: Call) -> None:
        node = self._node(call)
        if node is None:
            return
        data = call.strings[0][: call.result]
        if call.name == "pwrite64":
            self.disk.write(node, int(call.flags.rsplit(",", 1)[-1]), data)
            return
        place = self._open[call.fd]
        at = len(node.now) if place.appends else place.at
        self.disk.write(node, at, data)
        place.at = at + len(data)

    def _sync(self, call: Call) -> None:
        found = self._open.get(call.fd)
        if found is not None:
            self.disk.sync(found.node, worked=call.result == 0, no_room="ENOSPC" in call.rest)

    def _node(self, call: Call) -> Inode | None:
        found = self._open.get(call.fd)
        return found.node if found and isinstance(found.node, Inode) else None

    def _inside(self, path: str) -> str | None:
        return path[len(self._root) + 1 :] or "." if path == self._root or path.startswith(self._root + "/") else None
