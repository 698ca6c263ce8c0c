"""Printing what many providers print: stamps of an interval, and tables as CSV bytes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

import numpy as np
import polars as pl

from carbon254.calendars.zones import zone as zone_named

from .market import Ints


def instants(starts: Ints, shift_s: int = 0) -> list[datetime]:
    """UTC datetimes of epoch seconds."""
    return [datetime.fromtimestamp(int(start) + shift_s, UTC) for start in starts]


def local(starts: Ints, clock: str, shift_s: int = 0) -> list[datetime]:
    """The same moments told in `clock` (an IANA zone); `fold` marks the second pass of a repeated hour."""
    zone = zone_named(clock)
    return [moment.astimezone(zone) for moment in instants(starts, shift_s)]


def stamps(moments: Iterable[datetime], pattern: str) -> list[str]:
    return [moment.strftime(pattern) for moment in moments]


def per_interval(values: Sequence[str], locations: int) -> pl.Series:
    """Each interval's text, once a location: intervals outside, locations inside."""
    return pl.Series(values, dtype=pl.String).gather(np.repeat(np.arange(len(values)), locations))


def per_location(values: Sequence[str], intervals: int) -> pl.Series:
    """Each location's text, once an interval: intervals outside, locations inside."""
    return pl.Series(values, dtype=pl.String).gather(np.tile(np.arange(len(values)), intervals))


def csv_bytes(frame: pl.DataFrame, line_end: str = "\n", decimals: int | None = None) -> bytes:
    """The frame as CSV. Without `decimals`, floats are printed as short as they read back."""
    written = frame.write_csv(line_terminator=line_end, float_precision=decimals)
    return written.encode()
