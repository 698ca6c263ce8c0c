"""Every benchmark, each in a process of its own, as a table and as JSON in `bench/out/`.

python bench/run.py [--quick]

One that fails costs no other its result; the exit status is 1 then.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
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
    ("quality.py", "3000000"),
    ("enrich.py",),
    ("units.py",),
    ("gate.py",),
    ("kafka.py",),
]
QUICK = [
    ("flow.py", "spp", "300000"),
    ("flow.py", "ercot", "200000"),
    ("flow.py", "ticks", "200000"),
    ("latency.py", "10000", "5"),
    ("memory.py", "2000", "48"),
    ("labels.py", "1000000"),
    ("as_of.py", "500000"),
    ("quality.py", "1000000", "--without-ge"),
    ("enrich.py",),
    ("units.py",),
    ("gate.py", "2000"),
]


Result = dict[str, object]


def run(command: Sequence[str]) -> Result:
    """The last line that a benchmark prints, or the end of what it said when it failed."""
    done = subprocess.run([sys.executable, str(HERE / command[0]), *command[1:]], capture_output=True, check=False)
    lines = done.stdout.splitlines()
    if done.returncode or not lines:
        said = done.stderr.decode("utf-8", "replace").strip().splitlines()
        return {"bench": " ".join(command), "failed": "\n".join(said[-20:]) or f"exit {done.returncode}, no output"}
    return json.loads(lines[-1])


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
    sys.exit(min(1, main("--quick" in sys.argv, HERE / "out")))
