"""Invented histories for the as-of suites, and a slow twin of the store: a dict of key → versions, sorted in Python."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

import polars as pl
import pyarrow as pa

from carbon254.model import dataset
from carbon254.model.arrow import arrow_schema

FIRST = datetime(2025, 3, 8, 22, tzinfo=UTC)
LAST = FIRST + timedelta(days=40)
HOUR = timedelta(hours=1)
Row = dict[str, Any]

MOMENT = {
    "as_of": lambda row, at: row["known_at"] <= at,
    "as_of_strict": lambda row, at: row["known_at"] <= at and row["known_basis"] != "assumed",
    "as_received": lambda row, at: row["received_at"] <= at,
}  # fmt: skip


def payload(seed: random.Random) -> str:
    return hashlib.sha256(seed.randbytes(16)).hexdigest()


def known_times(seed: random.Random, floor: datetime, days: int) -> Row:
    """received: known when it came; published and assumed: known before it came. Whole minutes, so that ties happen."""
    received = floor + timedelta(minutes=seed.randrange(0, 60 * 24 * days))
    basis = seed.choice(["received", "received", "published", "assumed"])
    known = received if basis == "received" else floor + (received - floor) * seed.random()
    known = known.replace(second=0, microsecond=0)
    return {"known_at": known, "received_at": received, "known_basis": basis, "revision": seed.choice([0, 0, 1, 2]),
            "published_at": known if basis == "published" else None}  # fmt: skip


def _rivals(seed: random.Random, row: Row, value: Callable[[random.Random], Row]) -> Iterable[Row]:
    """Other payloads about the same moment: equal, of another revision, received later, or with other values."""
    if seed.random() < 0.2:
        yield {}
    if seed.random() < 0.2:
        yield {**value(seed), "revision": row["revision"] + 1}
    if seed.random() < 0.2:
        yield {**value(seed), "known_basis": "published", "received_at": row["received_at"] + HOUR}
    if seed.random() < 0.2:
        yield value(seed)


def _rows(
    seed: random.Random, keys: Iterable[Row], versions: int, value: Callable[[random.Random], Row], days: int = 30
) -> list[Row]:
    found = []
    for key in keys:
        floor = key.pop("_floor")
        for _ in range(seed.randint(1, versions)):
            origin = {"flags": seed.choice([0, 1]), "feed": "f", "payload": payload(seed), "batch_id": "1"}
            row = {**key, **value(seed), **known_times(seed, floor, days), **origin}
            found.append(row)
            found += [row | other | {"payload": payload(seed)} for other in _rivals(seed, row, value)]
    return found


def price_rows(seed: random.Random, places: int = 5, hours: int = 30, versions: int = 4) -> list[Row]:
    keys = [
        {"market": market, "product": "energy", "market_run": run, "location": f"N{place}", "location_id": f"N{place}",
         "interval_start": FIRST + hour * HOUR, "interval_end": FIRST + (hour + 1) * HOUR, "commodity": "power",
         "region": market, "product_tier": "t", "location_type": "node", "_floor": FIRST + (hour + 1) * HOUR}
        for market, run in (("SPP", "RTBM"), ("MISO", "DAM")) for place in range(places)
        for hour in range(0, hours, 3)
    ]  # fmt: skip

    def value(seed: random.Random) -> Row:
        known = seed.random() < 0.8
        return {"lmp": seed.choice([20.0, 21.5, 0.0, -3.25]) if known else None, "energy": 20.0 if known else None,
                "congestion": seed.choice([0.0, None]), "loss": None, "ghg": None}  # fmt: skip

    return _rows(seed, keys, versions, value)


def forecast_rows(seed: random.Random) -> list[Row]:
    keys = [
        {"source": "NWS", "location": place, "forecast_time": FIRST + hour * HOUR,
         "forecast_end": FIRST + (hour + 1) * HOUR,
         "issued_at": FIRST + (hour - lead) * HOUR, "_floor": FIRST + (hour - lead) * HOUR}
        for place in ("KORD", "KDFW") for hour in range(0, 72, 6) for lead in (6, 30, 54)
    ]  # fmt: skip

    def value(seed: random.Random) -> Row:
        named = ("latitude", "longitude", "dew_point", "relative_humidity", "wind_speed", "precipitation_probability")
        return dict.fromkeys(named) | {"temperature": seed.choice([5.0, 6.5, None])}

    return _rows(seed, keys, 2, value, days=2)


def benchmark_rows(seed: random.Random) -> list[Row]:
    days = [date(2025, 3, 3) + timedelta(days=n) for n in range(6)]
    keys = [
        {"commodity": commodity, "benchmark": name, "price_date": day, "location": "somewhere",
         "_floor": datetime(day.year, day.month, day.day, tzinfo=UTC) + 24 * HOUR}
        for commodity, name in (("crude_oil", "RWTC"), ("crude_oil", "DCOILWTICO"), ("natural_gas", "RNGWHHD"))
        for day in days
    ]  # fmt: skip
    return _rows(seed, keys, 3, lambda seed: {"price": seed.choice([70.0, 71.0, None]), "unit": "USD/bbl"})


def tick_rows(seed: random.Random) -> list[Row]:
    found = []
    for number in range(150):
        at = FIRST + timedelta(minutes=number * 7)
        for _ in range(seed.randint(1, 2)):
            found.append(
                {"tenant": "public", "source": "desk", "instrument": f"I{number % 4}", "event_time": at,
                 "event_id": str(number), "sequence": None, "market": "ICE", "price": seed.choice([70.0, 71.0]),
                 "quantity": 1.0, "bid": None, "ask": None,
                 "received_at": at + timedelta(seconds=seed.randrange(1, 10**6)),
                 "flags": 0, "commodity": "oil", "region": "US", "product_tier": "spot", "feed": "market.ticks",
                 "payload": payload(seed), "batch_id": "1", "position": 0,
                 "location_id": None, "unit": None}
            )  # fmt: skip
    return found


def table(name: str, rows: list[Row]) -> pa.Table:
    return pa.Table.from_pylist(rows, arrow_schema(dataset(name)))


def last_versions(name: str, rows: Iterable[Row], order: Mapping[str, int] | None = None) -> list[Row]:
    """The slow twin: one list of versions a key, the last one by (known_at, revision, received_at, values, payload)."""
    about = dataset(name)
    ranks = order or {}
    by_key: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        by_key.setdefault(tuple(row[key] for key in about.key), []).append(row)
    if name == "market_ticks":
        return [min(versions, key=lambda row: row["received_at"]) for versions in by_key.values()]

    def place(row: Row) -> tuple[Any, ...]:
        return (*(row[part] for part in about.version), ranks.get(row["payload"], 0), row["payload"])

    return [max(versions, key=place) for versions in by_key.values()]


def digest(name: str, rows: Iterable[Mapping[str, Any]]) -> str:
    """SHA-256 over the rows in key order, every column but the batch."""
    about = dataset(name)
    columns = [column for column in about.names if column != "batch_id"]
    lines = sorted(repr([_plain(row[column]) for column in columns]) for row in rows)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _plain(value: Any) -> Any:
    return value.astimezone(UTC).isoformat() if isinstance(value, datetime) else value


def rows_of(answer: pa.Table) -> list[Row]:
    return pl.DataFrame(answer).to_dicts()
