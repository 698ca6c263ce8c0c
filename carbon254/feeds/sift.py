"""Parting rows that can stand from rows that cannot, with the line, the reason and the text of each that cannot.

Parsers say in one expression why a row is bad; nothing is dropped without a word. The text of a bad row is looked up
only when there is one, so that a clean payload pays nothing for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import polars as pl

from carbon254.errors import PayloadRefused
from carbon254.wire import csv
from carbon254.wire.blocks import MOST_REJECTS

from .contract import REJECTS, Rows, rejects

_PIECE, _LINE_FEED = 4 << 20, 10
Texts = Callable[[list[int]], list[str]]


def sift(frame: pl.DataFrame, reason: pl.Expr, texts: Texts, block: csv.Block | None = None) -> Rows:
    """Rows of `frame` (it has `line`) where `reason` is null; the others, and those `block` refused, are rejects."""
    already = rejects(block.lines, block.reasons, block.raws) if block else pl.DataFrame(schema=REJECTS)
    reasons = frame.select(reason.alias("reason"))["reason"]
    if reasons.null_count() == frame.height:
        return Rows(frame, already)
    bad = frame.select("line").with_columns(reasons).filter(reasons.is_not_null())
    if bad.height > MOST_REJECTS and bad.height > frame.height // 2:
        line, why = bad.row(0)
        raise PayloadRefused(f"most of its rows cannot be read; line {line}: {why}")
    numbers = bad["line"].to_list()
    refused = rejects(numbers, bad["reason"].to_list(), texts(numbers))
    return Rows(frame.filter(reasons.is_null()), pl.concat([already, refused]).sort("line"))


def first_of(*causes: tuple[pl.Expr, str]) -> pl.Expr:
    """The text of the first cause that is true for a row; null where none is."""
    chain: Any = pl
    for condition, text in causes:
        chain = chain.when(condition.fill_null(False)).then(pl.lit(text))
    return chain.otherwise(pl.lit(None, dtype=pl.String))


def wild(names: Iterable[str]) -> pl.Expr:
    """True where one of the named numbers is NaN or infinite; a missing number is neither."""
    return pl.any_horizontal(pl.col(list(names)).is_finite().not_().fill_null(False))


def lines_of(data: bytes) -> Texts:
    """Text of physical lines of `data`, numbered from 1."""

    def texts(numbers: list[int]) -> list[str]:
        starts = _line_starts(data, max(numbers))
        found = []
        for number in numbers:
            start = int(starts[number - 1])
            end = data.find(b"\n", start)
            found.append(data[start : end if end >= 0 else None].decode("utf-8", "replace").rstrip("\r"))
        return found

    return texts


def _line_starts(data: bytes, count: int) -> np.ndarray:
    """Where the first `count` lines begin."""
    view, found, total = np.frombuffer(data, np.uint8), [np.zeros(1, np.int64)], 1
    for at in range(0, len(view), _PIECE):
        if total >= count:
            break
        found.append(np.flatnonzero(view[at : at + _PIECE] == _LINE_FEED) + at + 1)
        total += len(found[-1])
    return np.concatenate(found)


def number_column(name: str, values: Sequence[Any]) -> tuple[pl.Series, pl.Series]:
    """(Float64 values, True where a value is there but is not a number) of a JSON column.

    Numbers may come as text; an empty text is a missing value.
    """
    try:
        return pl.Series(name, values, dtype=pl.Float64, strict=True), pl.Series(
            [False], dtype=pl.Boolean
        ).new_from_index(0, len(values))
    except (TypeError, OverflowError, pl.exceptions.PolarsError):
        pass
    try:
        texts = pl.Series(name, values, dtype=pl.String, strict=True).str.strip_chars()
    except (TypeError, OverflowError, pl.exceptions.PolarsError):
        texts = pl.Series(name, [_numeral(value) for value in values], dtype=pl.String)
    cast = texts.cast(pl.Float64, strict=False)
    return cast, cast.is_null() & (texts.fill_null("") != "")


def whole(value: Any) -> int | None:
    """A count of rows, as a number or in text; None for anything else."""
    try:
        return None if isinstance(value, bool) else max(0, int(value))
    except (TypeError, ValueError, OverflowError):
        return None


def _numeral(value: Any) -> str | None:
    if value is None:
        return None
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return repr(value)
    return "not a number"
