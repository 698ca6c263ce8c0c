"""One server process: started on loopback, waited for until it answers and the listener is ours, stopped by its id.

Tests may also kill it without a word (SIGKILL), freeze it (SIGSTOP) and start it again on the same port and folder.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

READY_S = 90.0
_STOP_S = 15.0


class Server:
    """A running server. `url` is what a setting would say; `folder` holds its data and log; `ends` asks it to stop."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        port: int,
        folder: Path,
        url: str,
        answers: Callable[[], bool] = lambda: True,
        env: Mapping[str, str] | None = None,
        version: str = "",
        ends: signal.Signals = signal.SIGTERM,
    ) -> None:
        self.name, self.port, self.folder, self.url, self.version = name, port, folder, url, version
        self.facts: dict[str, str] = {}
        self._command, self._answers, self._env, self._ends = list(command), answers, dict(env or {}), ends
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The process's id. Raises RuntimeError where it is not running."""
        if self._process is None or self._process.poll() is not None:
            raise RuntimeError(f"{self.name} is not running: {self.said()}")
        return self._process.pid

    def start(self, wait_s: float = READY_S) -> None:
        """Start it, and return once it answers. Raises RuntimeError with its last words where it does not."""
        with (self.folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                [*tied(), *self._command], cwd=self.folder, env=os.environ | self._env, stdin=subprocess.DEVNULL,
                stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
        until = time.monotonic() + wait_s
        while not (listens(self.port, self.pid) and _tried(self._answers)):
            if time.monotonic() > until:
                said = self.said()
                self.stop()
                raise RuntimeError(f"{self.name} did not answer on port {self.port} in {wait_s:.0f} s: {said}")
            time.sleep(0.05)

    def stop(self) -> None:
        """Ask it to end, then end it."""
        process, self._process = self._process, None
        if process is None:
            return
        if process.poll() is None:
            _signal(process.pid, signal.SIGCONT)
            _signal(process.pid, self._ends)
            try:
                process.wait(_STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()
        process.wait()

    def kill(self) -> None:
        """End it at once, as a power cut would end its process."""
        os.kill(self.pid, signal.SIGKILL)
        assert self._process is not None
        self._process.wait()

    def pause(self) -> None:
        """Freeze it: it holds its connections and says nothing."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on after `pause`."""
        os.kill(self.pid, signal.SIGCONT)

    def said(self) -> str:
        """The end of its log."""
        log = self.folder / "server.log"
        return log.read_text("utf-8", "replace")[-1500:] if log.exists() else ""


One = TypeVar("One", bound=Server)


@contextmanager
def started(server: One) -> Iterator[One]:
    """The server while the block runs."""
    try:
        server.start()
        yield server
    finally:
        server.stop()


@contextmanager
def folder_for(name: str) -> Iterator[Path]:
    """A folder for a server's data; it goes with the block."""
    folder = Path(tempfile.mkdtemp(prefix=f"c254-{name}-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def wait_until(what: Callable[[], bool], wait_s: float = READY_S) -> None:
    """Return once it holds. Raises RuntimeError where it does not in time."""
    until = time.monotonic() + wait_s
    while not _tried(what):
        if time.monotonic() > until:
            raise RuntimeError(f"what was waited for did not come in {wait_s:.0f} s")
        time.sleep(0.05)


def tied() -> list[str]:
    """What stands before a command that must end with us: a test run that is killed leaves nothing behind."""
    return ["setpriv", "--pdeathsig", "KILL"] if shutil.which("setpriv") else []


def free_port() -> int:
    """A port of loopback that nobody listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def run(command: Sequence[str], folder: Path) -> str:
    """A command that prepares a server; what it printed. Raises RuntimeError with its last words."""
    done = subprocess.run(
        command, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=READY_S, check=False
    )
    if done.returncode:
        raise RuntimeError(f"{Path(command[0]).name} failed: {(done.stderr + done.stdout)[-800:]}")
    return done.stdout


def listens(port: int, pid: int) -> bool:
    """Whether the process itself, and no stranger, listens on the port."""
    held = set()
    for handle in Path(f"/proc/{pid}/fd").glob("*"):
        try:
            held.add(str(handle.readlink()))
        except OSError:
            continue
    return any(f"socket:[{inode}]" in held for inode in _listeners(port))


def _listeners(port: int) -> list[str]:
    found = []
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        path = Path(table)
        for line in path.read_text("utf-8").splitlines()[1:] if path.exists() else []:
            fields = line.split()
            if fields[3] == "0A" and int(fields[1].rsplit(":", 1)[1], 16) == port:
                found.append(fields[9])
    return found


def _tried(answers: Callable[[], bool]) -> bool:
    try:
        return answers()
    except Exception:
        return False


def _signal(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return
