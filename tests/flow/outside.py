"""The lake as somebody else reads it: DuckDB over the Parquet files that the catalog names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
from contract.outside import files_in


def lake_rows(folder: Path, sql: str, table: str = "interval_prices") -> list[tuple[Any, ...]]:
    """`sql` over the table's rows, which it names `rows`; none where it has no file."""
    files = (
        [str(path) for path in files_in(folder / "lake", table)] if (folder / "lake" / "catalog.db").exists() else []
    )
    if not files:
        return []
    with duckdb.connect() as db:
        db.execute("SET TimeZone = 'UTC'")
        db.execute(f"CREATE VIEW rows AS SELECT * FROM read_parquet({files}, union_by_name = true)")
        return db.execute(sql).fetchall()


def lake_count(folder: Path, table: str = "interval_prices") -> int:
    """Rows of the table, every version, however often one is there."""
    found = lake_rows(folder, "SELECT count(*) FROM rows", table)
    return int(found[0][0]) if found else 0
