"""ERCOT settlement point prices: the public API's JSON and the CDR CSV files, day-ahead and real-time.

Day-ahead (NP4-190): deliveryDate, hourEnding `01:00`..`24:00`, settlementPoint, settlementPointPrice, DSTFlag.
Real-time (NP6-905): deliveryDate, deliveryHour, deliveryInterval 1..4, settlementPoint(Name), settlementPointType, …
JSON dates are `YYYY-MM-DD`, CSV dates `MM/DD/YYYY`; CSV cells and header cells may be padded with blanks. Columns are
found by name. There is no loss component and no energy component in a settlement point price.

Real-time files price a load zone twice: plain (`LZ`, `LZ_DC`) and energy-weighted (`LZEW`, `LZ_DCEW`), under one name.
The energy-weighted row gets the suffix `_EW`, so that neither price overwrites the other.
How hours become instants: see `hours.py`.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import replace
from datetime import date

import polars as pl

from carbon254.errors import NothingYet, PayloadRefused
from carbon254.wire import csv, stamps
from carbon254.wire.blocks import number_text
from carbon254.wire.names import fold

from ..contract import Payload, Rows, rejects
from ..sift import Texts, first_of, lines_of, sift, wild
from .envelope import read as read_json
from .hours import counted_days, with_times

_DA, _RT = "iso.da.lmp.ercot", "iso.rt.lmp.ercot"
_HEAD = re.compile(rb'"name"\s*:\s*"(hourEnding|deliveryInterval)"', re.I)
_DAYS = ("%m/%d/%Y", "%Y-%m-%d")
_HOUR = r"^0?(\d{1,2})(?::00(?::00)?)?$"
_LOOK = 4_096
_NAMES = {
    "deliverydate": "day",
    "hourending": "hour",
    "deliveryhour": "hour",
    "deliveryinterval": "quarter",
    "settlementpoint": "location",
    "settlementpointname": "location",
    "settlementpointtype": "kind",
    "settlementpointprice": "lmp",
    "dstflag": "flag",
    "repeatedhourflag": "flag",
    "repeathourflag": "flag",
}
_YES, _NO = ("true", "y", "yes", "1"), ("false", "n", "no", "0")
_EXTRA_HOUR = re.compile(rb'[,;"\s]25(:00){0,2}[",;\s]')
_NO_ROWS = re.compile(rb'"data"\s*:\s*\[\s*\]')
_PRICED = re.compile(rb'"name"\s*:\s*"settlement[ _]?point[ _]?price"', re.I)
_KINDS = {
    "HU": "hub",
    "SH": "hub",
    "AH": "hub",
    "LZ": "zone",
    "LZEW": "zone",
    "LZ_DC": "interface",
    "LZ_DCEW": "interface",
}


def recognise(name: str, head: bytes) -> list[str]:
    """By the columns: hourEnding is day-ahead, deliveryInterval real-time."""
    columns = set(csv.folded(head))
    if {"deliverydate", "settlementpointprice"} <= columns:
        return [_RT] if "deliveryinterval" in columns else [_DA]
    if not head.lstrip().startswith(b"{") or not _PRICED.search(head):
        return []
    found = _HEAD.search(head)
    return [] if not found else [_RT if found[1].lower() == b"deliveryinterval" else _DA]


def explain(name: str, head: bytes) -> PayloadRefused | None:
    """A report's envelope without fields and rows."""
    if b'"_meta"' not in head or not _NO_ROWS.search(head):
        return None
    return NothingYet("ERCOT has no rows for this request yet; it will be asked again")


def parse(payload: Payload) -> Iterator[Rows]:
    """Rows in the payload's order. Raises PayloadRefused for another report, an error or an empty answer."""
    if payload.data[:_LOOK].lstrip()[:1] in (b"{", b"["):
        yield _of_json(payload)
        return
    header = csv.header(payload.data)
    _check(header, payload)
    empty = True
    counted = _counted(payload.data, header)
    for block in csv.read(payload.data, dict.fromkeys(header, pl.String)):
        empty = False
        yield _rows(block.frame, payload, lines_of(payload.data), counted, block)
    if empty:
        raise NothingYet("the file has a header and no rows; it will be asked for again")


def _of_json(payload: Payload) -> Rows:
    table = read_json(payload.data)
    _check(table.frame.columns, payload)
    if table.frame.is_empty() and not table.wrong:
        raise NothingYet("ERCOT has no rows for this request yet; it will be asked again")
    rows = replace(_rows(table.frame, payload, table.texts, None), counted=table.counted)
    if not table.wrong:
        return rows
    reasons = [f"not a row of {len(table.frame.columns) - 1} plain cells"] * len(table.wrong)
    wrong = rejects(table.wrong, reasons, table.texts(table.wrong))
    return replace(rows, rejects=pl.concat([rows.rejects, wrong]).sort("line"))


def _check(columns: list[str], payload: Payload) -> None:
    found = [_NAMES.get(fold(name), "") for name in columns]
    missing = [name for name in ("day", "hour", "location", "lmp") if name not in found]
    if missing or len([name for name in found if name]) != len(set(filter(None, found))):
        raise PayloadRefused(f"not an ERCOT settlement point price file: its columns are {', '.join(columns)[:300]}")
    topic = _RT if "quarter" in found else _DA
    if topic != payload.stream.topic:
        raise PayloadRefused(f"these are prices of {topic}, not of {payload.stream.topic}: ingest them there")


def _counted(data: bytes, header: list[str]) -> frozenset[date]:
    """Days of a file with an hour 25, wherever in it that hour stands; few files have one, and only those are read."""
    if not _EXTRA_HOUR.search(data):
        return frozenset()
    wanted = {name: pl.String for name in header if _NAMES.get(fold(name)) in ("day", "hour")}
    blocks = (counted_days(_labelled(block.frame)) for block in csv.read(data, wanted))
    return frozenset[date]().union(*blocks)


def _labelled(frame: pl.DataFrame) -> pl.DataFrame:
    """`day` and `hour` of a table of texts."""
    frame = _named(frame)
    return frame.select(_day(pl.col("day")), _hour(pl.col("hour")))


def _named(frame: pl.DataFrame) -> pl.DataFrame:
    """The columns we know, under our names and without blanks."""
    names = {name: _NAMES[fold(name)] for name in frame.columns if fold(name) in _NAMES}
    return frame.select(*(pl.col(old).str.strip_chars().alias(new) for old, new in names.items()), "line")


def _day(text: pl.Expr) -> pl.Expr:
    return stamps.day(text, "mdy", _DAYS).alias("day")


def _hour(text: pl.Expr) -> pl.Expr:
    return text.str.extract(_HOUR).cast(pl.Int64, strict=False).alias("hour")


def _rows(
    frame: pl.DataFrame,
    payload: Payload,
    texts: Texts,
    counted: Collection[date] | None,
    block: csv.Block | None = None,
) -> Rows:
    frame = _named(frame)
    absent = [
        pl.lit(None, dtype=pl.String).alias(name) for name in ("kind", "flag", "quarter") if name not in frame.columns
    ]
    real_time = "quarter" in frame.columns
    frame = with_times(_typed(frame.with_columns(absent), real_time), payload.stream.clock, counted)
    reason = first_of(
        (pl.col("day").is_null(), "the delivery date is not a date this report prints"),
        (
            pl.col("interval_start").is_null(),
            "the day has no such delivery hour or interval (1 to 24, less the one the clock skips)",
        ),
        (pl.col("location").is_null() | (pl.col("location") == ""), "the settlement point is empty"),
        (pl.col("lmp").is_null() & pl.col("priced"), "the price is not a number"),
        (wild(["lmp"]), "the price is not a finite number"),
    )
    rows = sift(frame, reason, texts, block)
    kept = ["location", "location_id", "location_type", "interval_start", "flags", "lmp", "line"]
    return Rows(rows.frame.select(name for name in kept if name in rows.frame.columns), rows.rejects)


def _typed(frame: pl.DataFrame, real_time: bool) -> pl.DataFrame:
    """Text cells into the types `hours.with_times` and the checks need."""
    flag = pl.col("flag").str.to_lowercase()
    weighted = pl.col("kind").str.ends_with("EW").fill_null(False)
    name = pl.when(weighted).then(pl.col("location") + "_EW").otherwise(pl.col("location"))
    kinds = [pl.col("kind").replace_strict(_KINDS, default="node").alias("location_type")] if real_time else []
    quarter = pl.col("quarter").cast(pl.Int64, strict=False).fill_null(0) if real_time else pl.lit(1, dtype=pl.Int64)
    return frame.with_columns(
        _day(pl.col("day")),
        _hour(pl.col("hour")),
        quarter.alias("quarter"),
        pl.when(flag.is_in(_YES)).then(True).when(flag.is_in(_NO)).then(False).alias("flag"),
        (pl.col("lmp").is_not_null() & (pl.col("lmp") != "")).alias("priced"),
        number_text(pl.col("lmp")).cast(pl.Float64, strict=False).alias("lmp"),
        name.alias("location"),
        name.alias("location_id"),
        *kinds,
    )
