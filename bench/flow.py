"""Throughput of the whole flow, wire bytes → normalised → enriched → queryable, bars included, beside the floor.

python bench/flow.py spp|ercot|ticks ROWS
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path

import polars as pl
import shapes

from carbon254.app import open_node
from carbon254.clock import ManualClock
from carbon254.feeds import Payload, feed
from carbon254.ingest import Arrived
from carbon254.settings import Settings
from carbon254.stages import normalise

# Providers publish files and pages, not one file a quarter: (rows of a payload, time it covers) in each shape.
PAYLOAD = {
    "spp": (1_234 * 96, timedelta(hours=8)),
    "ercot": (850 * 24 * 5, timedelta(days=5)),
    "ticks": (100_000, timedelta(seconds=100)),
}
SHAPES: dict[str, tuple[str, str, Callable[[int, datetime], bytes], Callable[[bytes], object]]] = {
    "spp": ("iso.rt.lmp.spp", "RTBM-LMP-SL-bench", lambda n, at: shapes.spp_csv(n, 1_234, at), pl.read_csv),
    "ercot": ("iso.da.lmp.ercot", "dam_spp", lambda n, at: shapes.ercot_json(n, 850, at), pl.read_json),
    "ticks": ("market.ticks", "ticks", lambda n, at: shapes.ticks_ndjson(n, at), pl.read_ndjson),
}
TABLE = {"spp": "interval_prices", "ercot": "interval_prices", "ticks": "market_ticks"}


def timed(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def best(work: Callable[[], object], runs: int = 3) -> float:
    return min(timed(work) for _ in range(runs))


def parse_and_normalise(topic: str, name: str, payloads: Sequence[bytes]) -> None:
    found = feed(topic)
    for data in payloads:
        for rows in found.parse(Payload(data, name, found.stream)):
            normalise(rows.frame, found.stream)


def whole_flow(shape: str, name: str, payloads: Sequence[bytes], rows: int) -> dict[str, float]:
    """Seconds to queryable (bars are computed when they are read), and what the lake commit takes after it.

    Payloads come when they are over.
    """
    topic, table, (_, span) = SHAPES[shape][0], TABLE[shape], PAYLOAD[shape]
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(workspace=Path(folder) / "ws")
        with open_node(settings, {}, ManualClock(shapes.START)) as node:
            lake = node.pipeline.steps()["lake"]  # off the hot path, timed on its own
            start = time.perf_counter()
            node.runner.start(("normalise", "project"))
            for number, data in enumerate(payloads):
                at = shapes.START + (number + 1) * span
                node.pipeline.inbox.accept(Arrived(topic, data, f"{name}-{number}", at))
            while node.log.lag("project", "rows.") or node.log.lag("normalise", "raw."):
                time.sleep(0.005)
            seconds = time.perf_counter() - start
            stored = node.hot.query(f"SELECT count() AS n FROM {table}")["n"][0].as_py()
            bars = node.hot.query("SELECT count() AS n FROM ohlc_bars WHERE width = '5m'")["n"][0].as_py()
            if stored != rows or node.runner.trouble:
                held = node.hot.query("SELECT check_id, count() AS n FROM quarantine GROUP BY check_id").to_pylist()
                raise SystemExit(f"stored {stored:,} of {rows:,} rows: {node.runner.trouble}; held: {held}")
            node.runner.stop()
            lake_s = timed(lambda: [None for _ in iter(lake, 0)])
            return {"flow_s": seconds, "lake_s": lake_s, "bars_5m": bars}


def cut(shape: str, rows: int) -> Iterator[bytes]:
    """Payloads one after the other in time, `rows` together."""
    at, (size, span) = shapes.START, PAYLOAD[shape]
    for start in range(0, rows, size):
        yield SHAPES[shape][2](min(size, rows - start), at)
        at += span


def main(shape: str, rows: int) -> dict[str, object]:
    topic, name, _, floor = SHAPES[shape]
    payloads = list(cut(shape, rows))
    floor_s = best(lambda: [floor(data) for data in payloads])
    parse_s = best(lambda: parse_and_normalise(topic, name, payloads))
    flow = whole_flow(shape, name, payloads, rows)
    return {
        "bench": f"flow {shape}",
        "rows": rows,
        "payloads": len(payloads),
        "megabytes": round(sum(map(len, payloads)) / 1e6, 1),
        "floor_s": round(floor_s, 3),
        "parse_normalise_s": round(parse_s, 3),
        "parse_normalise_x_floor": round(parse_s / floor_s, 2),
        "flow_s": round(flow["flow_s"], 2),
        "flow_x_floor": round(flow["flow_s"] / floor_s, 1),
        "flow_rows_per_s": round(rows / flow["flow_s"]),
        "lake_s": round(flow["lake_s"], 2),
        "rows_per_s_with_lake": round(rows / (flow["flow_s"] + flow["lake_s"])),
        "bars_5m": flow["bars_5m"],
    }


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main(sys.argv[1], int(sys.argv[2]))) + "\n")
