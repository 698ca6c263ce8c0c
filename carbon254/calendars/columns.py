"""Polars columns ↔ the arrays the clockwork reckons with; nulls become a mask, and null again."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from carbon254.errors import BadLabel

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


def of_instants(column: Any) -> pl.Series:
    """A column of instants in UTC from a polars or pandas column, a numpy array (which is UTC) or a list.

    Raises BadLabel for a column of times without a zone: which market's time is it?
    """
    found = _series(column)
    if found.dtype == pl.Null:
        return found.cast(INSTANT)
    zoned = getattr(found.dtype, "time_zone", None) is not None or isinstance(column, np.ndarray)
    if found.dtype != pl.Datetime or not zoned:
        raise BadLabel(
            f"column {found.name!r} holds {found.dtype}, and instants were asked for; give it its zone, as in "
            ".dt.replace_time_zone('UTC') where it is UTC"
        )
    return found.cast(INSTANT) if getattr(found.dtype, "time_zone", None) else found.cast(WALL).cast(INSTANT)


def of_days(column: Any) -> pl.Series:
    """A column of market days. Raises BadLabel for instants and for what is no day."""
    found = _series(column)
    if getattr(found.dtype, "time_zone", None):
        raise BadLabel(f"column {found.name!r} holds instants, and market days were asked for; use calendars.day_of")
    try:
        return found.str.to_date() if found.dtype == pl.String else found.cast(pl.Date)
    except pl.exceptions.PolarsError as error:
        raise BadLabel(f"column {found.name!r} holds no days; write dates, or text as YYYY-MM-DD") from error


def of_walls(column: Any) -> pl.Series:
    """A column of naive wall times. Raises BadLabel for instants, which need no label."""
    found = _series(column)
    if getattr(found.dtype, "time_zone", None) or not (found.dtype.is_temporal() or found.dtype == pl.Null):
        raise BadLabel(f"column {found.name!r} holds {found.dtype}, and naive wall times were asked for")
    return found.cast(WALL)


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


def _series(column: Any) -> pl.Series:
    if isinstance(column, pl.Series):
        return column
    if type(column).__module__.startswith("pandas"):
        made = pl.from_pandas(column)
        return made if isinstance(made, pl.Series) else made.to_series()
    return pl.Series(column)
