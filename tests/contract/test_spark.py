"""Spark reads the lake's tables through the REST catalog: the rows that the lake itself reads, by their hash."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from given_rows import HOUR, T0, benchmark, price, prices, shaped
from servers.objects import Store
from servers.process import Server
from servers.spark import copied_by_spark

from carbon254.proof.rows import rows_hash
from carbon254.stores.lake import open_lake, rest_properties

pytestmark = pytest.mark.servers("spark", "catalog", "minio")
SLICES = 12


def given() -> dict[str, pa.Table]:
    """Two tables: over several partitions, with corrections, nulls and values that lose digits easily."""
    days = [date(2025, 7, 1) + timedelta(days=n) for n in range(20)]
    fuels = [benchmark("crude_oil", "RWTC", day, None if n == 3 else 60.1 + n / 7) for n, day in enumerate(days)]
    rows = [price(place, T0 + n * HOUR, -0.1 + n / 3) for place in ("HUB_A", "Łódź", "N'1") for n in range(60)]
    again = [{**rows[5], "lmp": 1e-300, "known_at": datetime(2026, 1, 1, 0, 0, 0, 1, tzinfo=UTC), "payload": "e" * 64}]
    return {"energy_prices": shaped("energy_prices", fuels), "interval_prices": prices(*rows, *again)}


def test_spark_reads_the_rows_that_the_lake_holds(tables: Server, s3: Store, tmp_path: Path) -> None:
    lake = open_lake(tables.url, rest_properties(tables.facts["warehouse"], s3.url))
    # One table of many small files, which are merged; the other lies as it was appended.
    table = given()["interval_prices"]
    for part in range(SLICES):
        lake.append({"interval_prices": table.take(list(range(part, table.num_rows, SLICES)))}, {})
    lake.append({"energy_prices": given()["energy_prices"]}, {})
    merged = list(lake.compact("interval_prices", datetime.now(UTC)))
    assert sum(one.files_before for one in merged) > sum(one.files_after for one in merged) > 0
    names = [f"commodity_data.{name}" for name in given()]
    copied_by_spark(tables, s3, names, tmp_path)
    for name in given():
        ours, theirs = lake.scan(name), pq.read_table(tmp_path / f"commodity_data.{name}")
        theirs = theirs.select(ours.column_names).cast(ours.schema)
        assert theirs.num_rows == ours.num_rows == given()[name].num_rows
        assert rows_hash(theirs) == rows_hash(ours)
    lake.close()
