"""Stamps as people and spreadsheets write them, read column by column into moments, days and naive labels.

Read are `2026-04-01T06:00:00Z`, `2026-04-01 6:00`, `2026/04/01`, and by the order a provider states on top of its
parser `4/1/2026 6:00`, `04/01/2026 06:00:00`, `4/1/26 6:00 AM`: with or without padding, seconds, parts of a second,
AM and PM, `T`, `Z` or an offset; 24:00 is the end of a day. A day that the stated order cannot mean (31/12/2025 as
month, day, year) is no stamp: the two are never changed about. The usual spelling goes by one quick format.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import polars as pl

Order = Literal["mdy", "dmy", "iso"]

_ISO_DAY = r"(?P<y>\d{4})[-/](?P<m>\d{1,2})[-/](?P<d>\d{1,2})"
_DAYS: dict[Order, str] = {
    "iso": _ISO_DAY,
    "mdy": r"(?P<m>\d{1,2})[-/](?P<d>\d{1,2})[-/](?P<y>\d{4}|\d{2})",
    "dmy": r"(?P<d>\d{1,2})[-/](?P<m>\d{1,2})[-/](?P<y>\d{4}|\d{2})",
}
_CLOCK = r"(?:[Tt]|\s+)(?P<H>\d{1,2}):(?P<M>\d{2})(?::(?P<S>\d{2})(?:\.(?P<f>\d{1,9}))?)?\s*(?P<p>[AaPp][Mm])?"
_OFFSET = r"\s*(?P<z>[Zz]|UTC|GMT|[+-]\d{2}:?\d{2})?"
_UTC = pl.Datetime("us", "UTC")
_NAIVE = pl.Datetime("us")
# Two digits of a year are a spreadsheet's, and of this century: markets have no prices of the last one in such files.
_CENTURY = "20"
_LEAST_YEAR = 1_000


def utc(column: pl.Expr, order: Order = "iso", quick: Sequence[str] = ()) -> pl.Expr:
    """Instants (microseconds, UTC) of stamps that are in UTC where they state no offset; null where one is no stamp.

    `quick` are the formats of the usual spelling, the likeliest first.
    """
    return column.map_batches(lambda stamps: _read(stamps, order, quick, "UTC", _CLOCK), return_dtype=_UTC)


def instant(column: pl.Expr, order: Order = "iso", quick: Sequence[str] = ()) -> pl.Expr:
    """Instants (microseconds, UTC) of stamps that state an offset or Z; null for any other."""
    return column.map_batches(lambda stamps: _read(stamps, order, quick, "stated", _CLOCK), return_dtype=_UTC)


def wall(column: pl.Expr, order: Order = "iso", quick: Sequence[str] = ()) -> pl.Expr:
    """Naive local labels (microseconds) of stamps without an offset; null for any other."""
    return column.map_batches(lambda stamps: _read(stamps, order, quick, "", _CLOCK), return_dtype=_NAIVE)


def day(column: pl.Expr, order: Order = "iso", quick: Sequence[str] = ()) -> pl.Expr:
    """Days; a time of day is only taken where it is midnight."""

    def read(stamps: pl.Series) -> pl.Series:
        moments = _read(stamps, order, quick, "", f"(?:{_CLOCK})?")
        midnight = moments.dt.time() == pl.Series([0], dtype=pl.Int64).cast(pl.Time)[0]
        return moments.dt.date().zip_with(midnight.fill_null(False), pl.Series([None], dtype=pl.Date))

    return column.map_batches(read, return_dtype=pl.Date)


def _read(stamps: pl.Series, order: Order, quick: Sequence[str], zone: str, clock: str) -> pl.Series:
    """`clock` is the pattern of the time of day.

    `zone`: UTC where stamps without an offset are in UTC, stated where each needs one, empty for naive ones.
    """
    kind = _UTC if zone else _NAIVE
    done = pl.Series(stamps.name, [None], dtype=kind).new_from_index(0, len(stamps))
    for form in quick:
        done = _quickly(stamps, form, kind) if done.null_count() == len(done) else _filled(done, stamps, form, kind)
        if done.null_count() == stamps.null_count():
            return done
    left = stamps.filter(done.is_null() & stamps.is_not_null()).unique()
    if not len(left):
        return done
    known = left.to_frame("stamp").with_columns(_carefully(pl.col("stamp"), order, zone, clock).alias("moment"))
    found = stamps.to_frame("stamp").join(known, on="stamp", how="left", maintain_order="left")["moment"]
    return done.fill_null(found) if done.null_count() < len(done) else found.alias(stamps.name)


def _filled(done: pl.Series, stamps: pl.Series, form: str, kind: pl.Datetime) -> pl.Series:
    return done.fill_null(_quickly(stamps, form, kind))


def _quickly(stamps: pl.Series, form: str, kind: pl.Datetime) -> pl.Series:
    zone = None if "%z" in form or "%:z" in form or "%#z" in form else kind.time_zone
    found = stamps.str.to_datetime(form, time_unit="us", time_zone=zone, strict=False)
    if found.dtype != kind:
        found = found.dt.convert_time_zone("UTC") if kind.time_zone else found
    # `24` is read as a year of the first century.
    early = found.dt.year().min()
    if isinstance(early, int) and early < _LEAST_YEAR:
        return found.zip_with(found.dt.year() >= _LEAST_YEAR, pl.Series([None], dtype=found.dtype))
    return found


def _carefully(stamp: pl.Expr, order: Order, zone: str, clock: str) -> pl.Expr:
    stamp = stamp.str.strip_chars()
    orders: list[Order] = ["iso"] if order == "iso" else ["iso", order]
    moments = [_moment(stamp.str.extract_groups(f"^{_DAYS[one]}{clock}{_OFFSET}$"), zone) for one in orders]
    return pl.coalesce(moments)


def _moment(parts: pl.Expr, zone: str) -> pl.Expr:
    def cell(name: str) -> pl.Expr:
        return parts.struct.field(name)

    def padded(name: str) -> pl.Expr:
        return cell(name).str.zfill(2)

    half = cell("p").str.to_lowercase()
    hour = cell("H").cast(pl.Int64).fill_null(0)
    twelve = pl.when(hour.is_between(1, 12)).then(hour % 12 + pl.when(half == "pm").then(12).otherwise(0))
    hour = pl.when(half.is_null()).then(hour).otherwise(twelve)
    ends = (hour == 24) & half.is_null()
    year = pl.when(cell("y").str.len_chars() == 2).then(_CENTURY + cell("y")).otherwise(cell("y"))
    text = pl.concat_str(
        year, pl.lit("-"), padded("m"), pl.lit("-"), padded("d"), pl.lit("T"),
        pl.when(ends).then(pl.lit("00")).otherwise(hour.cast(pl.String).str.zfill(2)), pl.lit(":"),
        cell("M").fill_null("00"), pl.lit(":"), cell("S").fill_null("00"), pl.lit("."), cell("f").fill_null("0"),
    )  # fmt: skip
    naive = text.str.to_datetime("%Y-%m-%dT%H:%M:%S%.f", time_unit="us", strict=False)
    midnight = (naive.dt.hour() == 0) & (naive.dt.minute() == 0) & (naive.dt.second() == 0)
    naive = pl.when(~ends).then(naive).when(midnight).then(naive + pl.duration(days=1))
    return _zoned(naive, cell("z"), zone)


def _zoned(naive: pl.Expr, offset: pl.Expr, zone: str) -> pl.Expr:
    if not zone:
        return pl.when(offset.is_null()).then(naive)
    sign = pl.when(offset.str.starts_with("-")).then(-1).otherwise(1)
    hours = offset.str.extract(r"^[+-](\d{2})").cast(pl.Int64).fill_null(0)
    minutes = offset.str.extract(r"^[+-]\d{2}:?(\d{2})$").cast(pl.Int64).fill_null(0)
    moment = (naive - pl.duration(minutes=sign * (60 * hours + minutes))).dt.replace_time_zone("UTC")
    sound = (hours < 24) & (minutes < 60)
    return pl.when(sound if zone == "UTC" else sound & offset.is_not_null()).then(moment)
