"""What an outside reader finds in a lake: the files that the catalog names, read by pyarrow and nothing of ours."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from fastavro import reader


def real(location: str, folder: Path) -> Path:
    """The file of a location in the lake's folder: `c254://lake/` is its warehouse, as the documents say.

    Lakes from before logical locations named the whole path of their folder, wherever it was then.
    """
    return folder / "warehouse" / location.removeprefix("c254://lake/").rpartition("/warehouse/")[2]


def metadata_of(folder: Path, dataset: str) -> dict[str, Any]:
    """The table's newest metadata, by the catalog's database."""
    with sqlite3.connect(folder / "catalog.db") as db:
        (location,) = db.execute(
            "SELECT metadata_location FROM iceberg_tables WHERE table_name = ?", (dataset,)
        ).fetchone()
    return json.loads(real(location, folder).read_text("utf-8"))


def files_in(folder: Path, dataset: str) -> list[Path]:
    """The data files that the newest snapshot names, each as often as it is named."""
    metadata, found = metadata_of(folder, dataset), list[Path]()
    current = [one for one in metadata["snapshots"] if one["snapshot-id"] == metadata.get("current-snapshot-id")]
    for snapshot in current:
        with real(snapshot["manifest-list"], folder).open("rb") as file:
            manifests = [one["manifest_path"] for one in reader(file)]
        for manifest in manifests:
            with real(manifest, folder).open("rb") as file:
                found += [real(one["data_file"]["file_path"], folder) for one in reader(file) if one["status"] != 2]
    return found


def rows_in(folder: Path, dataset: str) -> pa.Table:
    """Every row that stands, however often it does."""
    return pa.concat_tables(
        [pq.read_table(path, partitioning=None) for path in files_in(folder, dataset)] or [pa.table({})]
    )
