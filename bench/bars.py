"""Bars on read: one place, many places, every place of a market day, sealed and not, beside a stored table of the same.

python bench/bars.py [NODES]

Prices are five-minute ones of one market day (13,018 nodes: 3.75 M rows). `stored` is a table that holds the bars, as
an incremental bar maker would leave them; `views` is the same question asked of the current prices, with a GROUP BY.
Wall and processor time (ms), the best of RUNS; answers are fetched whole.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa

from carbon254.model import dataset
from carbon254.model.arrow import conform
from carbon254.model.bars import BarRun
from carbon254.stores.hot import HotStore, Limits, open_hot
from carbon254.stores.hot.literal import literal

START = datetime(2025, 7, 1, 5, tzinfo=UTC)
DAY, FIVE = timedelta(days=1), timedelta(minutes=5)
MANY = 1_234
RUNS = 5
RUN = BarRun("MISO", "RTFIVE", "EST", FIVE)
_UTC = pl.Datetime("us", "UTC")
_COLUMNS = "location_id, bar_start, open, high, low, close, mean, count, flags"


def batches(nodes: int, at_once: int = 24) -> Iterator[pa.Table]:
    """The market day in batches of `at_once` intervals, every node in each."""
    rng = np.random.default_rng(254)
    names = pl.Series([f"NODE_{node:05d}" for node in range(nodes)]).cast(pl.Categorical)
    for first in range(0, 288, at_once):
        interval = np.repeat(np.arange(first, first + at_once), nodes)
        start = pl.Series(int(START.timestamp() * 1e6) + interval * 300_000_000).cast(_UTC)
        place = names.gather(np.tile(np.arange(nodes), at_once))
        frame = pl.DataFrame(
            {"market": RUN.market, "product": "energy", "market_run": RUN.market_run, "location": place,
             "location_id": place, "interval_start": start, "interval_end": start + FIVE,
             "lmp": rng.normal(30, 8, len(interval)).round(2), "energy": 30.0, "congestion": 0.0, "loss": 0.5,
             "ghg": None, "known_at": start + FIVE, "known_basis": "received", "revision": 0,
             "received_at": start + FIVE, "published_at": None, "flags": 0, "commodity": "power", "region": "MISO",
             "product_tier": "real_time", "location_type": "node", "feed": "iso.rt.lmp.miso",
             "payload": f"{first:064x}", "batch_id": str(first)},
            schema_overrides={"revision": pl.UInt32, "flags": pl.UInt32, "ghg": pl.Float64, "published_at": _UTC},
        )  # fmt: skip
        yield conform(frame, dataset("interval_prices"))


def questions(nodes: int, table: str) -> dict[str, str]:
    """Name → statement over bars."""
    spanned = f"width = '1h' AND bar_start >= {literal(START)} AND bar_start < {literal(START + DAY)}"
    many = ", ".join(f"'NODE_{node:05d}'" for node in range(0, nodes, max(1, nodes // MANY)))
    asked = f"SELECT {_COLUMNS} FROM {table} WHERE {spanned}"
    return {
        "one": f"{asked} AND location_id = 'NODE_00500'",
        "many": f"{asked} AND location_id IN ({many})",
        "all": asked,
        "all_summed": f"SELECT count(), sum(open), sum(high), sum(mean) FROM {table} WHERE {spanned}",
    }


def of_views(where: str) -> str:
    """The same hourly bars by hand, of the view of current prices."""
    return (
        "SELECT location_id, toStartOfHour(interval_start) AS bar_start, argMin(lmp, interval_start) AS open, "
        "max(lmp) AS high, min(lmp) AS low, argMax(lmp, interval_start) AS close, avg(lmp) AS mean, "
        "count(lmp) AS count, groupBitOr(flags) AS flags FROM current_prices WHERE market = 'MISO' "
        f"AND market_run = 'RTFIVE' AND interval_start >= {literal(START)} "
        f"AND interval_start < {literal(START + DAY)}{where} GROUP BY ALL"
    )


def quickest(work: Callable[[], pa.Table]) -> dict[str, float]:
    walls, cpus, rows = [], [], 0
    for _ in range(RUNS):
        wall, cpu = time.perf_counter(), time.process_time()
        rows = work().num_rows
        walls.append(time.perf_counter() - wall)
        cpus.append(time.process_time() - cpu)
    return {"wall_ms": round(min(walls) * 1e3, 1), "cpu_ms": round(min(cpus) * 1e3, 1), "rows": rows}


def main(nodes: int) -> dict[str, object]:
    figures: dict[str, object] = {"bench": "bars", "nodes": nodes, "rows": nodes * 288}
    limits = Limits(max_rows=10_000_000, seconds=300.0)
    with tempfile.TemporaryDirectory() as folder:
        hot = open_hot(f"chdb://{Path(folder) / 'hot'}", limits=limits)
        hot.ensure([RUN])
        began = time.process_time()
        for number, table in enumerate(batches(nodes)):
            hot.insert("interval_prices", table, str(number))
        figures["insert_cpu_s"] = round(time.process_time() - began, 2)
        answers = {}
        figures["views"] = {
            "one": quickest(lambda: hot.query(of_views(" AND location_id = 'NODE_00500'"))),
            "all": quickest(lambda: hot.query(of_views(""))),
        }
        figures["unsealed"], answers["unsealed"] = asked_of(hot, nodes, "ohlc_bars")
        for unit in hot.sealing.unsealed():
            cpu = time.process_time()
            hot.sealing.seal(unit)
            figures["seal_cpu_s"] = round(time.process_time() - cpu, 2)
        figures["sealed"], answers["sealed"] = asked_of(hot, nodes, "ohlc_bars")
        hot.command(
            "CREATE TABLE store.kept ENGINE = ReplacingMergeTree(build) PARTITION BY toYYYYMM(bar_start) ORDER BY "
            "(market, product, market_run, location_id, width, bar_start) AS SELECT * FROM ohlc_bars"
        )
        hot.command("CREATE VIEW commodity_data.stored_bars AS SELECT * FROM store.kept FINAL")
        figures["stored"], answers["stored"] = asked_of(hot, nodes, "stored_bars")
        hot.close()
    if len(set(answers.values())) != 1:
        raise SystemExit(f"they differ: {answers}")
    figures["load"] = round(os.getloadavg()[0], 1)
    return figures


def asked_of(hot: HotStore, nodes: int, table: str) -> tuple[dict[str, object], str]:
    found = {name: quickest(lambda sql=sql: hot.query(sql)) for name, sql in questions(nodes, table).items()}
    whole = hot.query(questions(nodes, table)["all_summed"]).to_pylist()[0]
    return found, " ".join(f"{value:.4f}" for value in whole.values())


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main(int(sys.argv[1]) if len(sys.argv) > 1 else 13_018)) + "\n")
