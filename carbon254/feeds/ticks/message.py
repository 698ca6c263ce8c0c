"""One tick message, read with care: what is wrong with it is said in a sentence."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

import polars as pl

COLUMNS = (
    "tenant", "source", "instrument", "event_time", "event_id", "sequence", "market",
    "price", "quantity", "bid", "ask", "flags", "line",
)  # fmt: skip


class Message(NamedTuple):
    """A tick as it will be stored; `no_offset` says that its time had none."""

    tenant: str | None
    source: str
    instrument: str
    event_time: datetime
    event_id: str | None
    sequence: int | None
    market: str | None
    price: float | None
    quantity: float | None
    bid: float | None
    ask: float | None
    line: int
    no_offset: bool

    @staticmethod
    def schema() -> dict[str, Any]:
        """Column types of a list of messages."""
        texts = dict.fromkeys(("tenant", "source", "instrument", "event_id", "market"), pl.String)
        numbers = dict.fromkeys(("price", "quantity", "bid", "ask"), pl.Float64)
        other = {
            "event_time": pl.Datetime("us", "UTC"),
            "sequence": pl.UInt64,
            "line": pl.Int64,
            "no_offset": pl.Boolean,
        }
        return {name: {**texts, **numbers, **other}[name] for name in Message._fields}


def read_message(entry: object, line: int) -> Message | str:
    """The message, or why it cannot be one."""
    if not isinstance(entry, Mapping):
        return "the message is not a JSON object"
    try:
        return _enveloped(entry, line) if "envelope" in entry or "payload" in entry else _plain(entry, line)
    except ValueError as error:
        return str(error)


def _plain(entry: Mapping[str, Any], line: int) -> Message:
    at, no_offset = _time(entry, "time")
    return _checked(
        Message(
            _text(entry, "tenant", required=False),
            _text(entry, "source", required=False) or "push",
            _text(entry, "instrument") or "",
            at,
            _text(entry, "event_id", required=False),
            _whole(entry, "sequence"),
            _text(entry, "market", required=False),
            _number(entry, "price"),
            _number(entry, "quantity"),
            _number(entry, "bid"),
            _number(entry, "ask"),
            line,
            no_offset,
        )
    )


def _enveloped(entry: Mapping[str, Any], line: int) -> Message:
    envelope, payload = _part(entry, "envelope"), _part(entry, "payload")
    raw = _part(payload, "raw_data")
    at, no_offset = _time(raw if "timestamp" in raw else envelope, "timestamp")
    return _checked(
        Message(
            _text(envelope, "tenant_id"),
            _text(envelope, "source") or "",
            _text(payload, "instrument_id") or "",
            at,
            _text(envelope, "event_id", required=False),
            _whole(raw, "sequence"),
            _text(payload, "market", required=False),
            _number(raw, "price"),
            _number(raw, "volume"),
            _number(raw, "bid"),
            _number(raw, "ask"),
            line,
            no_offset,
        )
    )


def _checked(message: Message) -> Message:
    if message.price is None and message.bid is None and message.ask is None:
        raise ValueError("there is no price, bid or ask")
    if message.quantity is not None and message.quantity < 0:
        raise ValueError(f"the quantity is negative: {message.quantity:g}")
    return message


def _part(entry: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    part = entry.get(name)
    if not isinstance(part, Mapping):
        raise ValueError(f"{name} is missing")
    return part


def _text(entry: Mapping[str, Any], name: str, required: bool = True) -> str | None:
    value = entry.get(name)
    if value is None or value == "":
        if required:
            raise ValueError(f"{name} is missing")
        return None
    if not isinstance(value, str):
        raise ValueError(f"{name} is not text: {value!r}")
    return value


def _number(entry: Mapping[str, Any], name: str) -> float | None:
    value = entry.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"{name} is not a number: {value!r}")
    return float(value)


def _whole(entry: Mapping[str, Any], name: str) -> int | None:
    value = entry.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 1 << 64:
        raise ValueError(f"{name} is not a whole number: {value!r}")
    return value


def _time(entry: Mapping[str, Any], name: str) -> tuple[datetime, bool]:
    text = _text(entry, name) or ""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{name} is not an ISO 8601 time: {text!r}") from None
    return (at.replace(tzinfo=UTC), True) if at.tzinfo is None else (at.astimezone(UTC), False)
