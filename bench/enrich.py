"""Enrichment of prices with the places' history, beside a plain Polars join and filter, and DuckDB.

python bench/enrich.py [ROWS] [NODES] [VERSIONS]
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from datetime import datetime

import duckdb
import numpy as np
import polars as pl
import shapes

from carbon254.feeds import feed
from carbon254.stages.enrich import Directory, enrich

YEAR_US = 365 * 86_400 * 1_000_000
_UTC = pl.Datetime("us", "UTC")


def best(work: Callable[[], object], runs: int = 5) -> float:
    def once() -> float:
        start = time.perf_counter()
        work()
        return time.perf_counter() - start

    return min(once() for _ in range(runs))


def places(nodes: int, versions: int, start: datetime) -> pl.DataFrame:
    """A directory: each node's versions touch, at moments of its own within three years around `start`."""
    rng = np.random.default_rng(254)
    base = int(start.timestamp()) * 1_000_000 - YEAR_US
    cuts = np.sort(base + rng.integers(0, 3 * YEAR_US, (nodes, versions - 1)), axis=1)
    ever, forever = np.full((nodes, 1), -1), np.full((nodes, 1), -1)
    bounds = np.hstack([ever, cuts, forever])
    number = np.repeat(np.arange(nodes), versions)
    nth = np.tile(np.arange(versions), nodes)
    ids = pl.Series([f"NODE_{i:06d}" for i in range(nodes)]).gather(number)
    return pl.DataFrame(
        {
            "location_id": ids,
            "location": ids,
            "location_type": pl.Series(["node", "hub", "zone"]).gather(nth % 3),
            "region": pl.Series([f"R{i}" for i in range(40)]).gather((number + nth) % 40),
            "valid_from": pl.Series(bounds[:, :-1].ravel()).cast(_UTC),
            "valid_to": pl.Series(bounds[:, 1:].ravel()).cast(_UTC),
        }
    ).with_columns(
        pl.when(pl.col(name).dt.epoch("us") != -1).then(name).alias(name) for name in ("valid_from", "valid_to")
    )


def prices(rows: int, nodes: int, start: datetime, spread_us: int) -> pl.DataFrame:
    """Every node of an interval, then the next interval; the intervals lie over `spread_us`."""
    number = np.arange(rows)
    intervals = max(1, rows // nodes)
    at = int(start.timestamp()) * 1_000_000 + number // nodes * (spread_us // intervals // 300_000_000 * 300_000_000)
    ids = pl.Series([f"NODE_{i:06d}" for i in range(nodes)])
    return pl.DataFrame(
        {
            "location_id": ids.gather(number % nodes),
            "interval_start": pl.Series(at).cast(_UTC),
            "lmp": np.random.default_rng(1).normal(30, 10, rows),
            "flags": pl.zeros(rows, pl.UInt32, eager=True),
        }
    )


def naive(frame: pl.DataFrame, listed: pl.DataFrame) -> pl.DataFrame:
    """Join every version, keep the valid one."""
    at = pl.col("interval_start")
    from_, to = pl.col("valid_from"), pl.col("valid_to")
    joined = frame.with_row_index().join(listed, on="location_id", how="left", maintain_order="left")
    return joined.filter((from_.is_null() | (from_ <= at)) & (to.is_null() | (at < to)))


def duckdb_s(frame: pl.DataFrame, listed: pl.DataFrame) -> float:
    sql = """SELECT f.*, p.location_type, p.region FROM frame f LEFT JOIN listed p ON f.location_id = p.location_id
      AND (p.valid_from IS NULL OR p.valid_from <= f.interval_start)
      AND (p.valid_to IS NULL OR f.interval_start < p.valid_to)"""
    with duckdb.connect() as database:
        database.register("frame", frame.to_arrow())
        database.register("listed", listed.to_arrow())
        return round(best(lambda: database.sql(sql).to_arrow_table(), 3), 3)


def main(rows: int, nodes: int, versions: int) -> dict[str, object]:
    stream = feed("iso.rt.lmp.pjm").stream
    listed = places(nodes, versions, shapes.START)
    frame = prices(rows, nodes, shapes.START, YEAR_US)
    directory = Directory.of(listed)
    ours, judge = enrich(frame, stream, directory), naive(frame, listed)
    if ours.height != rows or not ours["region"].equals(judge["region"]):
        raise SystemExit("the range join differs from join and filter")
    one = Directory.of(listed.filter(pl.col("valid_to").is_null()).with_columns(valid_from=pl.lit(None, dtype=_UTC)))
    flat = one.versions.drop("valid_from", "valid_to")
    day = prices(rows, nodes, shapes.START, 86_400_000_000)
    return {
        "bench": "enrich",
        "rows": rows,
        "nodes": nodes,
        "versions": listed.height,
        "range_join_s": round(best(lambda: enrich(frame, stream, directory)), 3),
        "one_day_s": round(best(lambda: enrich(day, stream, directory)), 3),
        "one_version_s": round(best(lambda: enrich(frame, stream, one)), 3),
        "plain_join_s": round(best(lambda: frame.join(flat, on="location_id", how="left", maintain_order="left")), 3),
        "arrange_s": round(best(lambda: Directory.of(listed)), 3),
        "naive_join_filter_s": round(best(lambda: naive(frame, listed), 3), 3),
        "duckdb_s": duckdb_s(frame, listed),
    }


if __name__ == "__main__":
    given = [int(word) for word in sys.argv[1:]]
    sys.stdout.write(json.dumps(main(*(given + [1_000_000, 25_000, 3][len(given) :]))) + "\n")
