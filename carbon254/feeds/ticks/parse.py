"""Pushed ticks: one JSON object, an array of them, or one a line.

A payload called `*.jsonl` is one message a line, whatever the others look like: senders of one do not know each other.

Plain form: `instrument`, `time` (ISO 8601), `price`, `quantity`, `source`, `sequence`, and where known `tenant`,
`market`, `event_id`, `bid`, `ask`. Envelope form: `envelope` {event_id, timestamp, tenant_id, source, metadata} with
`payload` {market, instrument_id, raw_data {timestamp, price, volume, bid, ask, …}}. Both may stand in one payload.

A time without an offset is read as UTC and flagged. A negative quantity is a reject; a negative price is not.
The columnar reader takes whole payloads; a payload with anything unusual in it is read message by message, so that
each bad message gets its own reason.
"""

from __future__ import annotations

from collections.abc import Iterator

import orjson
import polars as pl

from carbon254.errors import PayloadRefused
from carbon254.model import Flag
from carbon254.model.ticks import EVERYBODY

from ..contract import Payload, Rows, rejects
from .message import COLUMNS, Message, read_message

LINES = ".jsonl"
_BLOCK = 200_000
_LOOK = 4_096
_PLAIN = pl.Schema(
    {
        "instrument": pl.String,
        "time": pl.String,
        "price": pl.Float64,
        "quantity": pl.Float64,
        "source": pl.String,
        "sequence": pl.UInt64,
        "tenant": pl.String,
        "market": pl.String,
        "event_id": pl.String,
        "bid": pl.Float64,
        "ask": pl.Float64,
    }
)
# The columnar reader turns a number into text, and a truth value or a fraction into a whole number, without a word. So
# the bytes of every payload are searched first for a field whose value is empty or not of its kind.
_WRONG_KIND = (
    r'"(?:instrument|time|source|tenant|market|event_id)"[ \t\r\n]*:[ \t\r\n]*(?:[^" \t\r\nn]|"")'
    r'|"(?:price|quantity|bid|ask)"[ \t\r\n]*:[ \t\r\n]*[^-0-9 \t\r\nn]'
    r'|"sequence"[ \t\r\n]*:[ \t\r\n]*(?:[^0-9 \t\r\nn]|[0-9]+[.eE]|[0-9]{20})'
)
_STAMP = "%Y-%m-%dT%H:%M:%S%.fZ"


def recognise(name: str, head: bytes) -> list[str]:
    """JSON whose first message names an instrument."""
    start = head.lstrip(b" \r\n\t[")
    named = any(key in start[:_LOOK] for key in (b'"instrument"', b'"instrument_id"', b'"raw_data"'))
    return ["market.ticks"] if start.startswith(b"{") and named else []


def parse(payload: Payload) -> Iterator[Rows]:
    """Ticks in the order sent. Raises PayloadRefused where the payload is not JSON objects at all."""
    data = payload.data.strip()
    if not data:
        raise PayloadRefused("the payload is empty: send one tick, an array of ticks, or one a line")
    columns = _columnar(data)
    if columns is not None:
        for start in range(0, columns.height, _BLOCK):
            yield Rows(columns.slice(start, _BLOCK))
        return
    yield _message_by_message(_lines(data) if payload.name.endswith(LINES) else _objects(data))


def _columnar(data: bytes) -> pl.DataFrame | None:
    """The payload as columns, or None where a message is not in the plain form or needs a reason of its own."""
    if b'"envelope"' in data or b'"payload"' in data or b"\\u" in data:
        return None
    try:
        if pl.Series([data.decode()]).str.contains(_WRONG_KIND).item():
            return None
        array = data.startswith(b"[")
        frame = pl.read_json(data, schema=_PLAIN) if array else pl.read_ndjson(data, schema=_PLAIN)
    except (pl.exceptions.PolarsError, UnicodeDecodeError):
        return None
    at = pl.col("time").str.to_datetime(_STAMP, time_unit="us", time_zone="UTC", strict=False)
    frame = frame.with_columns(at.alias("event_time"), pl.col("source").fill_null("push"))
    return None if _unusual(frame) else _finish(frame)


def _unusual(frame: pl.DataFrame) -> bool:
    odd = frame.select(
        pl.col("event_time").is_null().any()
        | pl.col("instrument").is_null().any()
        | (pl.col("price").is_null() & pl.col("bid").is_null() & pl.col("ask").is_null()).any()
        | pl.any_horizontal(pl.col("price", "quantity", "bid", "ask").is_finite().not_()).any()
        | (pl.col("quantity") < 0).any()
    ).item()
    return bool(odd)


def _finish(frame: pl.DataFrame) -> pl.DataFrame:
    content = pl.lit("")
    if (frame["event_id"].is_null() & frame["sequence"].is_null()).any():
        values = [pl.col(name).cast(pl.String).fill_null("") for name in ("price", "quantity", "bid", "ask")]
        content = pl.concat_str(values, separator="|")
    return frame.with_columns(
        pl.col("tenant").fill_null(EVERYBODY),
        pl.col("market").fill_null("PUSHED"),
        pl.coalesce("event_id", "seq:" + pl.col("sequence").cast(pl.String), "value:" + content).alias("event_id"),
        pl.lit(0, dtype=pl.UInt32).alias("flags") if "flags" not in frame.columns else pl.col("flags"),
        pl.int_range(1, pl.len() + 1, dtype=pl.Int64).alias("line") if "line" not in frame.columns else pl.col("line"),
    ).select(*COLUMNS)


def _objects(data: bytes) -> list[object]:
    """The payload's messages. Raises PayloadRefused where there are none."""
    try:
        whole = orjson.loads(data)
        return whole if isinstance(whole, list) else [whole]
    except orjson.JSONDecodeError as error:
        if data.startswith(b"[") or b"\n" not in data:
            raise PayloadRefused(f"not JSON: {error}") from error
    found = _lines(data)
    if not any(isinstance(entry, dict) for entry in found):
        raise PayloadRefused("not JSON: no line is a JSON object")
    return found


def _lines(data: bytes) -> list[object]:
    """A message of each line. One that is not JSON comes back as its bytes; an array is as many messages."""
    found: list[object] = []
    for line in data.splitlines():
        try:
            entry = orjson.loads(line) if line.strip() else b""
        except orjson.JSONDecodeError:
            entry = line
        found += entry if isinstance(entry, list) else [entry]
    return found


def _message_by_message(messages: list[object]) -> Rows:
    good: list[Message] = []
    lines, reasons, raws = [], [], []
    for number, entry in enumerate(messages, start=1):
        if entry == b"":
            continue
        found = read_message(entry, number)
        if isinstance(found, str):
            lines.append(number)
            reasons.append(found)
            raws.append(entry.decode("utf-8", "replace") if isinstance(entry, bytes) else orjson.dumps(entry).decode())
        else:
            good.append(found)
    frame = pl.DataFrame(good, schema=Message.schema(), orient="row")
    flags = pl.when(pl.col("no_offset")).then(Flag.NO_OFFSET.value).otherwise(0).cast(pl.UInt32).alias("flags")
    return Rows(_finish(frame.with_columns(flags)), rejects(lines, reasons, raws))
