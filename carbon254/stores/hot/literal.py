"""Values as the engine's SQL writes them."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime

from carbon254.model import Dataset


def literal(value: str | datetime) -> str:
    """A value as SQL text. Datetimes must be aware; they become microsecond instants in UTC."""
    if isinstance(value, datetime):
        moment = value.astimezone(UTC)
        return f"fromUnixTimestamp64Micro({round(moment.timestamp() * 1_000_000)}, 'UTC')"
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def without(arrivals: Collection[tuple[datetime, str]]) -> str:
    """The condition that leaves out rows of these arrivals (received_at, payload), to be put behind another."""
    told = ", ".join(f"({literal(at)}, {literal(payload)})" for at, payload in sorted(arrivals))
    return f" AND (received_at, payload) NOT IN ({told})" if told else ""


def within(dataset: Dataset, start: datetime, end: datetime) -> str:
    """The rows whose partition time lies in [start, end). Raises ValueError for times without a zone."""
    if start.tzinfo is None or end.tzinfo is None:
        raise ValueError("a span needs zone-aware times")
    if dataset.column(dataset.partition).type == "date":
        low, high = (f"toDate32('{moment.date()}')" for moment in (start, end))
    else:
        low, high = literal(start), literal(end)
    return f"{dataset.partition} >= {low} AND {dataset.partition} < {high}"
