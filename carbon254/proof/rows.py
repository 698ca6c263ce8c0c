"""A hash of rows that depends on what they say and on nothing else.

Not on their order, batches, encodings, integer widths, the zone a time is told in, or the sign of a zero. Columns count
by their place and name. Rows are sorted by all of their columns, and each column's values go through SHA-256.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import polars as pl
import pyarrow as pa

# Answers up to this many rows also keep a hash of each row, so that a difference can be shown by its row.
EACH_ROWS = 1_000
_SHORT = 16
_INSTANT = pl.Datetime("us", "UTC")


@dataclass(frozen=True, slots=True)
class RowsHash:
    """`hash` and those of `columns` are 64 hexadecimal digits; `each` follows the order of the answer, 16 digits."""

    count: int
    hash: str
    columns: Mapping[str, str] = field(default_factory=dict)
    each: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Column:
    """A canonical column laid out for hashing: which values are missing, and their numbers or their characters."""

    name: str
    kind: str
    empty: np.ndarray
    numbers: np.ndarray | None
    offsets: np.ndarray
    characters: memoryview | bytes

    def digest(self, low: int, high: int) -> str:
        """Over the rows [low, high): type, count, which are missing, and the values; 64 hexadecimal digits."""
        found = hashlib.sha256(f"{self.kind} {high - low}\n".encode())
        found.update(np.packbits(self.empty[low:high]).data)
        if self.numbers is not None:
            found.update(self.numbers[low:high].data)
        else:
            found.update(np.diff(self.offsets[low : high + 1]).data)
            found.update(self.characters[int(self.offsets[low]) : int(self.offsets[high])])
        return found.hexdigest()


def rows_hash(table: pa.Table) -> RowsHash:
    """The hash of an answer's rows. Two columns may share a name."""
    frame, kinds = canonical(pl.DataFrame(table.rename_columns([str(place) for place in range(table.num_columns)])))
    ordered = laid_out(sort_all(frame), kinds)
    names = [f"{place}:{name}" for place, name in enumerate(table.column_names)]
    columns = {name: column.digest(0, frame.height) for name, column in zip(names, ordered, strict=True)}
    each = tuple(_row(row) for row in frame.iter_rows()) if frame.height <= EACH_ROWS else ()
    return RowsHash(table.num_rows, _whole(table.num_rows, columns), columns, each)


def frame_hash(frame: pl.DataFrame) -> str:
    """The hash of a frame's rows, with distinct column names; 64 hexadecimal digits."""
    plain, kinds = canonical(frame)
    return slice_hash(laid_out(sort_all(plain), kinds), 0, frame.height)


def slice_hash(columns: Sequence[Column], low: int, high: int) -> str:
    """The hash of the rows [low, high), which must be sorted among themselves; 64 hexadecimal digits."""
    return _whole(high - low, {column.name: column.digest(low, high) for column in columns})


def canonical(frame: pl.DataFrame) -> tuple[pl.DataFrame, dict[str, str]]:
    """The frame in few types (integers, booleans, text), and what each column is."""
    done = [_plain(column) for column in frame]
    return pl.DataFrame([column for column, _ in done]), {column.name: kind for column, kind in done}


def sort_all(frame: pl.DataFrame, first: Sequence[str] = ()) -> pl.DataFrame:
    """Rows in the one order that follows from them. Columns with one value cannot decide it and are left out."""
    telling = [column.name for column in frame if column.len() > 1 and column.n_unique() > 1]
    ordered = [*(name for name in first if name in telling), *(name for name in telling if name not in first)]
    return frame.sort(ordered, nulls_last=True) if ordered else frame


def laid_out(frame: pl.DataFrame, kinds: Mapping[str, str]) -> list[Column]:
    """The columns of a canonical frame, ready to be hashed by slices."""
    return [_laid_out(column, kinds[column.name]) for column in frame]


def _laid_out(column: pl.Series, kind: str) -> Column:
    empty, none = column.is_null().to_numpy(), np.zeros(1, dtype="<i8")
    if column.dtype == pl.Boolean:
        return Column(
            column.name, kind, empty, np.packbits(column.fill_null(False).to_numpy()[:, None], axis=1), none, b""
        )
    if column.dtype != pl.String:
        numbers = np.ascontiguousarray(column.fill_null(0).to_numpy().astype("<i8"))
        return Column(column.name, kind, empty, numbers, none, b"")
    text = column.fill_null("").to_arrow(compat_level=pl.CompatLevel.oldest()).cast(pa.large_string())
    if not len(text):
        return Column(column.name, kind, empty, None, none, b"")
    offsets = np.frombuffer(text.buffers()[1], dtype="<i8")[text.offset : text.offset + len(text) + 1]
    data = text.buffers()[2]
    return Column(column.name, kind, empty, None, offsets, memoryview(data) if data is not None else b"")


def _whole(rows: int, columns: Mapping[str, str]) -> str:
    whole = hashlib.sha256(f"rows {rows}\n".encode())
    for name, found in columns.items():
        whole.update(f"{len(name)} {name} {found}\n".encode())
    return whole.hexdigest()


def _plain(column: pl.Series) -> tuple[pl.Series, str]:
    kind = column.dtype
    if kind == pl.Null:
        return column.cast(pl.Int64), "null"
    if kind == pl.Boolean:
        return column, "bool"
    if kind == pl.UInt64:
        small = column.max() is None or int(column.max()) < 1 << 63  # type: ignore[arg-type]
        return (column.cast(pl.Int64), "int") if small else (column.cast(pl.String), "big")
    if kind.is_integer():
        return column.cast(pl.Int64), "int"
    if kind.is_float():
        return _bits(column.cast(pl.Float64)), "float"
    if isinstance(kind, pl.Datetime):
        zoned = column.cast(pl.Datetime("us", kind.time_zone))
        return zoned.to_physical().cast(pl.Int64), "instant" if kind.time_zone else "stamp"
    if kind == pl.Date:
        return column.to_physical().cast(pl.Int64), "date"
    if kind.is_temporal():
        return column.to_physical().cast(pl.Int64), str(kind.base_type())
    if isinstance(kind, pl.Decimal) and kind.scale == 0:
        fits = column.is_empty() or column.null_count() == len(column) or int(column.max()) < 1 << 63  # type: ignore[arg-type]
        return (column.cast(pl.Int64), "int") if fits else (column.cast(pl.String), "big")
    if kind == pl.Binary:
        return column.bin.encode("hex"), "bytes"
    if isinstance(kind, pl.List | pl.Array | pl.Struct):
        wrapped = column.alias("v").to_frame().select(pl.struct("v").struct.json_encode())
        return wrapped.to_series().alias(column.name), "json"
    return column.cast(pl.String), "text"


def _bits(column: pl.Series) -> pl.Series:
    """Floats as their bits; one zero, one not-a-number. Null stays null."""
    empty = column.is_null()
    numbers = column.fill_null(0.0).to_numpy() + 0.0
    numbers[np.isnan(numbers)] = np.nan
    return pl.Series(column.name, numbers.view(np.int64)).set(empty, None)


def _row(row: tuple[object, ...]) -> str:
    told = "\x1f".join("\0" if value is None else f"{type(value).__name__}:{value}" for value in row)
    return hashlib.sha256(told.encode()).hexdigest()[:_SHORT]
