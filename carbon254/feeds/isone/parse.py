"""ISO New England prices: web services v1.1 in JSON and XML (`records`), and the public CSV reports (`express`).

A record has BeginDate (ISO instant with offset, the interval's start), Location {"@LocId", "@LocType", "$"}, LmpTotal,
EnergyComponent, CongestionComponent, LossComponent. Seconds of a five-minute stamp are jitter of the publisher and are
cut off.

Day-ahead and real-time hourly answers of the web services look the same, so the name decides, or whoever names the
stream; a CSV report says in its title which it is. Hourly records of the real-time stream are market run RT_HOURLY,
with their own interval of one hour. Preliminary and final prices are versions of the same rows: whichever is known
later stands, and the market's settlement rungs tell when prices count as final.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta

import polars as pl

from carbon254.errors import NothingYet, PayloadRefused
from carbon254.wire import csv

from ..contract import Payload, Rows
from ..sift import Texts, first_of, lines_of, number_column, sift, wild
from . import express, records

_DA, _RT = "iso.da.lmp.isone", "iso.rt.lmp.isone"
_HOUR, _FIVE_MINUTES = timedelta(hours=1), timedelta(minutes=5)
_PRICES = dict(zip(records.PRICES, ("lmp", "energy", "congestion", "loss"), strict=True))
_KINDS = {"HUB": "hub", "LOAD ZONE": "zone", "EXT. NODE": "interface", "EXTERNAL NODE": "interface"}
_REAL_TIME_NAME = re.compile(r"(^|[^a-z])rt([^a-z]|$)|prelim|realtime|real_time", re.I)
_DAY_AHEAD_NAME = re.compile(r"(?i)(^|[^a-z])(da|dayahead|day-ahead|dalmp)([^a-z]|$)")
_FORMATS = "it takes the web services' JSON and XML (HourlyLmps, FiveMinLmps) and CSV reports of C, H, D and T lines"


def recognise(name: str, head: bytes) -> list[str]:
    """By the first key or element, or a report's header and title; an hourly one that says no more, by its name."""
    report = express.opened(head) if express.looks_like(head) else None
    kind = records.kind_of(head)
    if kind == "FiveMinLmp" or (report and report.market == "rt"):
        return [_RT]
    if report and report.market == "da":
        return [_DA]
    if not kind and report is None:
        return []
    if _REAL_TIME_NAME.search(name):
        return [_RT]
    return [_DA] if _DAY_AHEAD_NAME.search(name) else [_DA, _RT]


def parse(payload: Payload) -> Iterator[Rows]:
    """Rows in the payload's order. Raises PayloadRefused for an error, another collection, a cut or an empty answer."""
    body = payload.data[:4_096].lstrip(b"\xef\xbb\xbf \t\r\n")
    if not body:
        raise PayloadRefused("the file is empty")
    if express.nothing_yet(payload.data):
        raise NothingYet("ISO-NE has no file for this day yet; it will be asked again")
    if express.looks_like(body):
        yield from _of_report(payload)
    elif body[:1] in (b"{", b"[", b"<", b'"'):
        yield _of_records(payload)
    else:
        raise PayloadRefused(f"not a file of ISO-NE's prices: {_FORMATS}")


def _of_report(payload: Payload) -> Iterator[Rows]:
    report = express.opened(payload.data[:65_536])
    if report is None:
        raise PayloadRefused(f"a CSV report of something else than prices: {_FORMATS}")
    _check(payload, {"da": _DA, "rt": _RT}.get(report.market, payload.stream.topic), report.five_minute)
    step = _FIVE_MINUTES if report.five_minute else _HOUR
    for frame, block in express.parts(payload.data, payload.name, report, payload.stream.clock):
        reason = first_of(
            (pl.col("interval_start").is_null(), "the date and time name no interval of the market's clock"),
            (pl.col("location_id").fill_null("") == "", "the location has no id"),
            (wild(_PRICES.values()), "a price is not a finite number"),
        )
        yield _rows(frame, reason, step, payload, lines_of(payload.data), block)


def _of_records(payload: Payload) -> Rows:
    try:
        found = records.read(payload.data)
    except NothingYet:
        raise
    except PayloadRefused as refusal:
        raise PayloadRefused(f"{refusal}; {_FORMATS}") from refusal
    five = found.kind == "FiveMinLmp"
    _check(payload, _RT if five else payload.stream.topic, five)
    columns = found.columns
    told = {"location": records.NAME, "location_id": records.ID, "kind": records.TYPE, "begin": records.BEGIN}
    texts = [pl.Series(ours, columns[theirs], dtype=pl.String) for ours, theirs in told.items()]
    prices = [number_column(ours, columns[theirs]) for theirs, ours in _PRICES.items()]
    lines = pl.int_range(1, found.count + 1, dtype=pl.Int64, eager=True).alias("line")
    bad = pl.DataFrame([wrong.alias(values.name) for values, wrong in prices])
    begin = pl.col("begin").str.to_datetime("%Y-%m-%dT%H:%M:%S%.f%z", time_unit="us", time_zone="UTC", strict=False)
    frame = pl.DataFrame([*texts, *(values for values, _ in prices), lines]).with_columns(
        begin.dt.truncate("1m").alias("interval_start"), bad.select(pl.any_horizontal(pl.all()).alias("bad"))["bad"]
    )
    reason = first_of(
        (pl.col("interval_start").is_null(), "BeginDate is not a time with an offset"),
        (
            pl.any_horizontal(pl.col("location_id", "location").fill_null("") == ""),
            "the location has no @LocId or no name",
        ),
        (pl.col("bad"), "a price is not a number"),
        (wild(_PRICES.values()), "a price is not a finite number"),
    )
    return _rows(frame, reason, _FIVE_MINUTES if five else _HOUR, payload, found.texts)


def _check(payload: Payload, topic: str, five_minute: bool) -> None:
    if topic != payload.stream.topic:
        what = "five-minute prices" if five_minute else "hourly prices"
        raise PayloadRefused(f"these are {what} of {topic}, not of {payload.stream.topic}: ingest them there")


def _rows(
    frame: pl.DataFrame,
    reason: pl.Expr,
    step: timedelta,
    payload: Payload,
    texts: Texts,
    block: csv.Block | None = None,
) -> Rows:
    frame = frame.with_columns(
        pl.col("kind").str.to_uppercase().replace_strict(_KINDS, default="node").alias("location_type")
    )
    rows = sift(frame, reason, texts, block)
    end = (pl.col("interval_start") + pl.lit(step, dtype=pl.Duration("us"))).alias("interval_end")
    hourly = step == _HOUR and payload.stream.topic == _RT
    run = [pl.lit("RT_HOURLY").alias("market_run")] if hourly else []
    also = [name for name in ("flags", "published_at") if name in frame.columns]
    names = ["location", "location_id", "location_type"]
    return Rows(rows.frame.select(*names, "interval_start", end, *_PRICES.values(), *also, *run, "line"), rows.rejects)
