"""ISO New England prices: web services v1.1 JSON, `HourlyLmps.HourlyLmp[]` and `FiveMinLmps.FiveMinLmp[]`.

A record has BeginDate (ISO instant with offset, the interval's start), Location {"@LocId", "@LocType", "$"}, LmpTotal,
EnergyComponent, CongestionComponent, LossComponent. A single record is an object instead of a list, the outer
collection may be missing, and an empty collection is an empty text. Seconds of a five-minute stamp are jitter of the
publisher and are cut off.

Day-ahead and real-time hourly answers look the same, so the stream decides: hourly records of the real-time stream are
market run RT_HOURLY, with their own interval of one hour.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import orjson
import polars as pl

from carbon254.errors import NothingYet, PayloadRefused

from ..contract import Payload, Rows
from ..sift import first_of, number_column, sift, wild

_DA, _RT = "iso.da.lmp.isone", "iso.rt.lmp.isone"
_STEPS = {"HourlyLmp": timedelta(hours=1), "FiveMinLmp": timedelta(minutes=5)}
_PRICES = {
    "LmpTotal": "lmp",
    "EnergyComponent": "energy",
    "CongestionComponent": "congestion",
    "LossComponent": "loss",
}
_KINDS = {"HUB": "hub", "LOAD ZONE": "zone", "EXT. NODE": "interface", "EXTERNAL NODE": "interface"}
_HEAD = re.compile(rb'\s*\{\s*"(HourlyLmp|FiveMinLmp)s?"')
_REAL_TIME_NAME = re.compile(r"(^|[^a-z])rt([^a-z]|$)|prelim|realtime|real_time", re.I)
_DAY_AHEAD_NAME = re.compile(r"(?i)(^|[^a-z])(da|dayahead|day-ahead)([^a-z]|$)")


def recognise(name: str, head: bytes) -> list[str]:
    """By the first key; an hourly answer may be day-ahead or real-time, which only the name can tell."""
    found = _HEAD.match(head)
    if not found:
        return []
    if found[1] == b"FiveMinLmp":
        return [_RT]
    if _REAL_TIME_NAME.search(name):
        return [_RT]
    return [_DA] if _DAY_AHEAD_NAME.search(name) else [_DA, _RT]


def parse(payload: Payload) -> Iterator[Rows]:
    """Rows in the payload's order. Raises PayloadRefused for an error, another collection or an empty answer."""
    kind, records = _records(payload.data)
    if kind == "FiveMinLmp" and payload.stream.topic == _DA:
        raise PayloadRefused(f"these are five-minute prices of {_RT}, not of {_DA}: ingest them there")
    good = [record if isinstance(record, dict) else {} for record in records]
    places = [place if isinstance(place := record.get("Location"), dict) else {} for record in good]
    columns: dict[str, Any] = {
        "location": [_text(place.get("$")) for place in places],
        "location_id": [_text(place.get("@LocId")) for place in places],
        "kind": [_text(place.get("@LocType")) for place in places],
        "begin": [_text(record.get("BeginDate")) for record in good],
        "line": range(1, len(records) + 1),
    }
    schema = {**dict.fromkeys(["location", "location_id", "kind", "begin"], pl.String), "line": pl.Int64}
    frame = pl.DataFrame(columns, schema=schema)
    yield _rows(_priced(frame, good), records, kind, payload.stream.topic)


def _priced(frame: pl.DataFrame, records: list[dict[str, Any]]) -> pl.DataFrame:
    if records and not any("LmpTotal" in record for record in records):
        raise PayloadRefused(f"LmpTotal is missing; the records have {', '.join(map(str, records[0]))}")
    bad = pl.Series("bad", [False] * frame.height, dtype=pl.Boolean)
    for theirs, ours in _PRICES.items():
        values, wrong = number_column(ours, [record.get(theirs) for record in records])
        frame, bad = frame.with_columns(values), bad | wrong
    return frame.with_columns(bad.alias("bad"))


def _rows(frame: pl.DataFrame, records: list[Any], kind: str, topic: str) -> Rows:
    begin = pl.col("begin").str.to_datetime("%Y-%m-%dT%H:%M:%S%.f%z", time_unit="us", time_zone="UTC", strict=False)
    frame = frame.with_columns(
        begin.dt.truncate("1m").alias("interval_start"),
        pl.col("kind").str.to_uppercase().replace_strict(_KINDS, default="node").alias("location_type"),
    )
    reason = first_of(
        (pl.col("interval_start").is_null(), "BeginDate is not a time with an offset"),
        (pl.col("location_id").is_null() | pl.col("location").is_null(), "the location has no @LocId or no name"),
        (pl.col("bad"), "a price is not a number"),
        (wild(_PRICES.values()), "a price is not a finite number"),
    )
    rows = sift(frame, reason, lambda numbers: [orjson.dumps(records[number - 1]).decode() for number in numbers])
    end = (pl.col("interval_start") + pl.lit(_STEPS[kind], dtype=pl.Duration("us"))).alias("interval_end")
    run = [pl.lit("RT_HOURLY").alias("market_run")] if kind == "HourlyLmp" and topic == _RT else []
    places = ["location", "location_id", "location_type"]
    return Rows(rows.frame.select(*places, "interval_start", end, *_PRICES.values(), *run, "line"), rows.rejects)


def _records(data: bytes) -> tuple[str, list[Any]]:
    """(HourlyLmp or FiveMinLmp, records) whatever layers are there."""
    if not data.strip():
        raise PayloadRefused("the file is empty")
    try:
        answer = orjson.loads(data.removeprefix(b"\xef\xbb\xbf"))
    except orjson.JSONDecodeError as error:
        raise PayloadRefused(f"not JSON: {error}") from error
    for kind in _STEPS:
        layer = answer
        for key in (f"{kind}s", kind):
            if isinstance(layer, dict) and key in layer:
                layer = layer[key]
        if layer is answer:
            continue
        if layer in ("", None, [], {}):
            raise NothingYet("ISO-NE has no records for this request yet; it will be asked again")
        if isinstance(layer, dict):
            return kind, [layer]
        if isinstance(layer, list):
            return kind, layer
    said = orjson.dumps(answer).decode()[:200]
    raise PayloadRefused(f"not an ISO-NE price answer (no HourlyLmp, no FiveMinLmp): {said}")


def _text(value: Any) -> str | None:
    return str(value) if isinstance(value, (str, int)) else None
