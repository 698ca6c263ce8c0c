"""Wire bytes in the providers' own shapes, made from a seed, so that every run reads the same bytes.

Prices obey the laws of their market, and no two payloads repeat each other, or the gate would rightly hold them.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import orjson
import polars as pl

START = datetime(2025, 7, 1, tzinfo=UTC)


def spp_csv(rows: int, places: int, first: datetime = START) -> bytes:
    """RTBM prices by settlement location: five-minute intervals of `places` locations, oldest first."""
    rng = _seeded(first)
    interval = np.arange(rows) // places
    stamp = int(first.timestamp() * 1_000_000) + (interval + 1) * 300_000_000
    gmt = pl.Series(stamp).cast(pl.Datetime("us", "UTC"))
    place = np.arange(rows) % places
    frame = pl.DataFrame(
        {
            "Interval": gmt.dt.convert_time_zone("America/Chicago").dt.strftime("%m/%d/%Y %H:%M:%S"),
            "GMTIntervalEnd": gmt.dt.strftime("%m/%d/%Y %H:%M:%S"),
            "Settlement Location": pl.Series([f"WR_LOC_{i}_RA" for i in range(places)]).gather(place),
            "Pnode": pl.Series([f"WRUN_PNODE_{i}_LA" for i in range(places)]).gather(place),
            "MLC": rng.normal(0, 1, rows).round(4),
            "MCC": rng.normal(0, 10, rows).round(4),
            "MEC": rng.normal(30, 8, rows // places + 1).round(4)[interval],
        }
    ).with_columns((pl.col("MLC") + pl.col("MCC") + pl.col("MEC")).round(4).alias("LMP"))
    order = ["Interval", "GMTIntervalEnd", "Settlement Location", "Pnode", "LMP", "MLC", "MCC", "MEC"]
    return frame.select(order).write_csv().encode()


def ercot_json(rows: int, places: int, first: datetime = START) -> bytes:
    """Day-ahead settlement point prices as the public API prints them: positional arrays described by `fields`."""
    rng = _seeded(first)
    day0 = first.date()
    prices = rng.normal(35, 12, rows).round(2).tolist()
    data = []
    for number, price in enumerate(prices):
        hour = number // places
        day = day0 + timedelta(days=hour // 24)
        data.append([day.isoformat(), f"{hour % 24 + 1:02d}:00", f"PT_{number % places}", price, False])
    kinds = [
        ("deliveryDate", "DATE"),
        ("hourEnding", "VARCHAR"),
        ("settlementPoint", "VARCHAR"),
        ("settlementPointPrice", "DOUBLE"),
        ("DSTFlag", "BOOLEAN"),
    ]
    fields = [
        {"name": name, "label": name, "cardinality": i + 1, "dataType": kind} for i, (name, kind) in enumerate(kinds)
    ]
    report = {"reportName": "dam_stlmnt_pnt_prices", "reportEMIL": "NP4-190-CD"}
    meta = {"totalRecords": rows, "pageSize": rows, "totalPages": 1, "currentPage": 1, "query": {}}
    return orjson.dumps({"_meta": meta, "report": report, "fields": fields, "data": data})


def _seeded(first: datetime) -> np.random.Generator:
    return np.random.default_rng([254, int(first.timestamp())])


def ticks_ndjson(rows: int, first: datetime = START, instruments: int = 50, sequence: int = 0) -> bytes:
    """Pushed ticks, one JSON object a line, a millisecond apart."""
    rng = np.random.default_rng(254)
    number = np.arange(rows)
    stamp = pl.Series(int(first.timestamp() * 1_000_000) + number * 1_000).cast(pl.Datetime("us", "UTC"))
    frame = pl.DataFrame(
        {
            "instrument": pl.Series([f"NG_HH_{i}" for i in range(instruments)]).gather(number % instruments),
            "time": stamp.dt.strftime("%Y-%m-%dT%H:%M:%S%.6fZ"),
            "price": (3 + rng.normal(0, 0.1, rows)).round(4),
            "quantity": rng.integers(1, 50, rows).astype(float),
            "source": "bench",
            "sequence": number + sequence,
        }
    )
    return frame.write_ndjson().encode()
