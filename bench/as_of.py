"""As-of queries over every node and over one, beside DuckDB and Polars on the same rows; all must agree.

python bench/as_of.py [ROWS]
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
from typing import Any

import duckdb
import numpy as np
import polars as pl
import pyarrow as pa

from carbon254.api import queries
from carbon254.api.known import known
from carbon254.model import dataset
from carbon254.model.arrow import conform
from carbon254.stores.hot import HotStore, Limits, open_hot

START = datetime(2025, 7, 1, tzinfo=UTC)
FIVE = timedelta(minutes=5)
NODES = 1_000
RUNS = 7
# A seventh of the prices is corrected after a week, a tenth after two: what MISO's S7 and S14 bring.
CORRECTED = ((0.15, timedelta(days=7)), (0.10, timedelta(days=14)))
FIRST_SHARE = 1 + sum(share for share, _ in CORRECTED)
KEY = dataset("interval_prices").key
_UTC = pl.Datetime("us", "UTC")
_NOTHING = {"revision": pl.UInt32, "flags": pl.UInt32, "ghg": pl.Float64, "published_at": _UTC}


def batches(rows: int) -> Iterator[pa.Table]:
    """A batch a market day as it came, then the corrections; `rows` together, about."""
    rng = np.random.default_rng(254)
    prices = round(rows / FIRST_SHARE) // NODES * NODES
    for first in range(0, prices, NODES * 288):
        yield batch(rng, np.arange(first, min(first + NODES * 288, prices)), FIVE, f"{first:064x}")
    for number, (share, delay) in enumerate(CORRECTED):
        yield batch(rng, np.flatnonzero(rng.random(prices) < share), delay, f"{number + 1:064d}")


def batch(rng: np.random.Generator, rows: np.ndarray, delay: timedelta, payload: str) -> pa.Table:
    names = pl.Series([f"NODE_{node:04d}" for node in range(NODES)]).cast(pl.Categorical).gather(rows % NODES)
    start = pl.Series(int(START.timestamp() * 1e6) + rows // NODES * (FIVE // timedelta(microseconds=1))).cast(_UTC)
    frame = pl.DataFrame(
        {"market": "MISO", "product": "energy", "market_run": "RTFIVE", "location": names, "location_id": names,
         "interval_start": start, "interval_end": start + FIVE, "lmp": rng.normal(30, 8, len(rows)).round(2),
         "energy": 30.0, "congestion": rng.normal(0, 3, len(rows)).round(2), "loss": 0.5, "ghg": None,
         "known_at": start + FIVE + delay, "known_basis": "received", "revision": 0,
         "received_at": start + FIVE + delay,
         "published_at": None, "flags": 0, "commodity": "power", "region": "MISO", "product_tier": "real_time",
         "location_type": "node", "feed": "bench", "payload": payload, "batch_id": "1"},
        schema_overrides=_NOTHING,
    )  # fmt: skip
    return conform(frame, dataset("interval_prices"))


def quickest(work: Callable[[], Any], runs: int = RUNS) -> tuple[float, float, Any]:
    """(wall, CPU) milliseconds of the quickest run, and the answer. CPU tells what a busy machine hides."""
    walls, cpus, answer = [], [], None
    for _ in range(runs):
        wall, cpu = time.perf_counter(), time.process_time()
        answer = work()
        walls.append(time.perf_counter() - wall)
        cpus.append(time.process_time() - cpu)
    return min(walls) * 1e3, min(cpus) * 1e3, answer


def ours(hot: HotStore, moment: datetime) -> dict[str, Callable[[], Any]]:
    limits = Limits(max_rows=10_000_000, seconds=120, memory_bytes=8 << 30)
    then = f"interval_prices_as_of(as_of = '{moment:%Y-%m-%d %H:%M:%S}')"
    strict = then.replace("as_of(", "as_of_strict(")
    everything = "SELECT count() AS n, sum(lmp) AS lmp FROM {}"
    end = START + timedelta(days=400)
    node = queries.prices("MISO", START, end, ["NODE_0500"], known=known(moment))
    tables: dict[str, Callable[[], Any]] = {
        "as_of_all": lambda: hot.query(everything.format(then), limits=limits),
        "as_of_all_strict": lambda: hot.query(everything.format(strict), limits=limits),
        "as_of_all_one_interval": lambda: hot.query(
            f"SELECT location_id, lmp FROM {then} WHERE market = 'MISO' AND interval_start = '2025-07-03 12:00:00'"
        ),
        "as_of_one_node": lambda: hot.query(
            f"SELECT interval_start, lmp FROM {then} WHERE market = 'MISO' AND location_id = 'NODE_0500'"
        ),
        "as_of_one_node_python": lambda: hot.query(node, limits=limits),
        "rung_all": lambda: hot.query(everything.format("interval_prices_at_rung(rung = 'S7')"), limits=limits),
        "change_one_node": lambda: hot.query(
            "SELECT interval_start, change FROM interval_prices_change(from_rung = 'S7', to_rung = 'S14') "
            "WHERE market = 'MISO' AND location_id = 'NODE_0500'"
        ),
    }
    return tables


def others(rows: pl.DataFrame, moment: datetime) -> dict[str, Callable[[], Any]]:
    """DuckDB on its own table, by window and by arg_max, and Polars; sorted as our table is."""
    keys = ", ".join(KEY)
    version = "known_at DESC, revision DESC, received_at DESC"
    engine = duckdb.connect()
    engine.execute("SET TimeZone = 'UTC'")
    engine.register("given", rows.to_arrow())
    engine.execute(f"CREATE TABLE prices AS SELECT * FROM given ORDER BY {keys}, known_at")
    when = f"known_at <= TIMESTAMPTZ '{moment:%Y-%m-%d %H:%M:%S}+00'"
    window = (
        f"SELECT lmp FROM prices WHERE {when} QUALIFY row_number() OVER (PARTITION BY {keys} ORDER BY {version}) = 1"
    )
    largest = f"SELECT arg_max(lmp, (known_at, revision, received_at)) AS lmp FROM prices WHERE {when} GROUP BY {keys}"
    node = f"{window.replace('WHERE', 'WHERE location_id = $$NODE_0500$$ AND', 1)}"
    ordered = rows.sort(*KEY, "known_at", "revision", "received_at")

    def polars() -> Any:
        found = ordered.filter(pl.col("known_at") <= moment).group_by(KEY).agg(pl.col("lmp").last())
        return found.select(pl.len(), pl.col("lmp").sum()).rows()[0]

    return {
        "duckdb_window_all": lambda: engine.execute(f"SELECT count(*), sum(lmp) FROM ({window})").fetchall()[0],
        "duckdb_arg_max_all": lambda: engine.execute(f"SELECT count(*), sum(lmp) FROM ({largest})").fetchall()[0],
        "duckdb_one_node": lambda: engine.execute(node).fetchall(),
        "polars_all": polars,
        "polars_one_node": lambda: (
            ordered.filter((pl.col("location_id") == "NODE_0500") & (pl.col("known_at") <= moment))
            .group_by(KEY)
            .agg(pl.col("lmp").last())
        ),
    }


def main(count: int) -> dict[str, object]:
    tables = list(batches(count))
    moment = START + timedelta(days=11, hours=12)
    figures: dict[str, object] = {"bench": "as_of", "rows": sum(table.num_rows for table in tables), "nodes": NODES}
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        hot = open_hot(f"chdb://{Path(folder) / 'hot'}")
        hot.ensure()
        for number, table in enumerate(tables):
            hot.insert("interval_prices", table, str(number))
        asked = {name: ("chdb", work) for name, work in ours(hot, moment).items()}
        wanted = [*KEY, "lmp", "known_at", "revision", "received_at"]
        rows = pl.concat([pl.DataFrame(table.select(wanted)) for table in tables])
        asked |= {name: ("other", work) for name, work in others(rows, moment).items()}
        for name, (_, work) in asked.items():
            wall, cpu, found[name] = quickest(work)
            figures[f"{name}_ms"], figures[f"{name}_cpu_ms"] = round(wall, 1), round(cpu, 1)
        hot.close()
    whole = tuple(found["as_of_all"].to_pylist()[0].values())
    for name in ("duckdb_window_all", "duckdb_arg_max_all", "polars_all"):
        if (found[name][0], round(found[name][1], 2)) != (whole[0], round(whole[1], 2)):
            raise SystemExit(f"{name} says {found[name]}, the store {whole}")
    figures["load"] = round(os.getloadavg()[0], 1)
    return figures


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main(int(sys.argv[1]) if len(sys.argv) > 1 else 3_240_000)) + "\n")
