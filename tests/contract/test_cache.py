"""The cache's contract: the newest stands whatever the order, and a slow watcher never holds a writer up."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from carbon254.stores.cache import LatestPrices
from carbon254.stores.cache.latest import PRICE_COLUMNS, TICK_COLUMNS

START = datetime(2025, 7, 1, tzinfo=UTC)


def price(place: str, interval: int, lmp: float | None, known: int = 0) -> dict[str, object]:
    start = START + timedelta(minutes=5 * interval)
    row = dict.fromkeys(PRICE_COLUMNS, "SPP")
    times = {"interval_start": start, "interval_end": start + timedelta(minutes=5)}
    seen = dict.fromkeys(("known_at", "received_at"), start + timedelta(hours=known))
    numbers = {"lmp": lmp, "energy": None, "congestion": None, "loss": None, "ghg": None, "revision": 0, "flags": 0}
    return {**row, "location": place, "location_id": place, **times, **seen, **numbers}


def frame(*rows: dict[str, object]) -> pl.DataFrame:
    floats = dict.fromkeys(("lmp", "energy", "congestion", "loss", "ghg"), pl.Float64)
    return pl.DataFrame(list(rows), schema_overrides=floats)


def held(cache: LatestPrices) -> dict[str, tuple[datetime, float | None]]:
    found = cache.get()
    assert found is not None
    return {row["location"]: (row["interval_start"], row["lmp"]) for row in found.iter_rows(named=True)}


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from("AB"), st.integers(0, 4), st.integers(0, 3)), min_size=1, max_size=20),
    st.randoms(),
)
def test_the_newest_interval_then_the_newest_version_stands_in_any_order(arrivals: list, order) -> None:
    rows = [price(place, interval, float(known), known) for place, interval, known in arrivals]
    expected = {
        place: max((interval, known) for p, interval, known in arrivals if p == place) for place, _, _ in arrivals
    }
    order.shuffle(rows)
    cache = LatestPrices()
    for row in rows:
        cache.put(frame(row))
    assert held(cache) == {
        place: (START + timedelta(minutes=5 * interval), float(known)) for place, (interval, known) in expected.items()
    }


def test_a_withdrawn_price_stands_as_missing() -> None:
    cache = LatestPrices()
    cache.put(frame(price("A", 1, 20.0)))
    cache.put(frame(price("A", 1, None, known=1)))
    assert held(cache)["A"][1] is None


def test_a_watcher_is_told_changes_and_nothing_else() -> None:
    cache = LatestPrices()
    cache.put(frame(price("A", 1, 20.0), price("B", 1, 30.0)))
    watch = cache.subscribe()
    cache.put(frame(price("A", 1, 20.0), price("B", 0, 5.0)))
    assert watch.take(0) is None
    cache.put(frame(price("A", 2, 21.0)))
    kind, changed = watch.take(1) or ("", pl.DataFrame())
    assert kind == "prices" and changed["location"].to_list() == ["A"]
    cache.unsubscribe(watch)
    cache.put(frame(price("A", 3, 22.0)))
    assert watch.take(0) is None


def test_a_slow_watcher_loses_the_oldest_and_counts_them() -> None:
    cache = LatestPrices()
    watch = cache.subscribe()
    for interval in range(300):
        cache.put(frame(price("A", interval, float(interval))))
    assert watch.missed == 300 - 256
    _, first = watch.take(0) or ("", pl.DataFrame())
    assert first["lmp"].to_list() == [44.0]


def test_narrowing_by_market_run_and_place() -> None:
    cache = LatestPrices()
    assert cache.get("SPP") is None
    cache.put(frame(price("A", 1, 20.0), price("B", 1, 30.0)))
    found = cache.get("SPP", "SPP", ["B"])
    assert found is not None and found["location"].to_list() == ["B"]
    missing = cache.get("PJM")
    assert missing is not None and missing.is_empty()


def test_the_newest_tick_of_each_instrument_stands() -> None:
    def tick(instrument: str, second: int) -> dict[str, object]:
        row = dict.fromkeys(TICK_COLUMNS, "x")
        at = START + timedelta(seconds=second)
        numbers = {"sequence": second, "price": float(second), "quantity": 1.0, "bid": None, "ask": None, "flags": 0}
        return {**row, "instrument": instrument, "event_time": at, "received_at": at, **numbers}

    cache = LatestPrices()
    for rows in ([tick("NG", 5), tick("CL", 1)], [tick("NG", 3), tick("CL", 2)]):
        cache.put_ticks(pl.DataFrame(rows, schema_overrides={"bid": pl.Float64, "ask": pl.Float64}))
    found = cache.get_ticks()
    assert found is not None
    assert dict(zip(found["instrument"], found["price"], strict=True)) == {"NG": 5.0, "CL": 2.0}
