"""An exported table is read by engines that know nothing of this project, by its place alone."""

from __future__ import annotations

import shutil
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow.compute as pc
import pytest
from given_rows import HOUR, T0, benchmark, price, prices, shaped
from pyiceberg.table import StaticTable

from carbon254.errors import SettingsError
from carbon254.proof import rows_hash
from carbon254.stores.lake import Lake, open_lake

NAME = "interval_prices"
SILENT = lambda done, of: None  # noqa: E731


@pytest.fixture
def own(tmp_path: Path) -> Lake:
    lake = open_lake(tmp_path / "lake")
    for offset in range(1, 5):
        day = T0 + timedelta(days=offset % 2)
        lake.append(
            {NAME: prices(price(f"P{offset}", day, float(offset)), price("Q", day + HOUR, None))}, {NAME: offset}
        )
    return lake


def engine(folder: Path, sql: str) -> str:
    """The embedded ClickHouse, which reads only below its working directory, in a process of its own."""
    code = f"import chdb; print(chdb.query({sql!r}, 'CSV'))"
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-2_000:]
    return done.stdout.strip().replace('"', "")


def test_what_was_exported_stands_by_itself(own: Lake, tmp_path: Path) -> None:
    before = rows_hash(own.scan(NAME)).hash
    steps: list[tuple[int, int]] = []
    done = own.export(NAME, tmp_path / "out", lambda done, of: steps.append((done, of)))
    assert done is not None and (done.rows, done.files, done.copied) == (8, 4, 0) and steps[-1] == (4, 4)
    own.close()
    shutil.rmtree(tmp_path / "lake")
    table = StaticTable.from_metadata(done.metadata)
    found = table.scan().to_arrow()
    assert rows_hash(found).hash == before
    assert table.scan("location_id = 'P3'").to_arrow()["lmp"].to_pylist() == [3.0]
    assert not [key for key in table.properties if key.startswith("c254.")]
    named = {task.file.file_path for task in table.scan().plan_files()}
    assert all(
        path.startswith(f"file://{tmp_path}/out/commodity_data/{NAME}/data/interval_start_day=") for path in named
    )
    assert StaticTable.from_metadata(str(tmp_path / "out" / "commodity_data" / NAME)).scan().count() == 8


def test_clickhouse_reads_an_exported_table_and_the_lakes_own_folder(own: Lake, tmp_path: Path) -> None:
    own.export(NAME, tmp_path / "out", SILENT)
    own.close()
    for place in (f"out/commodity_data/{NAME}", f"lake/warehouse/commodity_data/{NAME}"):
        sql = f"SELECT count(), sum(lmp), uniqExact(location_id) FROM icebergLocal('{place}')"
        assert engine(tmp_path, sql) == "8,10,5"


def test_duckdb_reads_an_exported_table(own: Lake, tmp_path: Path) -> None:
    """With its Iceberg extension where it is installed; else the files that the metadata names."""
    import duckdb

    done = own.export(NAME, tmp_path / "out", SILENT)
    own.close()
    assert done is not None
    with duckdb.connect() as db:
        try:
            db.execute("SET autoinstall_known_extensions = false")
            db.execute("LOAD iceberg")
            source = f"iceberg_scan('{done.location}')"
        except duckdb.Error:
            files = [task.file.file_path for task in StaticTable.from_metadata(done.metadata).scan().plan_files()]
            source = f"read_parquet({files}, hive_partitioning = false)"
        assert db.execute(f"SELECT count(*), sum(lmp), count(DISTINCT location_id) FROM {source}").fetchall() == [
            (8, 10.0, 5)
        ]


def test_a_second_export_is_the_next_version_and_leaves_nothing_of_the_first(own: Lake, tmp_path: Path) -> None:
    first = own.export(NAME, tmp_path / "out", SILENT)
    (tmp_path / "out" / "mine.txt").write_text("mine")
    list(own.compact(NAME, datetime.now(UTC) + timedelta(days=400)))
    own.append({NAME: prices(price("NEW"))}, {NAME: 5})
    second = own.export(NAME, tmp_path / "out", SILENT)
    own.close()
    assert first is not None and second is not None and first.metadata != second.metadata
    table = StaticTable.from_metadata(second.metadata)
    assert table.scan().count() == 9 and pc.max(table.scan().to_arrow()["lmp"]).as_py() == 20.0
    kept = {path.name for path in Path(second.location, "data").rglob("*.parquet")}
    assert kept == {task.file.file_path.rsplit("/", 1)[-1] for task in table.scan().plan_files()}
    assert (tmp_path / "out" / "mine.txt").read_text() == "mine" and not Path(first.metadata).exists()


def test_an_export_is_not_harmed_by_what_the_lake_does_later(own: Lake, tmp_path: Path) -> None:
    done = own.export(NAME, tmp_path / "out", SILENT)
    later = datetime.now(UTC) + timedelta(days=400)
    list(own.compact(NAME, later))
    own.expire(NAME, later)
    own.close()
    assert done is not None and StaticTable.from_metadata(done.metadata).scan().to_arrow().num_rows == 8


def test_daily_series_and_empty_tables_are_exported_too(own: Lake, tmp_path: Path) -> None:
    days = [benchmark("crude_oil", "RWTC", T0.date() - timedelta(days=300 * n), float(n)) for n in range(4)]
    own.append({"energy_prices": shaped("energy_prices", days)}, {})
    own.location("market_ticks")
    assert own.export("verdicts", tmp_path / "out", SILENT) is None
    series, empty = (own.export(name, tmp_path / "out", SILENT) for name in ("energy_prices", "market_ticks"))
    own.close()
    assert series is not None and StaticTable.from_metadata(series.metadata).scan().to_arrow().num_rows == 4
    assert empty is not None and StaticTable.from_metadata(empty.metadata).scan().to_arrow().num_rows == 0


def test_a_place_that_cannot_be_is_refused_before_anything_is_written(own: Lake, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="in the lake's own folder"):
        own.export(NAME, tmp_path / "lake" / "warehouse" / "out", SILENT)
    other = tmp_path / "out" / "commodity_data" / NAME
    other.mkdir(parents=True)
    (other / "data.csv").write_text("mine")
    with pytest.raises(SettingsError, match="no earlier export"):
        own.export(NAME, tmp_path / "out", SILENT)
    assert [path.name for path in other.iterdir()] == ["data.csv"]
    own.close()
