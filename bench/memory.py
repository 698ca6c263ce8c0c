"""Growth of resident memory over a day of one nodal market: 288 files of 13,018 nodes, 3.75 million rows.

python bench/memory.py [NODES] [INTERVALS]
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from datetime import timedelta
from pathlib import Path

import shapes

from carbon254.app import open_node
from carbon254.clock import ManualClock
from carbon254.ingest import Arrived
from carbon254.settings import Settings


def resident_mb() -> float:
    for line in Path("/proc/self/status").read_text("utf-8").splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    raise SystemExit("no VmRSS in /proc/self/status")


def main(nodes: int, intervals: int) -> dict[str, object]:
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(workspace=Path(folder) / "ws")
        with open_node(settings, {}, ManualClock(shapes.START)) as node:
            first = None
            peak, begin = 0.0, time.perf_counter()
            for number in range(intervals):
                opens = shapes.START + timedelta(minutes=5 * number)
                data = shapes.spp_csv(nodes, nodes, opens)
                name = f"RTBM-LMP-SL-{opens + timedelta(minutes=5):%Y%m%d%H%M}.csv"
                node.pipeline.inbox.accept(Arrived("iso.rt.lmp.spp", data, name, opens + timedelta(minutes=10)))
                if number % 12 == 11 or number == intervals - 1:
                    node.runner.drain()
                    # The first hour loads the engine and its caches: growth is counted from there.
                    first = resident_mb() if first is None else first
                    peak = max(peak, resident_mb())
            seconds = time.perf_counter() - begin
            stored = node.hot.query("SELECT count() AS n FROM interval_prices")["n"][0].as_py()
    return {
        "bench": "memory",
        "rows": stored,
        "first_hour_mb": round(first or 0.0),
        "peak_mb": round(peak),
        "growth_mb": round(peak - (first or 0.0)),
        "rows_per_s_with_lake": round(stored / seconds),
    }


if __name__ == "__main__":
    sizes = [int(text) for text in sys.argv[1:3]]
    sys.stdout.write(json.dumps(main(*(sizes or [13_018, 288]))) + "\n")
