"""What a commit to the lake costs: our writer beside the library's own, turn by turn on the same rows in one run.

python bench/lake.py [ROWS] [TURNS]

Rows are five-minute prices of 1,234 places over some days, as records of the log hold them. Ours is the product's whole
way: decode, sort, write a file a partition, commit with the offset, take the digests. Beside it is the way it went
before: rows sorted and turned into plain text, the library's partitioned append, digests read back from the files.
Processor seconds of the whole process; the median of the turns. JSON goes to stdout, a table to stderr.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
from rich.console import Console
from rich.table import Table as Shown

from carbon254.engine.codec import decode, encode
from carbon254.model import dataset
from carbon254.model.arrow import conform
from carbon254.model.iceberg import plain_schema
from carbon254.stores.lake import Following, Lake, open_lake
from carbon254.stores.lake.layout import sort_columns
from carbon254.stores.lake.seals import digest, files_of

NAME, PLACES, RECORD = "interval_prices", 1_234, 200_000
START, FIVE = datetime(2025, 1, 1, 6, tzinfo=UTC), timedelta(minutes=5)
LOG = Following("bench", lambda: 0)


def record(first: int, rows: int) -> bytes:
    """A record of the log: `rows` prices from the `first` on, interval by interval."""
    chance = np.random.default_rng(first)
    number = np.arange(first, first + rows)
    start = pl.Series(number // PLACES * 300_000_000 + int(START.timestamp()) * 1_000_000)
    start = start.cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
    names = pl.Series([f"LOC_{place:05d}_NODE" for place in range(PLACES)]).cast(pl.Categorical)
    places = names.gather(number % PLACES)
    energy = (30 + 10 * np.sin(number // PLACES / 40)).round(4)
    congestion, loss = chance.normal(0, 5, rows).round(4), chance.normal(0, 1, rows).round(4)
    known = start + timedelta(minutes=6)
    frame = pl.DataFrame(
        {
            "location": places, "location_id": places, "interval_start": start, "interval_end": start + FIVE,
            "lmp": (energy + congestion + loss).round(4), "energy": energy, "congestion": congestion, "loss": loss,
            "known_at": known, "received_at": known,
        }
    )  # fmt: skip
    same = {
        "market": "SPP", "product": "energy", "market_run": "RTBM", "known_basis": "received", "commodity": "power",
        "region": "SPP", "product_tier": "real_time", "location_type": "node", "feed": "iso.rt.lmp.spp",
        "payload": f"{first:064x}", "batch_id": f"{first:032x}", "revision": 0, "flags": 0, "ghg": None,
    }  # fmt: skip
    whole = frame.with_columns(
        pl.lit(None, pl.Datetime("us", "UTC")).alias("published_at"),
        **{name: pl.lit(one) for name, one in same.items()},
    )
    return encode(conform(whole, dataset(NAME)))


def together(records: Sequence[bytes]) -> pa.Table:
    return pa.concat_tables([decode(one) for one in records]).unify_dictionaries()


def ours(lake: Lake, records: Sequence[bytes], offset: int, known: set[str]) -> None:
    lake.append({NAME: together(records)}, {NAME: offset}, None, LOG)
    known |= lake.seals(NAME, known.__contains__).keys()


def before(lake: Lake, records: Sequence[bytes], offset: int, known: set[str]) -> None:
    kind, rows = dataset(NAME), together(records)
    keys = pl.DataFrame(rows.select(sort_columns(kind))).with_columns(pl.col(pl.Categorical).cast(pl.String))
    order = keys.with_row_index("\0place").sort(sort_columns(kind), nulls_last=False, maintain_order=True)["\0place"]
    plain = rows.take(pa.array(order.to_numpy())).select(kind.names).cast(plain_schema(kind))
    with lake._ready(kind).transaction() as change:
        change.append(plain)
        change.set_properties({"c254.offset": str(offset)})
    table = lake._ready(kind)
    for path in files_of(table, known.__contains__):
        digest(table.io, path)
        known.add(path)


def spent(work: Callable[[], None]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def main(rows: int = 1_000_000, turns: int = 5) -> dict[str, object]:
    ways = {"ours": ours, "library": before}
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    with tempfile.TemporaryDirectory() as folder:
        lakes = {name: open_lake(Path(folder) / name) for name in ways}
        known: dict[str, set[str]] = {name: set() for name in ways}
        for turn in range(turns + 1):
            records = [record(turn * rows + at, min(RECORD, rows - at)) for at in range(0, rows, RECORD)]
            for name, way in ways.items():
                used = spent(lambda n=name, w=way, r=records, t=turn: w(lakes[n], r, t + 1, known[n]))
                # The first turn loads what both need.
                seconds[name] += [used] if turn else []
        counted = {name: lake.count(NAME) for name, lake in lakes.items()}
        (laid,) = lakes["ours"].stats(datetime.now(UTC))
        (theirs,) = lakes["library"].stats(datetime.now(UTC))
        for lake in lakes.values():
            lake.close()
    if set(counted.values()) != {rows * (turns + 1)}:
        raise SystemExit(f"stored {counted}, and not {rows * (turns + 1):,}")
    per_million = {name: statistics.median(used) / rows * 1e6 for name, used in seconds.items()}
    return {
        "bench": "lake commit",
        "rows": rows,
        "turns": turns,
        "cpu_s_per_million": round(per_million["ours"], 3),
        "best_cpu_s_per_million": round(min(seconds["ours"]) / rows * 1e6, 3),
        "library_cpu_s_per_million": round(per_million["library"], 3),
        "library_x_ours": round(per_million["library"] / per_million["ours"], 1),
        "bytes_per_row": round(laid.bytes / laid.rows, 1),
        "library_bytes_per_row": round(theirs.bytes / theirs.rows, 1),
    }


if __name__ == "__main__":
    found = main(*map(int, sys.argv[1:]))
    shown = Shown("way", "CPU-s per million rows", "bytes a row")
    shown.add_row("ours", f"{found['cpu_s_per_million']}", f"{found['bytes_per_row']}")
    shown.add_row("library's append", f"{found['library_cpu_s_per_million']}", f"{found['library_bytes_per_row']}")
    Console(stderr=True).print(shown)
    sys.stdout.write(json.dumps(found) + "\n")
