"""ISO-NE's CSV reports of prices: lines that say in their first cell what they are.

`C` comments (title, file name, `Report for: 03/17/2026 - 03/17/2026`, `Report generated: 03/16/2026 13:07:54 EDT`), `H`
two header lines (names, then types or units), `D` data, `T` the trailer with the number of data lines: `"T","29,136
lines"`, `T,120 lines,,,`, `"T",120`. Cells are quoted or not; lines may be padded with commas. A trailer that counts
otherwise, or none at all, is a file that was cut, and none of it is taken.

Hourly reports (`WW_DALMP_ISO_YYYYMMDD`, `lmp_rt_prelim_…`, `lmp_rt_final_…`): Date, Hour Ending, Location ID, Location
Name, Location Type, Locational Marginal Price, Energy Component, Congestion Component, Marginal Loss Component. The
hour is told by its end, 01 to 24; the one the clock repeats is printed 02 and then 02X. Five-minute reports
(`lmp_5min_YYYYMMDD_00-04`): Local Time, the interval's start, for the most part without its day, which the comments or
the name tell; LMP. Only the order of a location's lines parts the two passes of the hour that the clock repeats.

Source of the format: public readers of these files and what they print of them (gridstatus; elec-server; studies of
ISO-NE prices), and ISO-NE's settlement reports, which have the same frame.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone

import polars as pl

from carbon254.calendars import Status, convention, read, wall_to_utc
from carbon254.errors import NothingYet, PayloadRefused
from carbon254.model import Flag
from carbon254.wire import csv, names, stamps

_HOUR = timedelta(hours=1)
_LOOK = 65_536
_KIND = re.compile(rb'[ \t]*"?([CHDTchdt])"?[ \t]*(?:,|\r?$)')
_TRAILER = re.compile(rb'[ \t]*"?[Tt]"?[ \t]*(?:,(.*))?$', re.S)
_GENERATED = re.compile(r"generated:?\s*(\d\d?/\d\d?/\d{4} \d\d?:\d\d(?::\d\d)?)\s*(E[DS]T)", re.I)
_FOR = re.compile(r"Report for:?\s*(\d\d?/\d\d?/\d{4})(?:\s*-\s*(\d\d?/\d\d?/\d{4}))?", re.I)
_NAMED_DAY = re.compile(r"(?<!\d)(\d{4})(\d\d)(\d\d)(?!\d)")
_OFFSETS = {"EDT": timezone(timedelta(hours=-4)), "EST": timezone(timedelta(hours=-5))}
_NAMES = {
    "date": "day",
    "hourending": "hour",
    "localtime": "time",
    "locationid": "location_id",
    "locationname": "location",
    "locationtype": "kind",
    "locationalmarginalprice": "lmp",
    "lmp": "lmp",
    "energycomponent": "energy",
    "congestioncomponent": "congestion",
    "losscomponent": "loss",
    "marginallosscomponent": "loss",
}
_PRICES = ("lmp", "energy", "congestion", "loss")


@dataclass(frozen=True, slots=True)
class Report:
    """A report up to its data: `columns` are our names of the header's, `market` is da, rt, or empty where nothing in
    the file tells; `at` is where the data begins, after `lines` lines."""

    comments: tuple[str, ...]
    columns: tuple[str, ...]
    at: int
    lines: int

    @property
    def five_minute(self) -> bool:
        return "time" in self.columns

    @property
    def market(self) -> str:
        if self.five_minute:
            return "rt"
        told = " ".join(self.comments).lower()
        found = re.search(r"day[ -]?ahead|real[ -]?time|_dalmp_|lmp_rt_|lmp_da_|five[ -]?minute", told)
        return "" if not found else "da" if "da" in found[0] else "rt"


def looks_like(head: bytes) -> bool:
    """True for a file whose first line is a comment or a header of a report."""
    found = _KIND.match(head.removeprefix(b"\xef\xbb\xbf").lstrip())
    return found is not None and found[1] in b"CcHh"


def nothing_yet(data: bytes) -> bool:
    """True for what the server of the files says, with status 200, of a day it has no file for."""
    return len(data) < 1_000 and b"no data exists" in data.lower()


def opened(head: bytes) -> Report | None:
    """The comments and the header of a price report; None where the header is not one of prices."""
    comments, position = [], 3 if head.startswith(b"\xef\xbb\xbf") else 0
    columns: tuple[str, ...] = ()
    lines = 0
    while position < len(head):
        end = head.find(b"\n", position)
        end = len(head) if end < 0 else end
        line = head[position:end]
        kind = _KIND.match(line)
        if kind is not None and kind[1] in b"DdTt":
            break
        if kind is not None and kind[1] in b"Cc":
            comments += [cell for cell in csv.header(line)[1:] if cell]
        elif kind is not None and not columns:
            columns = tuple(_NAMES.get(names.fold(cell), f"_{place}") for place, cell in enumerate(csv.header(line)))
        position, lines = end + 1, lines + 1
    timed = "time" in columns or {"day", "hour"} <= set(columns)
    priced = {"location_id", "lmp"} <= set(columns)
    return Report(tuple(comments), columns, min(position, len(head)), lines) if timed and priced else None


def counted(data: bytes) -> tuple[int, int | None]:
    """(data lines there are, data lines the trailer says; None where there is no trailer)."""
    body = data.rstrip(b" \t\r\n,\x1a")
    trailer = _TRAILER.match(body[body.rfind(b"\n") + 1 :])
    said = re.search(rb"(\d[\d,]*)", trailer[1] or b"") if trailer else None
    given = len(re.findall(rb'^[ \t]*"?[Dd]"?[ \t]*,', data, re.M))
    # A trailer that gives no number vouches for what stands above it.
    announced = int(said[1].replace(b",", b"")) if said else given if trailer else None
    return given, announced


def parts(data: bytes, name: str, report: Report, clock: str) -> Iterator[tuple[pl.DataFrame, csv.Block]]:
    """(rows, block of refused lines) of each block of the file.

    Rows have location, location_id, kind, interval_start (UTC, null where the label names no instant), flags, prices,
    published_at where the comments state it, and `line`. Raises PayloadRefused for a file that was cut or whose lines
    have no day; NothingYet where there are none.
    """
    given, announced = counted(data)
    if announced != given:
        said = f"its trailer says {announced:,}" if announced is not None else "it has no trailer (T) at its end"
        raise PayloadRefused(f"the file was cut: {given:,} data lines, and {said}; fetch it again")
    if not given:
        raise NothingYet("ISO-NE has no prices for this report yet; it will be asked again")
    if len(set(report.columns)) < len(report.columns):
        raise PayloadRefused(f"a column comes twice in the header: {', '.join(report.columns)}")
    day = _day(report, name) if report.five_minute else None
    body = data[report.at : data.rstrip(b" \t\r\n,\x1a").rfind(b"\n") + 1]
    kinds = {one: pl.Float64 if one in _PRICES else pl.String for one in report.columns if not one.startswith("_")}
    # One batch, for the order of lines may have to tell the passes of an hour apart.
    blocks = list(csv.read(",".join(report.columns).encode() + b"\n" + body, kinds))
    shift = report.lines - 1
    frame = pl.concat([block.frame for block in blocks]).with_columns(pl.col("line") + shift)
    block = csv.Block(
        frame.clear(),
        [number + shift for one in blocks for number in one.lines],
        [reason for one in blocks for reason in one.reasons],
        [raw for one in blocks for raw in one.raws],
    )
    frame = _named(frame.with_columns(pl.col(pl.String).str.strip_chars()))
    timed = _five_minutes(frame, day, clock) if report.five_minute else _hours(frame, clock)
    stated = _generated(report)
    if stated is not None:
        timed = timed.with_columns(pl.lit(stated).cast(pl.Datetime("us", "UTC")).alias("published_at"))
    yield timed, block


def _named(frame: pl.DataFrame) -> pl.DataFrame:
    """Names and types may be missing, where the id alone tells the place."""
    absent = [
        pl.lit(None, dtype=kind).alias(one)
        for one, kind in {"location": pl.String, "kind": pl.String, **dict.fromkeys(_PRICES, pl.Float64)}.items()
        if one not in frame.columns
    ]
    return frame.with_columns(absent).with_columns(pl.coalesce("location", "location_id").alias("location"))


def _hours(frame: pl.DataFrame, clock: str) -> pl.DataFrame:
    hour = pl.col("hour").str.extract_groups(r"^(\d{1,2})(?::00)?\s*([A-Za-z*]?)$")
    labels = frame.select(
        stamps.day(pl.col("day"), "mdy").alias("day"),
        hour.struct[0].cast(pl.Int64, strict=False).alias("hour"),
        hour.struct[1].alias("mark"),
    )
    whole = labels.with_columns(pl.col("hour").fill_null(0))
    found = read(whole, convention("isone.express"), _HOUR, clock=clock)
    return frame.with_columns(found["interval_start"], pl.lit(0, dtype=pl.UInt32).alias("flags"))


def _five_minutes(frame: pl.DataFrame, day: date | None, clock: str) -> pl.DataFrame:
    told = pl.col("time")
    if day is not None:
        bare = told.str.contains(r"^\d{1,2}:")
        told = pl.when(bare).then(pl.lit(f"{day:%Y-%m-%d} ") + told).otherwise(told)
    # Seconds are jitter of the publisher, as in the web services.
    label = frame.select(stamps.wall(told, "mdy", ["%Y-%m-%d %H:%M:%S"]).dt.truncate("1m").alias("label"))["label"]
    instant, status = wall_to_utc(label, clock, place=frame["location_id"])
    unsure = pl.when(status == Status.TWICE).then(Flag.AMBIGUOUS_TIME.value).otherwise(0).cast(pl.UInt32)
    return frame.with_columns(instant.alias("interval_start"), unsure.alias("flags"))


def _day(report: Report, name: str) -> date | None:
    """The one day that times without a day belong to."""
    for told in report.comments:
        found = _FOR.search(told)
        if found and found[2] in (None, found[1]):
            return _date(found[1])
    named = _NAMED_DAY.search(name) or _NAMED_DAY.search(" ".join(report.comments))
    try:
        return date(int(named[1]), int(named[2]), int(named[3])) if named else None
    except ValueError:
        return None


def _date(text: str) -> date | None:
    try:
        return datetime.strptime(text, "%m/%d/%Y").date()
    except ValueError:
        return None


def _generated(report: Report) -> datetime | None:
    found = _GENERATED.search(" ".join(report.comments))
    if not found:
        return None
    form = "%m/%d/%Y %H:%M:%S" if found[1].count(":") > 1 else "%m/%d/%Y %H:%M"
    try:
        return datetime.strptime(found[1], form).replace(tzinfo=_OFFSETS[found[2].upper()]).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
