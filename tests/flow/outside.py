"""The lake as somebody else reads it: DuckDB over the Parquet files that the catalog names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
from pyiceberg.catalog.sql import SqlCatalog

LOGICAL = "c254://lake/"


def lake_rows(folder: Path, sql: str, table: str = "interval_prices") -> list[tuple[Any, ...]]:
    """`sql` over the table's rows, which it names `rows`; none where the table has no file."""
    paths = _files(folder / "lake", table)
    if not paths:
        return []
    with duckdb.connect() as db:
        db.execute("SET TimeZone = 'UTC'")
        db.execute(f"CREATE VIEW rows AS SELECT * FROM read_parquet({paths}, union_by_name = true)")
        return db.execute(sql).fetchall()


def lake_count(folder: Path, table: str = "interval_prices") -> int:
    """Rows of the table, every version."""
    found = lake_rows(folder, "SELECT count(*) FROM rows", table)
    return int(found[0][0]) if found else 0


def _files(lake: Path, table: str) -> list[str]:
    catalog = SqlCatalog("carbon254", uri=f"sqlite:///{lake / 'catalog.db'}", **_reading(lake))
    try:
        if not catalog.table_exists(("commodity_data", table)):
            return []
        tasks = catalog.load_table(("commodity_data", table)).scan().plan_files()
        return [_local(lake, task.file.file_path) for task in tasks]
    finally:
        catalog.close()


def _reading(lake: Path) -> dict[str, str]:
    return {"warehouse": f"file://{lake}/warehouse"}


def _local(lake: Path, path: str) -> str:
    if path.startswith(LOGICAL):
        return str(lake / path.removeprefix(LOGICAL))
    return path.removeprefix("file://")
