"""Looking before storing: rows of a batch that the lake holds already, because another log carried them before."""

from __future__ import annotations

from datetime import datetime, timedelta

import polars as pl
import pyarrow as pa

from carbon254.model import Dataset
from carbon254.stores.lake import Lake

from .proof import told


def not_held(lake: Lake, dataset: Dataset, table: pa.Table) -> pa.Table:
    """The rows that the lake does not hold yet. Where a row was stored, as `batch_id` tells it, says nothing."""
    if not table.num_rows:
        return table
    names = [name for name in told(dataset) if name in table.column_names]
    rows = _plain(pl.DataFrame(table.select(names)))
    time = rows[dataset.partition]
    low, high = time.min(), time.max()
    if isinstance(low, datetime) and isinstance(high, datetime):
        high += timedelta(microseconds=1)
    payloads = " OR ".join(f"payload = '{one}'" for one in rows["payload"].unique().sort())
    where = f"({payloads}) AND {dataset.partition} >= '{_text(low)}' AND {dataset.partition} <= '{_text(high)}'"
    held = _plain(pl.DataFrame(lake.scan(dataset.name, where, names)))
    if not held.height:
        return table
    held = held.select(pl.col(name).cast(rows.schema[name]) for name in names).unique()
    numbered = rows.with_row_index("_row")
    fresh = numbered.join(held, on=names, how="anti", nulls_equal=True)["_row"]
    return table.take(fresh.sort().to_arrow())


def _plain(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.with_columns(
        pl.col(pl.Categorical).cast(pl.String),
        pl.selectors.datetime(time_zone="*").cast(pl.Datetime("us", "UTC")),
    )


def _text(moment: object) -> str:
    return moment.isoformat() if isinstance(moment, datetime) else str(moment)
