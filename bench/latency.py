"""Arrival → visible in SQL, while ticks arrive at a steady rate.

python bench/latency.py ROWS_PER_SECOND SECONDS
"""

from __future__ import annotations

import json
import sys
import tempfile
import threading
import time
from datetime import timedelta
from pathlib import Path

import numpy as np
import shapes

from carbon254.app import open_node
from carbon254.ingest import Arrived
from carbon254.settings import Settings

PER_SECOND = 10


def main(rate: int, seconds: int) -> dict[str, object]:
    size = rate // PER_SECOND
    payloads = [
        shapes.ticks_ndjson(size, first=shapes.START + timedelta(seconds=n / PER_SECOND), sequence=n * size)
        for n in range(seconds * PER_SECOND)
    ]
    sent: list[float] = []
    seen: list[float] = []
    with tempfile.TemporaryDirectory() as folder, open_node(Settings(workspace=Path(folder) / "ws"), {}) as node:
        node.runner.start()
        begin = time.perf_counter()

        def push() -> None:
            for number, data in enumerate(payloads):
                time.sleep(max(0.0, begin + number / PER_SECOND - time.perf_counter()))
                sent.append(time.perf_counter())
                node.pipeline.inbox.accept(Arrived("market.ticks", data, f"{number}.ndjson", node.clock.now()))

        pusher = threading.Thread(target=push)
        pusher.start()
        while len(seen) < len(payloads) and time.perf_counter() - begin < seconds * 3 + 20:
            visible = node.hot.query("SELECT max(sequence) AS s, count() AS n FROM market_ticks")
            newest = visible["s"][0].as_py() if visible["n"][0].as_py() else -1
            now = time.perf_counter()
            while len(seen) < len(payloads) and newest is not None and newest >= (len(seen) + 1) * size - 1:
                seen.append(now)
            time.sleep(0.005)
        pusher.join()
        if len(seen) < len(payloads):
            raise SystemExit(f"only {len(seen)} of {len(payloads)} payloads became visible: {node.runner.trouble}")
    waits = np.array(seen) - np.array(sent[: len(seen)])
    return {
        "bench": "latency",
        "rows_per_s": rate,
        "seconds": seconds,
        "p50_s": round(float(np.percentile(waits, 50)), 3),
        "p95_s": round(float(np.percentile(waits, 95)), 3),
        "p99_s": round(float(np.percentile(waits, 99)), 3),
        "max_s": round(float(waits.max()), 3),
    }


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main(int(sys.argv[1]), int(sys.argv[2]))) + "\n")
