"""Processes that tests start end with them, however the tests end: by ctrl-C, a time-out, a killed worker.

Every process that a test starts, also one that detached itself, inherits a mark in its environment. A small process of
its own waits on a pipe that only the test run holds open; when the run is gone, it ends whatever still bears the mark.
"""

from __future__ import annotations

import os
import subprocess
import sys
import uuid
from pathlib import Path

MARK = "TESTS_OF_CARBON"
# The guardian needs nothing of ours: an interpreter alone, deaf to the signals that end a terminal's whole group.
_CODE = """
import os, signal, sys
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, signal.SIG_IGN)
os.read(0, 1)
mark = sys.argv[1].encode()
for _ in range(3):
    for name in os.listdir("/proc"):
        if not name.isdigit() or int(name) == os.getpid():
            continue
        try:
            with open(f"/proc/{name}/environ", "rb") as file:
                if mark in file.read().split(b"\\0"):
                    os.kill(int(name), signal.SIGKILL)
        except OSError:
            pass
"""


def guard() -> str:
    """Mark what this process starts from now on, and have it ended with this process; gives the mark."""
    mark = uuid.uuid4().hex
    os.environ[MARK] = mark
    if Path("/proc/self/environ").exists():
        env = {name: value for name, value in os.environ.items() if name != MARK}
        read_end, write_end = os.pipe()
        # The write end stays open in this process alone: it is closed by the system when the process is gone.
        os.set_inheritable(write_end, False)
        subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _CODE, f"{MARK}={mark}"],
            stdin=read_end, env=env, start_new_session=True,
        )  # fmt: skip
        os.close(read_end)
    return mark


def marked(mark: str) -> list[int]:
    """Processes that bear the mark now."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            held = (process / "environ").read_bytes().split(b"\0")
        except OSError:
            continue
        if f"{MARK}={mark}".encode() in held:
            found.append(int(process.name))
    return found
