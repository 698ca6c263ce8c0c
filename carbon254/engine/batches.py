"""A batch's name is the hash of its content: equal rows of one arrival are one batch, however often they are made."""

from __future__ import annotations

import polars as pl
import pyarrow as pa

from carbon254.model import Dataset
from carbon254.model.arrow import CATEGORY, conform
from carbon254.proof.rows import frame_hash

NAME = "batch_id"
_DIGITS = 32


def named_by_content(frame: pl.DataFrame, dataset: Dataset) -> tuple[pa.Table, str]:
    """The frame as a table of the dataset with the batch's name in it, and that name: 32 hexadecimal digits over all
    other columns, whatever the order of the rows."""
    table = conform(frame.with_columns(pl.lit("").alias(NAME)), dataset)
    at = table.schema.get_field_index(NAME)
    name = frame_hash(pl.DataFrame(table.remove_column(at)))[:_DIGITS]
    codes = pa.repeat(pa.scalar(0, pa.int32()), table.num_rows)
    column = pa.DictionaryArray.from_arrays(codes, pa.array([name])).cast(CATEGORY)
    return table.set_column(at, table.schema.field(at), column), name
