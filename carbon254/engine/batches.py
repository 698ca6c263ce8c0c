"""A batch's name is the hash of its content: equal rows of one arrival are one batch, however often they are made.

Each row is hashed by itself, all of a column at once, and the rows' hashes are summed, so that their order decides
nothing and nothing is sorted. It tells contents apart that come about by themselves; it is no proof against somebody
who looks for two with one name. The mixing is the finaliser of SplitMix64 (Steele, Lea and Flood, 2014).
"""

from __future__ import annotations

import hashlib

import numpy as np
import polars as pl
import pyarrow as pa

from carbon254.model import Dataset
from carbon254.model.arrow import CATEGORY, conform

NAME = "batch_id"
_FIRST, _SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_STEP, _MISSING = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xD6E8FEB86659FD93)
_BYTE = np.uint64(0x100000001B3)
_PRIMES = np.cumprod(np.full(4_096, _BYTE, dtype=np.uint64))


def named_by_content(frame: pl.DataFrame, dataset: Dataset) -> tuple[pa.Table, str]:
    """The frame as a table of the dataset with the batch's name in it, and that name: 32 hexadecimal digits over all
    other columns, whatever the order of the rows."""
    table = conform(frame.with_columns(pl.lit("").alias(NAME)), dataset)
    at = table.schema.get_field_index(NAME)
    name = content_name(table.remove_column(at))
    codes = pa.repeat(pa.scalar(0, pa.int32()), table.num_rows)
    column = pa.DictionaryArray.from_arrays(codes, pa.array([name])).cast(CATEGORY)
    return table.set_column(at, table.schema.field(at), column), name


def content_name(table: pa.Table) -> str:
    """32 hexadecimal digits over the rows of a table and the names of its columns, the same in every process."""
    hashed = np.full(table.num_rows, _STEP, dtype=np.uint64)
    for name, column in zip(table.column_names, table.itercolumns(), strict=True):
        hashed += _told(column.combine_chunks()) ^ np.uint64(_of_text(name))
        _mix(hashed)
    first = int(hashed.sum(dtype=np.uint64))
    hashed ^= _STEP
    second = int(_mix(hashed).sum(dtype=np.uint64))
    told = f"{table.num_rows} {first} {second} {' '.join(table.column_names)}"
    return hashlib.blake2b(told.encode(), digest_size=16).hexdigest()


def _told(column: pa.Array) -> np.ndarray:
    """A number for each value: of equal values the same. One number alone where all values are equal."""
    if pa.types.is_dictionary(column.type):
        values = _strings(column.dictionary)
        if len(values) == 1 and not column.null_count:
            return values
        codes = column.indices.fill_null(len(values)).to_numpy(zero_copy_only=False)
        return np.append(values, _MISSING)[codes]
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        return _with_missing(_strings(column.fill_null("")), column)
    if pa.types.is_floating(column.type):
        # One zero, and one not-a-number, however they are written.
        numbers = column.fill_null(0.0).to_numpy(zero_copy_only=False) + 0.0
        bits = np.where(np.isnan(numbers), np.nan, numbers).view(np.uint64)
    else:
        whole = pa.int64() if not pa.types.is_date32(column.type) else pa.int32()
        plain = column if pa.types.is_integer(column.type) else column.cast(whole)
        bits = plain.fill_null(0).to_numpy(zero_copy_only=False).astype(np.int64 if plain.type != pa.uint64() else None)
        bits = bits.view(np.uint64)
    return _with_missing(bits, column)


def _with_missing(bits: np.ndarray, column: pa.Array) -> np.ndarray:
    if column.null_count:
        bits = np.where(column.is_null().to_numpy(zero_copy_only=False), _MISSING, bits)
    return bits[:1] if len(bits) and (bits == bits[0]).all() else bits


def _strings(column: pa.Array) -> np.ndarray:
    """A number for each text: its bytes, each times a power of a prime by its place, and its length."""
    text = column.cast(pa.large_string())
    if not len(text):
        return np.empty(0, np.uint64)
    offsets = np.frombuffer(text.buffers()[1], dtype=np.int64)[text.offset : text.offset + len(text) + 1]
    data = text.buffers()[2]
    size = int(offsets[-1] - offsets[0])
    lengths = np.diff(offsets)
    if not size or data is None:
        return lengths.astype(np.uint64)
    letters = np.frombuffer(data, dtype=np.uint8)[offsets[0] : offsets[-1]].astype(np.uint64) + np.uint64(1)
    places = np.arange(size) - np.repeat(offsets[:-1] - offsets[0], lengths)
    letters *= _PRIMES[places % len(_PRIMES)] + (places // len(_PRIMES)).astype(np.uint64)
    sums = np.append(np.uint64(0), np.cumsum(letters, dtype=np.uint64))
    found = sums[offsets[1:] - offsets[0]] - sums[offsets[:-1] - offsets[0]]
    return _mix(found + lengths.astype(np.uint64) * _STEP)


def _mix(numbers: np.ndarray) -> np.ndarray:
    """Spread the bits of each number, in place."""
    numbers ^= numbers >> np.uint64(30)
    numbers *= _FIRST
    numbers ^= numbers >> np.uint64(27)
    numbers *= _SECOND
    numbers ^= numbers >> np.uint64(31)
    return numbers


def _of_text(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest())
