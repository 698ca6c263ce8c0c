"""Values as JSON and CSV write them: times as ISO 8601, text that no spreadsheet runs, nested values as JSON."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

import polars as pl
import pyarrow as pa

from carbon254.model.plain import readable
from carbon254.wire.formulas import BEGINNINGS, defused

if TYPE_CHECKING:
    from polars._typing import PolarsDataType

_FORMULA = f"^[{re.escape(''.join(BEGINNINGS))}]"


def told_text(frame: pl.DataFrame, zone: str) -> pl.DataFrame:
    """The frame with every instant as text in `zone`, also inside lists, tuples and maps; `Z` for UTC, else the offset.

    Stamps without a zone stay without one.
    """
    return frame.with_columns(
        _told(pl.col(name), kind, zone).alias(name) for name, kind in frame.schema.items() if _timed(kind)
    )


def _timed(kind: PolarsDataType) -> bool:
    if isinstance(kind, pl.Datetime | pl.Categorical | pl.Enum):
        return True
    if isinstance(kind, pl.Struct):
        return any(_timed(field.dtype) for field in kind.fields)
    return isinstance(kind, pl.List | pl.Array) and _timed(kind.inner)


def _told(value: pl.Expr, kind: PolarsDataType, zone: str) -> pl.Expr:
    if isinstance(kind, pl.Datetime):
        if kind.time_zone is None:
            return value.dt.strftime("%Y-%m-%dT%H:%M:%S%.f")
        return value.dt.convert_time_zone(zone).dt.strftime(f"%Y-%m-%dT%H:%M:%S%.f{'Z' if zone == 'UTC' else '%:z'}")
    if isinstance(kind, pl.Categorical | pl.Enum):
        return value.cast(pl.String)
    if isinstance(kind, pl.Struct):
        parts = [field for field in kind.fields if _timed(field.dtype)]
        return value.struct.with_fields(_told(pl.field(one.name), one.dtype, zone).alias(one.name) for one in parts)
    if isinstance(kind, pl.Array):
        value, kind = value.arr.to_list(), pl.List(kind.inner)
    return value.list.eval(_told(pl.element(), kind.inner, zone)) if isinstance(kind, pl.List) else value


def json_values(frame: pl.DataFrame) -> pl.Series:
    """Each row as a JSON list of its values; NaN and infinity are null, as is what is missing."""
    if not frame.width:
        return pl.Series([], dtype=pl.String)
    texts = [json_text(name).alias(name) for name in frame.columns]
    listed = pl.concat_str(pl.lit("["), pl.concat_str(frame.columns, separator=","), pl.lit("]"))
    return frame.select(texts).select(listed).to_series()


def json_text(name: str) -> pl.Expr:
    """One column's values as JSON."""
    # The engine of the frame writes objects only: `{"v":…}` without its ends is the value.
    return pl.struct(pl.col(name).alias("v")).struct.json_encode().str.slice(5).str.strip_suffix("}")


def csv_text(frame: pl.DataFrame, header: bool = True) -> str:
    """CSV. Text that a spreadsheet would run gets a leading quote, numbers never do; nested values are JSON."""
    nested = [name for name, kind in frame.schema.items() if kind.is_nested() or isinstance(kind, pl.Map)]
    filled = [pl.when(pl.col(name).is_not_null()).then(json_text(name)).alias(name) for name in nested]
    plain = frame.with_columns(pl.col(pl.Categorical, pl.Enum).cast(pl.String)).with_columns(filled)
    risky = pl.col(pl.String)
    safe = pl.when(risky.str.contains(_FORMULA)).then(pl.lit("'") + risky).otherwise(risky)
    text = plain.with_columns(safe.name.keep()).write_csv(include_header=False)
    return csv_line(frame.columns) + text if header else text


def csv_line(names: Sequence[str]) -> str:
    """The line of columns' names; whoever asks may choose them, so they are as risky as any text."""
    line = io.StringIO()
    csv.writer(line, lineterminator="\n").writerow(map(defused, names))
    return line.getvalue()


def readable_frame(table: pa.Table) -> pl.DataFrame:
    """A table as people read it: bytes told as text, and columns of one name told apart."""
    named = told_apart(table)
    batches = [readable(batch) for batch in named.to_batches()]
    return pl.DataFrame(pa.Table.from_batches(batches) if batches else named)


def told_apart(table: pa.Table) -> pa.Table:
    """The table with each name once: SQL may give two columns one name, a frame may not."""
    seen: Counter[str] = Counter()
    names = []
    for name in table.column_names:
        seen[name] += 1
        names.append(name if seen[name] == 1 else f"{name}_{seen[name]}")
    return table.rename_columns(names)
