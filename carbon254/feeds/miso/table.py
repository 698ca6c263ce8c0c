"""MISO's five-minute prices in JSON, in the two shapes its public API has.

`GetLmpConsolidatedTable` (and the data broker's `getlmpconsolidatedtable` before it): LMPData.RefId such as
"25-Jun-2026 - Interval 02:25 EST" and LMPData.FiveMinLMP with HourAndMin "02:25" and PricingNode, a list of
{name, LMP, MLC, MCC} in text. Source of the format: public readers of that address (gridstatus; kardashev; a Go reader
that prints an example answer). The hourly tables beside it are other feeds' and are left alone.

`GetRealTimeFiveMinExPost/Current|Rolling|Previous`: {"headers": [INTERVAL, CPNODE, LMP, MLC, MCC], "data": [[…], …]},
all text, columns found by name. Source: gridstatus.

Both stamps are Eastern standard time all year and name the END of the interval: gridstatus read INTERVAL as the start
until its pull request 946 of September 2026 put it right; the Go reader holds "11:05" to be 11:00 to 11:05 too.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import orjson
import polars as pl

from carbon254.errors import NothingYet, PayloadRefused
from carbon254.wire import json, stamps

from ..contract import Payload, Rows, rejects
from ..sift import first_of, number_column, sift, wild

TOPIC = "iso.rt.lmp.miso"
_REF = re.compile(r"(\d{1,2}-[A-Za-z]{3}-\d{4})\s*-\s*Interval\s+(\d{1,2}):(\d\d)")
_PRICES = {"LMP": "lmp", "MCC": "congestion", "MLC": "loss"}
_HEADERS = ("INTERVAL", "CPNODE", *_PRICES)
_STAMPS = ("%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S")


def looks_like(head: bytes) -> bool:
    """True where the first bytes are those of a five-minute table."""
    body = head.lstrip()
    consolidated = b'"LMPData"' in head and (b'"RefId"' in head or b'"FiveMinLMP"' in head)
    return body[:1] == b"{" and (consolidated or (b'"headers"' in head and b'"CPNODE"' in head))


def parse(payload: Payload) -> Rows:
    """Rows of a table. Raises PayloadRefused for JSON of another shape, or for a stream that is not five-minute."""
    answer = json.loads(payload.data)
    if payload.stream.topic != TOPIC:
        raise PayloadRefused(f"a table of five-minute prices belongs to {TOPIC}, not to {payload.stream.topic}")
    if isinstance(answer, dict) and isinstance(answer.get("LMPData"), dict):
        return _consolidated(answer["LMPData"])
    if isinstance(answer, dict) and isinstance(answer.get("headers"), list) and isinstance(answer.get("data"), list):
        return _ex_post(answer["headers"], answer["data"])
    raise PayloadRefused(f"neither LMPData nor headers and data: {orjson.dumps(answer).decode()[:200]}")


def _consolidated(data: dict[str, Any]) -> Rows:
    five = data.get("FiveMinLMP")
    nodes = five.get("PricingNode") if isinstance(five, dict) else None
    nodes = [nodes] if isinstance(nodes, dict) else nodes
    if not isinstance(five, dict) or not isinstance(nodes, list) or not nodes:
        raise NothingYet("LMPData has no FiveMinLMP.PricingNode: MISO has no five-minute prices now")
    closes = _closes(data.get("RefId"), five.get("HourAndMin"))
    records = [node if isinstance(node, dict) else {} for node in nodes]
    columns = [[record.get(name) for record in records] for name in ("name", *_PRICES)]
    label = pl.lit(closes).cast(pl.Datetime("us"))
    return _rows(columns, list(range(1, len(nodes) + 1)), label, nodes, "RT_5MIN")


def _closes(reference: Any, clock: Any) -> datetime:
    """The interval's end: HourAndMin on the day that brings it nearest to RefId, which may already be the next day."""
    found = _REF.search(reference) if isinstance(reference, str) else None
    time = re.fullmatch(r"\s*(\d{1,2}):(\d\d)\s*", clock) if isinstance(clock, str) else None
    try:
        if found is None or time is None or int(time[1]) > 24 or int(time[2]) > 59:
            raise ValueError
        midnight = datetime.strptime(found[1], "%d-%b-%Y")
        moment = midnight + timedelta(hours=int(found[2]), minutes=int(found[3]))
        close = midnight + timedelta(hours=int(time[1]), minutes=int(time[2]))
        return min((close + timedelta(days=days) for days in (0, -1, 1)), key=lambda end: abs(end - moment))
    except (ValueError, OverflowError) as error:
        raise PayloadRefused(f"the table's time cannot be read: RefId {reference!r}, HourAndMin {clock!r}") from error


def _ex_post(headers: list[Any], data: list[Any]) -> Rows:
    names = [name.upper() if isinstance(name, str) else "" for name in headers]
    missing = [name for name in _HEADERS if name not in names]
    if missing:
        raise PayloadRefused(f"column {', '.join(missing)} is missing")
    if not data:
        raise NothingYet("the table has no rows; it will be asked for again")
    width = len(names)
    whole = [number for number, row in enumerate(data, 1) if isinstance(row, list) and len(row) == width]
    good = data if len(whole) == len(data) else [data[number - 1] for number in whole]
    turned = list(zip(*good, strict=True)) or [()] * width
    columns = [turned[names.index(name)] for name in ("CPNODE", *_PRICES)]
    stamp = pl.Series("stamp", [text if isinstance(text, str) else None for text in turned[names.index("INTERVAL")]])
    label = stamps.wall(pl.lit(stamp.cast(pl.String)), "mdy", _STAMPS)
    rows = _rows(columns, whole, label, data, "RT_5MIN_EXPOST")
    odd = sorted(set(range(1, len(data) + 1)) - set(whole)) if len(whole) < len(data) else []
    reason = f"not {width} cells as the headers have"
    short = rejects(odd, [reason] * len(odd), [_text(data[number - 1]) for number in odd])
    return Rows(rows.frame, pl.concat([short, rows.rejects]).sort("line"))


def _rows(columns: Sequence[Sequence[Any]], lines: list[int], label: pl.Expr, records: list[Any], run: str) -> Rows:
    """Rows of a name and three prices in `columns`; `lines` number the records they come from."""
    names = pl.Series("location", [text if isinstance(text, str) else None for text in columns[0]], dtype=pl.String)
    prices, wrong = [], pl.Series([False], dtype=pl.Boolean).new_from_index(0, len(lines))
    for ours, values in zip(_PRICES.values(), columns[1:], strict=True):
        numbers, odd = _numbers(ours, values)
        prices.append(numbers)
        wrong = wrong | odd
    frame = pl.DataFrame([names.str.strip_chars(), *prices, pl.Series("line", lines, dtype=pl.Int64)]).with_columns(
        pl.col("location").alias("location_id"),
        pl.when(pl.col("location").str.ends_with(".HUB")).then(pl.lit("hub")).alias("location_type"),
        label.alias("label"),
        pl.lit(run).alias("market_run"),
        wrong.alias("wrong"),
    )
    reason = first_of(
        (pl.col("location").fill_null("") == "", "the pricing node has no name"),
        (pl.col("label").is_null(), "INTERVAL is not a time this table prints"),
        (pl.col("wrong"), "a price is not a number"),
        (wild(_PRICES.values()), "a price is not a finite number"),
    )
    rows = sift(frame, reason, lambda numbers: [_text(records[number - 1]) for number in numbers])
    return Rows(rows.frame.drop("wrong"), rows.rejects)


def _numbers(name: str, values: Sequence[Any]) -> tuple[pl.Series, pl.Series]:
    """(prices, True where one is there but is no number); all text, as it is published, goes the quick way."""
    try:
        text = pl.Series(name, values, dtype=pl.String, strict=True).str.strip_chars()
    except (TypeError, pl.exceptions.PolarsError):
        return number_column(name, values)
    numbers = text.cast(pl.Float64, strict=False)
    return numbers, numbers.is_null() & text.is_not_null() & (text != "")


def _text(record: Any) -> str:
    return orjson.dumps(record).decode()[:500]
