"""How rows lie in a file: sorted by what they are about, in row groups that a reader can pass over.

A partition is one day (one year for datasets by date), so time hardly narrows a query within one. What narrows it is
the place: the dataset's own key begins with market, product and place and ends with the time, and its versions follow.
Sorted so, one place's rows of a day lie together, and the smallest and largest value that Parquet keeps of each row
group let a reader skip the others; equal neighbours also pack better.
"""

from __future__ import annotations

import polars as pl
import pyarrow as pa
from pyiceberg.table.sorting import NullOrder, SortDirection, SortField, SortOrder
from pyiceberg.transforms import IdentityTransform

from carbon254.model import Dataset

# A place has some hundred rows a day: groups much smaller than this cost more in headers than they save.
GROUP_ROWS = 65_536


def sort_columns(dataset: Dataset) -> tuple[str, ...]:
    """The columns rows are sorted by, ascending: what a row is about, then its versions."""
    return (*dataset.key, *(name for name in dataset.version if name not in dataset.key))


def iceberg_sort(dataset: Dataset) -> SortOrder:
    """The same, as the table's own sort order, so that other engines write their files alike."""
    fields = (
        SortField(
            source_id=dataset.names.index(name) + 1,
            transform=IdentityTransform(),
            direction=SortDirection.ASC,
            null_order=NullOrder.NULLS_FIRST,
        )
        for name in sort_columns(dataset)
    )
    return SortOrder(*fields)


def ordered(rows: pa.Table, dataset: Dataset) -> pa.Table:
    """The rows in the dataset's order; every row once, as it is."""
    if rows.num_rows < 2:
        return rows
    keys = {name: _ranked(rows[name]) for name in sort_columns(dataset)}
    places = pl.DataFrame(keys).with_row_index("\0place").sort(list(keys), nulls_last=False, maintain_order=True)
    return rows.take(pa.array(places["\0place"].to_numpy()))


def _ranked(column: pa.ChunkedArray) -> pl.Series:
    """Text as the rank of its value: numbers are sorted many times faster, and texts repeat."""
    kind = column.type
    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_dictionary(kind)):
        return pl.Series(values=column)
    coded = column if pa.types.is_dictionary(kind) else column.dictionary_encode()
    whole = coded.unify_dictionaries().combine_chunks()
    whole = whole.chunk(0) if isinstance(whole, pa.ChunkedArray) else whole
    return pl.Series(values=whole.dictionary).rank("dense").gather(pl.Series(values=whole.indices))
