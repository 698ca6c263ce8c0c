"""NYISO prices: the public day files (P-24A real-time, P-2A day-ahead, hourly real-time) and OASIS custom reports.

Day files: Time Stamp, Name, PTID, LBMP ($/MWHr), Marginal Cost Losses ($/MWHr), Marginal Cost Congestion ($/MWHr),
quoted or not, perhaps after an empty line; before July 2016 the last header was cut to `($/MWH`, so columns are told by
how they begin. Day-ahead and hourly stamps are the hour's beginning, `MM/DD/YYYY HH:MM`; real-time stamps the
interval's end, with seconds, and runs off the five-minute grid occur. Nothing but the order of rows parts the two
passes of the autumn hour: the file is one batch, in its own order, and normalise tells them apart. In the real-time
file the end of the first pass (02:00 daylight time) is printed 01:00, standard time.

Export: Eastern Date Hour (or RTD End Time Stamp), its Time Zone (EDT, EST), Zone Name, Zone PTID, DAM Zonal LBMP,
Losses, Congestion and Price Version; a spreadsheet may have left dates as `6/1/24 0:00`.

The real-time file of the running day also looks ahead: its last stamps, a quarter of an hour apart, are of the
commitment run and give way to dispatch prices in later answers; `runs` tells them, and which run a file is of.

Congestion is printed with the opposite sign, LBMP = energy + losses - congestion; the card turns it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import polars as pl

from carbon254.errors import NothingYet, PayloadRefused
from carbon254.wire import csv, stamps
from carbon254.wire.names import fold

from ..contract import Payload, Rows, rejects
from ..sift import first_of, lines_of, sift, wild
from . import runs

_PARTS = {
    "stamp": r"(timestamp|easterndatehour|rtdendtimestamp)$",
    "location": r"(zone)?name$",
    "location_id": r"(zone)?ptid$",
    "lmp": r"((dam|rtd)zonal)?lbmp",
    "loss": r"(marginalcost|(dam|rtd)zonal)losses",
    "congestion": r"(marginalcost|(dam|rtd)zonal)congestion",
    "zone": r"(easterndatehour|rtdendtimestamp)?timezone$",
    "version": r"(dam|rtd)zonalpriceversion$",
}
_OPTIONAL = ("zone", "version")
_PRICES = ("lmp", "loss", "congestion")
_TOPICS = {runs.DAY_AHEAD: "iso.da.lmp.nyiso", runs.HOURLY: "iso.rth.lmp.nyiso", runs.DISPATCH: "iso.rt.lmp.nyiso"}
_STAMPS = ("%m/%d/%Y %H:%M:%S", "%m/%d/%Y %H:%M")
_PASSES = {"EDT": 0, "EST": 1}
_LEADING = re.compile(rb"(?:\xef\xbb\xbf)?[ \t]*\r?\n")


def recognise(name: str, head: bytes) -> list[str]:
    """By the columns, and then by the name or, where that was lost, by the stamps; hourly files may be of two feeds."""
    skip = _blank_lines(head)
    columns = _columns(csv.header(head, skip))
    if not {"stamp", "location", "lmp"} <= set(columns):
        return []
    lines = head.decode("utf-8", "replace").splitlines()[skip + 1 :]
    return [_TOPICS[run] for run in runs.candidates(name, columns["lmp"], lines)]


def parse(payload: Payload) -> Iterator[Rows]:
    """All rows as one batch. Raises PayloadRefused for an empty file, a page, or prices of another stream."""
    skip = _blank_lines(payload.data)
    found = csv.header(payload.data, skip)
    columns = _columns(found)
    missing = [part for part in _PARTS if part not in columns and part not in _OPTIONAL]
    if missing or len(set(found)) < len(found):
        raise PayloadRefused(f"not a NYISO price file: no column for {', '.join(missing) or 'one thing only'}: {found}")
    _check_run(payload, columns, payload.data[:65_536].decode("utf-8", "replace").splitlines()[skip + 1 :])
    types = {theirs: pl.Float64 if ours in _PRICES else pl.String for ours, theirs in columns.items()}
    yield _rows(list(csv.read(payload.data, types, skip)), columns, payload)


def _blank_lines(data: bytes) -> int:
    """How many empty lines precede the header."""
    count, position = 0, 0
    while found := _LEADING.match(data, position):
        count, position = count + 1, found.end()
    return count


def _columns(header: Sequence[str]) -> dict[str, str]:
    """Our name → theirs, for those that are there; theirs in any spelling."""
    pairs = (
        (part, next((name for name in header if re.match(rule, fold(name))), None)) for part, rule in _PARTS.items()
    )
    return {part: name for part, name in pairs if name}


def _check_run(payload: Payload, columns: dict[str, str], lines: Sequence[str]) -> None:
    found = [_TOPICS[run] for run in runs.candidates(payload.name, columns["lmp"], lines)]
    if payload.stream.topic not in found:
        where = " or ".join(found)
        raise PayloadRefused(f"these are prices of {where}, not of {payload.stream.topic}: ingest them there")


def _rows(blocks: list[csv.Block], columns: dict[str, str], payload: Payload) -> Rows:
    if not blocks:
        raise NothingYet("the file has a header and no lines; it will be asked for again")
    frame = pl.concat([block.frame for block in blocks]).rename({theirs: ours for ours, theirs in columns.items()})
    bad = pl.concat([rejects(block.lines, block.reasons, block.raws) for block in blocks])
    frame = frame.with_columns(pl.col(pl.String).str.strip_chars())
    kind = pl.lit("node" if "_gen" in payload.name else None, dtype=pl.String).alias("location_type")
    told = frame.with_columns(_label(pl.col("stamp")).alias("label"), kind, *_marks(columns))
    reason = first_of(
        (pl.col("label").is_null(), f"{columns['stamp']} is not a time this file prints"),
        (pl.col("location_id").fill_null("") == "", "the PTID is empty"),
        (wild(_PRICES), "a price is not a finite number"),
        *_mark_causes(columns),
    )
    rows = sift(told, reason, lines_of(payload.data))
    kept = [column for column in rows.frame.columns if column not in ("stamp", *_OPTIONAL)]
    frame = rows.frame.select(kept)
    # A report says of its column that it is dispatch; only the day file of the public site looks ahead.
    if fold(columns["lmp"]).startswith("lbmp") and runs.AHEAD in payload.stream.runs:
        frame = runs.with_look_ahead(frame, payload.stream)
    return Rows(frame, pl.concat([bad, rows.rejects]).sort("line"))


def _label(stamp: pl.Expr) -> pl.Expr:
    """Naive local stamps; a year of two digits is a spreadsheet's and must not be taken for the first century."""
    return stamps.wall(stamp, "mdy", _STAMPS)


def _marks(columns: dict[str, str]) -> list[pl.Expr]:
    """The pass of a repeated hour and the price version, where the export prints them."""
    mark = pl.col("zone").replace_strict(_PASSES, default=None, return_dtype=pl.Int8).alias("mark")
    version = pl.col("version").cast(pl.UInt32, strict=False).alias("revision")
    return [mark] * ("zone" in columns) + [version] * ("version" in columns)


def _mark_causes(columns: dict[str, str]) -> list[tuple[pl.Expr, str]]:
    causes: list[tuple[pl.Expr, str]] = []
    if "zone" in columns:
        causes.append((pl.col("mark").is_null(), "the time zone is neither EDT nor EST"))
    if "version" in columns:
        causes.append((pl.col("revision").is_null(), "the price version is not a whole number"))
    return causes
