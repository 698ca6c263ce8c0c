"""Polars columns ↔ the arrays the clockwork reckons with; nulls become a mask, and null again."""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from .wall import Status, Statuses
from .zones import Micros

Mask = NDArray[np.bool_]
INSTANT = pl.Datetime("us", "UTC")
WALL = pl.Datetime("us")
HOUR = 3_600_000_000
_LOST = (Status.SKIPPED, Status.MISMARKED, Status.MALFORMED)


def micros(column: pl.Series) -> tuple[Micros, Mask]:
    """(µs since 1970, where it was null) of a column of dates, wall times or instants."""
    whole = column.cast(INSTANT if getattr(column.dtype, "time_zone", None) else WALL).to_physical()
    return whole.fill_null(0).to_numpy().astype(np.int64, copy=False), _nulls(column)


def numbers(column: pl.Series) -> tuple[Micros, Mask]:
    """(whole numbers, where there is none) of a column of numbers."""
    whole = column.cast(pl.Int64, strict=False)
    return whole.fill_null(-1).to_numpy(), _nulls(whole)


def spans(start: Micros, end: Micros, status: Statuses) -> pl.DataFrame:
    """`interval_start`, `interval_end` and `status`; null times where the label names no instant."""
    lost = np.isin(status, _LOST)
    columns = {"interval_start": instants(start, lost), "interval_end": instants(end, lost)}
    return pl.DataFrame(columns | {"status": pl.Series(status)})


def instants(values: Micros, lost: Mask) -> pl.Series:
    """Instants (UTC), null where `lost`."""
    column = pl.Series(values).cast(INSTANT)
    return column.set(pl.Series(lost), None) if lost.any() else column


def _nulls(column: pl.Series) -> Mask:
    if not column.null_count():
        return np.zeros(len(column), np.bool_)
    return column.is_null().to_numpy()
