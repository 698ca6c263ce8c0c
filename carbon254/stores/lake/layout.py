"""How rows lie in a file: sorted by what they are about, in row groups that a reader can pass over.

A partition is one day (one year for datasets by date), so time hardly narrows a query within one. What narrows it is
the place: the dataset's own key begins with market, product and place and ends with the time, and its versions follow.
Sorted so, one place's rows of a day lie together, and the smallest and largest value that Parquet keeps of each row
group let a reader skip the others; equal neighbours also pack better.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import numpy as np
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
    order = order_of(rows, dataset)
    return rows if order is None else rows.take(pa.array(order))


def order_of(rows: pa.Table, dataset: Dataset, before: Sequence[pl.Series] = ()) -> np.ndarray | None:
    """Which row comes first, second and so on in the dataset's order, equal ones as they are; None where they do.

    `before` are values, one a row, that go before the dataset's own.
    """
    if rows.num_rows < 2:
        return None
    words = _words([*before, *(_ranked(rows[name]) for name in sort_columns(dataset))])
    if not words:
        return None
    if len(words) == 1:
        return None if bool((words[0][1:] >= words[0][:-1]).all()) else np.argsort(words[0], kind="stable")
    return np.lexsort(words[::-1])


def _words(columns: Sequence[pl.Series]) -> list[np.ndarray]:
    """Columns as few unsigned numbers that sort as they do, nulls first: one number is sorted ten times faster."""
    words: list[np.ndarray] = []
    free = 0
    for column in columns:
        numbers, bits = _counted(column)
        if not bits:
            continue
        if bits > free:
            words.append(numbers)
            free = 64 - bits
        else:
            words[-1] = (words[-1] << np.uint64(bits)) | numbers
            free -= bits
    return words


def _counted(column: pl.Series) -> tuple[np.ndarray, int]:
    """Numbers from 0 that sort as the values do, 0 for a missing one, and how many bits the largest takes."""
    if not column.dtype.is_integer() and not column.dtype.is_temporal():
        column = column.rank("dense")
    plain = column.to_physical()
    least, most = cast(int | None, plain.min()), cast(int | None, plain.max())
    if least is None or most is None:
        return np.zeros(len(column), np.uint64), 0
    lacking = column.null_count()
    if most - least >= 2**63:
        return _counted(column.rank("dense"))
    values = plain.fill_null(least).to_numpy()
    wide = values if values.dtype == np.uint64 else values.astype(np.int64)
    shifted = wide - wide.dtype.type(least)
    unit = int(np.gcd.reduce(shifted)) if most - least > 2**32 else 1
    numbers = (shifted // unit if unit > 1 else shifted).astype(np.uint64)
    if lacking:
        numbers = np.where(column.is_null().to_numpy(), np.uint64(0), numbers + np.uint64(1))
    return numbers, int((most - least) // unit + bool(lacking)).bit_length()


def _ranked(column: pa.ChunkedArray) -> pl.Series:
    """Text as the rank of its value: numbers are sorted many times faster, and texts repeat."""
    kind = column.type
    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_dictionary(kind)):
        return pl.Series(values=column)
    coded = column if pa.types.is_dictionary(kind) else column.dictionary_encode()
    whole = coded.unify_dictionaries().combine_chunks()
    whole = whole.chunk(0) if isinstance(whole, pa.ChunkedArray) else whole
    return pl.Series(values=whole.dictionary).rank("dense").gather(pl.Series(values=whole.indices))
