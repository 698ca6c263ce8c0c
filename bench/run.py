"""Every benchmark, each in a process of its own, as a table and as JSON in `bench/out/`.

python bench/run.py [--quick]

One that fails costs no other its result; the exit status is 1 then.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from rich.console import Console
from rich.progress import track
from rich.table import Table

HERE = Path(__file__).parent
FULL = [
    ("flow.py", "spp", "3000000"),
    ("flow.py", "ercot", "1000000"),
    ("flow.py", "ticks", "1000000"),
    ("latency.py", "10000", "30"),
    ("memory.py",),
    ("labels.py", "5000000"),
    ("as_of.py", "3240000"),
    ("bars.py",),
    ("quality.py", "3000000"),
    ("enrich.py",),
    ("units.py",),
    ("gate.py",),
    ("lake.py",),
    ("kafka.py",),
    ("idle.py", "60"),
    ("idle.py", "60", "demo"),
]
QUICK = [
    ("flow.py", "spp", "300000"),
    ("flow.py", "ercot", "200000"),
    ("flow.py", "ticks", "200000"),
    ("latency.py", "10000", "5"),
    ("memory.py", "2000", "48"),
    ("labels.py", "1000000"),
    ("as_of.py", "500000"),
    ("bars.py", "1500"),
    ("quality.py", "1000000", "--without-ge"),
    ("enrich.py",),
    ("units.py",),
    ("gate.py", "2000"),
    ("lake.py", "200000", "3"),
    ("idle.py", "15"),
]


Result = dict[str, object]
_ENDS_S = 15.0


def run(command: Sequence[str]) -> Result:
    """The last line that a benchmark prints, or the end of what it said when it failed."""
    words = [sys.executable, str(HERE / command[0]), *command[1:]]
    # A session of its own: what it starts in turn ends with it when we are interrupted.
    child = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True)
    try:
        out, err = child.communicate()
    except BaseException:
        end(child)
        raise
    lines = out.splitlines()
    if child.returncode or not lines:
        said = err.decode("utf-8", "replace").strip().splitlines()
        return {"bench": " ".join(command), "failed": "\n".join(said[-20:]) or f"exit {child.returncode}, no output"}
    return json.loads(lines[-1])


def end(child: subprocess.Popen[bytes]) -> None:
    """End a benchmark and whatever it started: asked first, so that it can tidy up."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(child.pid, number)
        with suppress(subprocess.TimeoutExpired):
            child.wait(_ENDS_S)


def show(console: Console, result: Result) -> None:
    table = Table(title=str(result["bench"]), show_header=False)
    for name, value in result.items():
        table.add_row(name, f"{value:,}" if isinstance(value, int) else str(value))
    console.print(table)


def main(quick: bool, out: Path) -> int:
    """Run all of them; each result is on disk before the next begins. The number of those that failed."""
    console, results = Console(), []
    out.mkdir(exist_ok=True)
    for command in track(QUICK if quick else FULL, "benchmarks", console=Console(stderr=True)):
        results.append(run(command))
        (out / "results.json").write_text(json.dumps(results, indent=2) + "\n", "utf-8")
    for result in results:
        show(console, result)
    failed = [str(result["bench"]) for result in results if "failed" in result]
    if failed:
        console.print(f"[red]failed: {', '.join(failed)}[/red]; the others are in {out / 'results.json'}")
    return len(failed)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.exit(min(1, main("--quick" in sys.argv, HERE / "out")))
