"""PJM Data Miner 2 prices: the CSV export and the JSON API of `da_hrl_lmps`, `rt_hrl_lmps`, `rt_fivemin_hrl_lmps`.

Columns datetime_beginning_utc, datetime_beginning_ept, pnode_id, pnode_name, …, system_energy_price_x, total_lmp_x,
congestion_price_x, marginal_loss_price_x, row_is_current, version_nbr with x = da or rt. Only the UTC stamp is read:
`1/1/2024 5:00:00 AM` in the CSV, `2024-01-01T05:00:00` in JSON, the interval's start. A corrected hour comes as several
rows, told apart by `version_nbr`; all are kept, those that are not current with a flag.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import orjson
import polars as pl

from carbon254.errors import NothingYet, PayloadRefused
from carbon254.model import Flag
from carbon254.wire import csv, json, names, stamps

from ..contract import Counted, Payload, Rows
from ..sift import Texts, first_of, lines_of, number_column, sift, wild
from .pages import count

_START = "datetime_beginning_utc"
_TEXT = (_START, "pnode_id", "pnode_name", "type", "row_is_current", "version_nbr")
_TOPICS = {"da": "iso.da.lmp.pjm", "rt": "iso.rt.lmp.pjm", "rt5": "iso.rt5.lmp.pjm"}
_KINDS = {"hub": "hub", "zone": "zone", "interface": "interface"}
_QUICK = ("%m/%d/%Y %I:%M:%S %p", "%Y-%m-%dT%H:%M:%S%.f")
_LOOK = 4_096
_NO_ROWS = re.compile(rb'"items"\s*:\s*\[\s*\]')
_OFF_HOUR = re.compile(rb"[ T]\d{1,2}:(?!00)\d\d\b")


def recognise(name: str, head: bytes) -> list[str]:
    """By the columns; five-minute and hourly real-time prices have the same, so their minutes and the name tell."""
    columns = csv.header(head)
    if csv.has(head, _START, "pnode_id"):
        side = _side_of(columns)
    elif re.match(rb'\s*[\[{].*?"datetime_beginning_utc"', head, re.S):
        side = next((side for side in ("da", "rt") if f'"total_lmp_{side}"'.encode() in head), None)
    else:
        return []
    if side != "rt":
        return [_TOPICS["da"]] if side else []
    if _OFF_HOUR.search(head):
        return [_TOPICS["rt5"]]
    order = ("rt5", "rt") if "fivemin" in name else ("rt", "rt5")
    return [_TOPICS[key] for key in order]


def explain(name: str, head: bytes) -> PayloadRefused | None:
    """A Data Miner answer without rows: it does not say of which feed."""
    if b'"totalRows"' not in head or not _NO_ROWS.search(head):
        return None
    return NothingYet("PJM has no rows for this request yet; it will be asked again")


def parse(payload: Payload) -> Iterator[Rows]:
    """Rows in the payload's order. Raises PayloadRefused for an answer of another feed, an error or an empty answer."""
    if payload.data[:_LOOK].lstrip()[:1] in (b"{", b"["):
        yield _of_json(payload)
        return
    side = _side(csv.header(payload.data), payload)
    types: dict[str, type[pl.DataType]] = {
        **dict.fromkeys(_TEXT, pl.String),
        **dict.fromkeys(_prices(side), pl.Float64),
    }
    empty = True
    for block in csv.read(payload.data, types):
        empty = False
        yield _rows(block.frame, payload, side, lines_of(payload.data), pl.lit(False), block)
    if empty:
        raise NothingYet("the file has a header and no rows; it will be asked for again")


def _prices(side: str) -> dict[str, str]:
    return {
        f"total_lmp_{side}": "lmp",
        f"system_energy_price_{side}": "energy",
        f"congestion_price_{side}": "congestion",
        f"marginal_loss_price_{side}": "loss",
    }


def _side_of(columns: list[str]) -> str | None:
    return next((side for side in ("da", "rt") if names.matched(columns, [f"total_lmp_{side}"])), None)


def _side(columns: list[str], payload: Payload) -> str:
    """da or rt, from the columns; the stream must be on the same side."""
    found = _side_of(columns)
    if found is None:
        raise PayloadRefused(f"not a PJM price file: no total_lmp column among {', '.join(columns[:20])}")
    csv.require(columns, [_START, "pnode_id", "pnode_name", *_prices(found)], "not a PJM price file")
    if (found == "da") != (payload.stream.market_run == "DAM"):
        raise PayloadRefused(f"these are prices of {_TOPICS[found]}, not of {payload.stream.topic}: ingest them there")
    return found


def _of_json(payload: Payload) -> Rows:
    items, counted = _items(payload.data)
    good = [item if isinstance(item, dict) else {} for item in items]
    side = _side(sorted(set().union(*good[:100])), payload)
    columns: dict[str, Any] = {"line": range(1, len(items) + 1)}
    for name in _TEXT:
        columns[name] = [None if (value := item.get(name)) is None else str(value) for item in good]
    bad = pl.Series([not isinstance(item, dict) for item in items])
    for name in _prices(side):
        columns[name], wrong = number_column(name, [item.get(name) for item in good])
        bad |= wrong
    schema = {"line": pl.Int64, **dict.fromkeys(_TEXT, pl.String)}
    frame = pl.DataFrame(columns, schema_overrides=schema).with_columns(bad.alias("bad"))
    rows = _rows(frame, payload, side, lambda lines: [_json_text(items[line - 1]) for line in lines], pl.col("bad"))
    return replace(rows, counted=counted)


def _items(data: bytes) -> tuple[list[Any], Counted | None]:
    answer = json.loads(data)
    items = answer.get("items") if isinstance(answer, dict) else answer
    if not isinstance(items, list):
        said = orjson.dumps(answer).decode()[:200]
        raise PayloadRefused(f"not a Data Miner answer (no items): {said}")
    if not items:
        raise NothingYet("PJM has no rows for this request yet; it will be asked again")
    return items, count(answer)


def _json_text(item: Any) -> str:
    return orjson.dumps(item).decode()


def _rows(
    frame: pl.DataFrame, payload: Payload, side: str, texts: Texts, bad: pl.Expr, block: csv.Block | None = None
) -> Rows:
    for name in ("type", "row_is_current", "version_nbr"):
        if name not in frame.columns:
            frame = frame.with_columns(pl.lit(None, dtype=pl.String).alias(name))
    prices = _prices(side)
    current = pl.col("row_is_current").str.strip_chars().str.to_lowercase()
    frame = frame.select(
        pl.col("pnode_name").str.strip_chars().alias("location"),
        pl.col("pnode_id").str.strip_chars().alias("location_id"),
        pl.col("type").str.to_lowercase().replace_strict(_KINDS, default="node").alias("location_type"),
        _instant(pl.col(_START)).alias("interval_start"),
        *(pl.col(theirs).alias(ours) for theirs, ours in prices.items()),
        pl.col("version_nbr").str.strip_chars().cast(pl.UInt32, strict=False).alias("revision"),
        pl.when(current == "false").then(Flag.NOT_CURRENT.value).otherwise(0).cast(pl.UInt32).alias("flags"),
        pl.col("line"),
        (pl.col("version_nbr").is_not_null() & (pl.col("version_nbr") != "")).alias("versioned"),
        bad.alias("bad"),
    )
    _check_step(frame, payload)
    reason = first_of(
        (pl.col("interval_start").is_null(), f"{_START} is not a time this feed prints"),
        (pl.col("bad"), "a price is not a number"),
        (wild(prices.values()), "a price is not a finite number"),
        (pl.col("versioned") & pl.col("revision").is_null(), "version_nbr is not a whole number"),
    )
    rows = sift(frame, reason, texts, block)
    return Rows(rows.frame.drop("versioned", "bad").with_columns(pl.col("revision").fill_null(0)), rows.rejects)


def _instant(stamp: pl.Expr) -> pl.Expr:
    return stamps.utc(stamp, "mdy", _QUICK)


def _check_step(frame: pl.DataFrame, payload: Payload) -> None:
    """Hourly and five-minute real-time files have the same columns; their minutes tell them apart."""
    starts = frame["interval_start"].drop_nulls()
    off_hour = bool((starts.dt.minute() != 0).any())
    if off_hour and payload.stream.topic == _TOPICS["rt"]:
        raise PayloadRefused(f"these are five-minute prices of {_TOPICS['rt5']}: ingest them there")
    if payload.stream.topic == _TOPICS["rt5"] and not off_hour and starts.n_unique() > 1:
        raise PayloadRefused(f"these are hourly prices of {_TOPICS['rt']}: ingest them there")
