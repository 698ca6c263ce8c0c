"""EIA API v2 daily spot prices: `response.data[]` with period `YYYY-MM-DD`, series, value, units.

Which series are ours, with commodity, unit and delivery point, is on the card. `value` is a text, a number or null;
`response.total` a text or a number. `request.params` echoes the caller's key and is never read. A null price is kept
as a missing price.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import orjson
import polars as pl

from carbon254.errors import NothingYet, PayloadRefused
from carbon254.model import Flag
from carbon254.wire import json

from ..contract import Counted, Payload, Rows
from ..sift import first_of, number_column, sift, wild
from .pages import count

_TOPIC = "energy.spot.eia"
_OURS = (b'"RWTC"', b'"RBRTE"', b'"RNGWHHD"')
_NO_ROWS = re.compile(rb'"data"\s*:\s*\[\s*\]')
_UNITS = {"$/BBL": "USD/bbl", "$/MMBTU": "USD/MMBtu"}


def recognise(name: str, head: bytes) -> list[str]:
    """An API v2 answer that carries one of our series."""
    is_answer = head.lstrip().startswith(b"{") and b'"response"' in head
    return [_TOPIC] if is_answer and any(series in head for series in _OURS) else []


def explain(name: str, head: bytes) -> PayloadRefused | None:
    """An API v2 answer without rows."""
    if b'"response"' not in head or not _NO_ROWS.search(head):
        return None
    return NothingYet("EIA has no rows for this request yet; it will be asked again")


def parse(payload: Payload) -> Iterator[Rows]:
    """Daily prices in the payload's order. Raises PayloadRefused for an error answer or another EIA route."""
    records, counted = _records(payload.data)
    good = [record if isinstance(record, dict) else {} for record in records]
    if not any("series" in record for record in good):
        raise PayloadRefused("an EIA answer without series ids: it belongs to another route than the spot prices")
    text = {
        name: [value if isinstance(value := record.get(name), str) else None for record in good]
        for name in ("period", "series", "units")
    }
    if good and not any("value" in record for record in good):
        raise PayloadRefused(f"value is missing; the rows have {', '.join(map(str, good[0]))}")
    price, bad = number_column("price", [record.get("value") for record in good])
    frame = pl.DataFrame(text, schema=dict.fromkeys(text, pl.String)).with_columns(
        price, bad.alias("bad"), pl.int_range(1, pl.len() + 1, dtype=pl.Int64).alias("line")
    )
    yield replace(_rows(frame, records, payload.stream.options["series"]), counted=counted)


def _rows(frame: pl.DataFrame, records: list[Any], series: Mapping[str, Mapping[str, str]]) -> Rows:
    def fact(name: str) -> pl.Expr:
        facts = {key: value[name] for key, value in series.items()}
        return pl.col("series").replace_strict(facts, default=None, return_dtype=pl.String)

    stated = pl.col("units").str.to_uppercase().replace_strict(_UNITS, default="?", return_dtype=pl.String)
    frame = frame.with_columns(
        fact("commodity").alias("commodity"),
        pl.col("series").alias("benchmark"),
        pl.col("period").str.to_date("%Y-%m-%d", strict=False).alias("price_date"),
        fact("unit").alias("unit"),
        fact("location").alias("location"),
        pl.when(pl.col("price").is_null()).then(Flag.MISSING_PRICE.value).otherwise(0).cast(pl.UInt32).alias("flags"),
    )
    reason = first_of(
        (pl.col("price_date").is_null(), "period is not a day (YYYY-MM-DD)"),
        (pl.col("commodity").is_null(), "the series is not one of those on the card"),
        (pl.col("units").is_not_null() & (stated != pl.col("unit")), "the unit is not the one on the card"),
        (pl.col("bad"), "the value is not a number"),
        (wild(["price"]), "the value is not a finite number"),
    )
    rows = sift(frame, reason, lambda numbers: [orjson.dumps(records[number - 1]).decode() for number in numbers])
    kept = ["commodity", "benchmark", "price_date", "price", "unit", "location", "flags", "line"]
    return Rows(rows.frame.select(kept), rows.rejects)


def _records(data: bytes) -> tuple[list[Any], Counted | None]:
    answer = json.loads(data)
    response = answer.get("response") if isinstance(answer, dict) else None
    records = response.get("data") if isinstance(response, dict) else None
    if isinstance(answer, dict) and "error" in answer:
        said = {key: answer[key] for key in ("error", "code") if key in answer}
        raise PayloadRefused(f"EIA answered with an error: {orjson.dumps(said).decode()[:200]}")
    if not isinstance(response, dict) or not isinstance(records, list):
        raise PayloadRefused("not an EIA API v2 answer: it has no response.data")
    if response.get("frequency", "daily") != "daily":
        raise PayloadRefused(f"EIA answered with {response['frequency']!r} rows; this feed takes daily ones")
    if not records:
        raise NothingYet("EIA has no rows for this request yet; it will be asked again")
    return records, count(answer)
