"""Every benchmark, each in a process of its own, as a table and as JSON in `bench/out/`.

python bench/run.py [--quick]
"""

from __future__ import annotations

import json
import subprocess
import sys
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


def main(quick: bool) -> None:
    console = Console()
    results = []
    for command in track(QUICK if quick else FULL, "benchmarks", console=Console(stderr=True)):
        done = subprocess.run([sys.executable, str(HERE / command[0]), *command[1:]], capture_output=True, check=False)
        if done.returncode:
            raise SystemExit(f"{' '.join(command)} failed:\n{done.stderr.decode()}")
        results.append(json.loads(done.stdout.splitlines()[-1]))
    for result in results:
        table = Table(title=result["bench"], show_header=False)
        for name, value in result.items():
            table.add_row(name, f"{value:,}" if isinstance(value, int) else str(value))
        console.print(table)
    out = HERE / "out"
    out.mkdir(exist_ok=True)
    (out / "results.json").write_text(json.dumps(results, indent=2) + "\n", "utf-8")


if __name__ == "__main__":
    main("--quick" in sys.argv)
