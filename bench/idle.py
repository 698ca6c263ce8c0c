"""What an idle node costs: processor, memory, threads, files; how soon it is ready, how soon commands beside it answer.

python bench/idle.py [SECONDS] [demo]

A node of an empty workspace, or with `demo` the demo once its last hour has been carried, is left alone for a while
and then watched for SECONDS. The percentages are of one core.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from carbon254.cli.asking import ask
from carbon254.errors import Carbon254Error
from carbon254.walking import files_below
from carbon254.workspace import Workspace

# The demo's last hour comes in quick steps first; twice a node gives memory back.
_SETTLE_S = {"demo": 200.0, "node": 130.0}
_PATIENCE_S = 900.0
_COMMANDS: dict[str, Sequence[str]] = {
    "sql": ("sql", "SELECT 1"),
    "status": ("status",),
    "prices": ("prices", "SPP", "yesterday", "now"),
    "feeds": ("feeds", "list"),
    "standing": ("feeds", "status"),
    "held": ("quality", "held"),
    "letters": ("dlq", "list"),
    "help": ("--help",),
}
_C254 = [sys.executable, "-m", "carbon254.cli"]


def processor_s(pid: int) -> float:
    """Processor seconds that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def standing(pid: int) -> dict[str, int]:
    """Resident memory in MB (all, its share of what processes share, and its own alone) and threads."""
    lines = Path(f"/proc/{pid}/status").read_text("utf-8").splitlines()
    facts = dict(line.split(":", 1) for line in lines)
    rolled = Path(f"/proc/{pid}/smaps_rollup").read_text("utf-8").splitlines()[1:]
    held = {name: int(rest.split()[0]) // 1024 for name, _, rest in (line.partition(":") for line in rolled)}
    return {
        "memory_mb": held["Rss"],
        "memory_shared_out_mb": held["Pss"],
        "memory_own_mb": held["Anonymous"],
        "threads": int(facts["Threads"]),
    }


def wakings(pid: int) -> int:
    """How often its threads were put on a processor."""
    found = 0
    for path in Path(f"/proc/{pid}/task").glob("*/status"):
        # A thread may end while it is looked at.
        with suppress(OSError):
            lines = path.read_text("utf-8").splitlines()
            found += sum(int(line.split()[1]) for line in lines if "ctxt_switches" in line)
    return found


def timed(words: Sequence[str], folder: Path) -> tuple[float, float]:
    """Seconds of wall, and of processor, that a command beside the node takes."""
    began, before = time.perf_counter(), os.times()
    option = [] if words in (("--help",), ("feeds", "list")) else ["-w", str(folder)]
    subprocess.run([*_C254, *words, *option], check=True, capture_output=True, timeout=_PATIENCE_S)
    after = os.times()
    used = after.children_user + after.children_system - before.children_user - before.children_system
    return round(time.perf_counter() - began, 2), round(used, 2)


def ready(child: subprocess.Popen[bytes], folder: Path) -> dict[str, float]:
    """Seconds of wall until the node's /ready says yes, and of processor that it used until then."""
    began = time.perf_counter()
    while not _is_ready(folder):
        if child.poll() is not None or time.perf_counter() - began > _PATIENCE_S:
            raise SystemExit("the node did not start")
        time.sleep(0.02)
    return {"ready_s": round(time.perf_counter() - began, 2), "ready_processor_s": round(processor_s(child.pid), 2)}


def _is_ready(folder: Path) -> bool:
    found = Workspace(folder).running() if folder.exists() else None
    try:
        return found is not None and ask(found.url, "/ready")["status"] == "ready"
    except Carbon254Error:
        return False


def main(seconds: float, demo: bool) -> dict[str, object]:
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "ws"
        words = ["demo", "--days", "1"] if demo else ["up", "--no-poll"]
        command = [*_C254, *words, "--port", "0", "-w", str(folder)]
        child = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        try:
            until_ready = ready(child, folder)
            time.sleep(_SETTLE_S["demo" if demo else "node"])
            before, woken, began = processor_s(child.pid), wakings(child.pid), time.monotonic()
            time.sleep(seconds)
            woken = max(0, wakings(child.pid) - woken)
            used = (processor_s(child.pid) - before) / (time.monotonic() - began)
            facts = standing(child.pid)
            files = sum(1 for _ in files_below(folder))
            commands = {name: min(timed(asked, folder) for _ in range(3)) for name, asked in _COMMANDS.items()}
        finally:
            child.send_signal(signal.SIGTERM)
            try:
                child.wait(60)
            except subprocess.TimeoutExpired:
                child.kill()
    return {
        "bench": "idle demo" if demo else "idle node",
        "processor_percent": round(100 * used, 1),
        "wakings_per_s": round(woken / seconds, 1),
        **facts,
        "files": files,
        **until_ready,
        **{f"{name}_s": wall for name, (wall, _) in commands.items()},
        **{f"{name}_processor_s": used for name, (_, used) in commands.items()},
    }


if __name__ == "__main__":
    # Asked to end, it tidies up as after ctrl-C: what it started must not outlive it.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    numbers = [float(text) for text in sys.argv[1:] if text != "demo"]
    sys.stdout.write(json.dumps(main(numbers[0] if numbers else 60.0, "demo" in sys.argv)) + "\n")
