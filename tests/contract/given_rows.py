"""Invented rows for the contract suites, shaped as the stages hand them over."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pytest

from carbon254.model import dataset
from carbon254.model.arrow import conform
from carbon254.stores.hot import HotStore, open_hot

T0 = datetime(2025, 3, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)

_ORIGIN = {
    "known_basis": "received", "revision": 0, "published_at": None, "flags": 0,
    "feed": "iso.rt.lmp.spp", "payload": "a" * 64, "batch_id": "1",
}  # fmt: skip
_TYPES = {
    "interval_start": pl.Datetime("us", "UTC"), "interval_end": pl.Datetime("us", "UTC"),
    "known_at": pl.Datetime("us", "UTC"), "received_at": pl.Datetime("us", "UTC"),
    "published_at": pl.Datetime("us", "UTC"), "event_time": pl.Datetime("us", "UTC"), "lmp": pl.Float64,
    "congestion": pl.Float64, "price": pl.Float64,
}  # fmt: skip


def shaped(name: str, rows: list[dict[str, Any]]) -> pa.Table:
    types = {column: kind for column, kind in _TYPES.items() if column in rows[0]}
    return conform(pl.DataFrame(rows, schema_overrides=types, infer_schema_length=None), dataset(name))


def price(place: str = "NORTH_HUB", start: datetime = T0, lmp: float | None = 20.0, **other: Any) -> dict[str, Any]:
    """One row of interval_prices, known an hour after its start."""
    facts: Mapping[str, Any] = {
        "market": "SPP", "product": "energy", "market_run": "RTBM", "location": place, "location_id": place,
        "interval_start": start, "interval_end": start + HOUR, "lmp": lmp, "congestion": None,
        "known_at": start + HOUR, "received_at": start + HOUR, "commodity": "power", "region": "SPP",
        "product_tier": "real_time", "location_type": "hub",
    }  # fmt: skip
    return {**_ORIGIN, **facts, **other}


def prices(*rows: dict[str, Any]) -> pa.Table:
    return shaped("interval_prices", list(rows))


def benchmark(commodity: str, name: str, day: date, value: float | None, **other: Any) -> dict[str, Any]:
    """One row of energy_prices."""
    known = datetime(day.year, day.month, day.day, tzinfo=UTC) + 24 * HOUR
    facts: Mapping[str, Any] = {
        "commodity": commodity, "benchmark": name, "price_date": day, "price": value, "unit": "USD/bbl",
        "location": "Cushing, OK", "known_at": known, "received_at": known,
    }  # fmt: skip
    return {**_ORIGIN, "feed": "energy.spot.eia", **facts, **other}


def tick(instrument: str = "CRUDE_WTI", event_id: str = "e1", at: datetime = T0, **other: Any) -> dict[str, Any]:
    """One row of market_ticks, received a second after it happened."""
    facts: Mapping[str, Any] = {
        "tenant": "public", "source": "ingestion.test", "instrument": instrument, "event_time": at,
        "event_id": event_id, "sequence": None, "market": "TEST", "price": 70.0,
        "received_at": at + timedelta(seconds=1), "flags": 0, "commodity": "oil", "region": "US",
        "product_tier": "spot", "feed": "market.ticks", "payload": "b" * 64, "batch_id": "1",
    }  # fmt: skip
    return {**facts, **other}


# The embedded engine; ClickHouse's HTTP interface over it, in a process of its own; and a server, where there is one.
ENGINES = [
    "embedded",
    pytest.param("front", marks=pytest.mark.servers("front")),
    pytest.param("server", marks=pytest.mark.servers("clickhouse")),
]


def engine_url(request: pytest.FixtureRequest) -> str:
    """The URL of the engine that the test is on, emptied; none for the embedded one, which has a folder."""
    return "" if request.param == "embedded" else request.getfixturevalue("clickhouse")()


@contextmanager
def opened(folder: Path, url: str = "") -> Iterator[HotStore]:
    """A hot store in a folder, of which a process holds one at a time; or the one at `url`."""
    hot = open_hot(url or f"chdb://{folder / 'hot'}")
    try:
        hot.ensure()
        yield hot
    finally:
        hot.close()
