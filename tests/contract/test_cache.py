"""The cache's contract, in process and on Redis: the newest stands whatever the order, and a slow watcher never holds
a writer up."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
import servers
from hypothesis import given, settings
from hypothesis import strategies as st

from carbon254.stores.cache import Cache, LatestPrices, Watch
from carbon254.stores.cache.kinds import PRICE_COLUMNS, TICK_COLUMNS
from carbon254.stores.cache.redis import open_redis

START = datetime(2025, 7, 1, tzinfo=UTC)


ON_REDIS = {"redis": servers.redis, "sentinel": servers.sentinel, "cluster": servers.redis_cluster}
Open = Callable[[], Cache]


@pytest.fixture(
    scope="module",
    params=["process", *(pytest.param(form, marks=pytest.mark.servers("redis", form=form)) for form in ON_REDIS)],
)
def fresh(request: pytest.FixtureRequest) -> Iterator[Open]:
    """Makes caches that hold nothing yet."""
    if request.param == "process":
        yield LatestPrices
        return
    found = request.getfixturevalue("up")(request.param, ON_REDIS[request.param])
    url, opened = (found[0] if isinstance(found, list) else found).url, []

    def make() -> Cache:
        opened.append(open_redis(url, prefix=uuid.uuid4().hex))
        return opened[-1]

    yield make
    for cache in opened:
        cache.close()


def missed(watch: Watch, count: int) -> bool:
    """Whether the watcher comes to have missed so many: news from a server takes a moment."""
    until = time.monotonic() + 10
    while watch.missed < count and time.monotonic() < until:
        time.sleep(0.01)
    return watch.missed == count


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


def held(cache: Cache) -> dict[str, tuple[datetime, float | None]]:
    found = cache.get()
    assert found is not None
    return {row["location"]: (row["interval_start"], row["lmp"]) for row in found.iter_rows(named=True)}


@pytest.mark.slow
@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from("AB"), st.integers(0, 4), st.integers(0, 3)), min_size=1, max_size=20),
    st.randoms(),
)
def test_the_newest_interval_then_the_newest_version_stands_in_any_order(fresh: Open, arrivals: list, order) -> None:
    rows = [price(place, interval, float(known), known) for place, interval, known in arrivals]
    expected = {
        place: max((interval, known) for p, interval, known in arrivals if p == place) for place, _, _ in arrivals
    }
    order.shuffle(rows)
    cache = fresh()
    for row in rows:
        cache.put(frame(row))
    assert held(cache) == {
        place: (START + timedelta(minutes=5 * interval), float(known)) for place, (interval, known) in expected.items()
    }


def test_a_withdrawn_price_stands_as_missing(fresh: Open) -> None:
    cache = fresh()
    cache.put(frame(price("A", 1, 20.0)))
    cache.put(frame(price("A", 1, None, known=1)))
    assert held(cache)["A"][1] is None


def test_a_watcher_is_told_changes_and_nothing_else(fresh: Open) -> None:
    cache = fresh()
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


def test_a_slow_watcher_loses_the_oldest_and_counts_them(fresh: Open) -> None:
    cache = fresh()
    watch = cache.subscribe()
    for interval in range(300):
        cache.put(frame(price("A", interval, float(interval))))
    assert missed(watch, 300 - 256)
    _, first = watch.take(0) or ("", pl.DataFrame())
    assert first["lmp"].to_list() == [44.0]


def test_narrowing_by_market_run_and_place(fresh: Open) -> None:
    cache = fresh()
    assert cache.get("SPP") is None
    cache.put(frame(price("A", 1, 20.0), price("B", 1, 30.0)))
    found = cache.get("SPP", "SPP", ["B"])
    assert found is not None and found["location"].to_list() == ["B"]
    missing = cache.get("PJM")
    assert missing is not None and missing.is_empty()


def tick(instrument: str, second: int, sequence: int = 0, price: float | None = None) -> dict[str, object]:
    row, at = dict.fromkeys(TICK_COLUMNS, "x"), START + timedelta(seconds=second)
    quoted = float(second) if price is None else price
    numbers = {
        "sequence": sequence,
        "price": quoted,
        "quantity": 1.0,
        "bid": None,
        "ask": None,
        "position": 0,
        "flags": 0,
    }
    return {**row, "instrument": instrument, "event_time": at, "received_at": at, **numbers}


def test_the_newest_tick_of_each_instrument_stands(fresh: Open) -> None:
    cache = fresh()
    for rows in ([tick("NG", 5), tick("CL", 1)], [tick("NG", 3), tick("CL", 2)]):
        cache.put_ticks(pl.DataFrame(rows, schema_overrides={"bid": pl.Float64, "ask": pl.Float64}))
    found = cache.get_ticks()
    assert found is not None
    assert dict(zip(found["instrument"], found["price"], strict=True)) == {"NG": 5.0, "CL": 2.0}


@pytest.mark.parametrize("order", [1, -1])
def test_ticks_of_one_instant_are_told_apart_by_their_sequence(fresh: Open, order: int) -> None:
    rows = [tick("NG", 5, sequence=n, price=float(n)) for n in range(50)][::order]
    cache = fresh()
    cache.put_ticks(pl.DataFrame(rows, schema_overrides={"bid": pl.Float64, "ask": pl.Float64}))
    found = cache.get_ticks()
    assert found is not None and found["price"].to_list() == [49.0]


def test_readers_and_writers_at_once_see_whole_batches(fresh: Open) -> None:
    cache, torn = fresh(), []
    cache.put(frame(price("A", 0, 0.0), price("B", 0, 0.0)))

    def write(interval: int) -> None:
        cache.put(frame(price("A", interval, float(interval)), price("B", interval, float(interval))))

    def watch() -> None:
        while True:
            now = held(cache)
            if now["A"] != now["B"]:
                torn.append(now)
            if now["A"][1] == 30.0:
                return

    watchers = [threading.Thread(target=watch) for _ in range(2)]
    writers = [threading.Thread(target=lambda start=start: [write(n) for n in range(start, 31, 2)]) for start in (1, 2)]
    for thread in (*watchers, *writers):
        thread.start()
    for thread in (*watchers, *writers):
        thread.join(30)
    assert not any(thread.is_alive() for thread in watchers) and not torn


VERSION = st.tuples(st.sampled_from("AB"), st.integers(0, 2), st.integers(0, 2), st.integers(0, 2))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(VERSION, min_size=1, max_size=6), min_size=1, max_size=8), st.randoms())
def test_the_newest_interval_then_known_at_then_revision_stands_however_batches_are_cut(
    fresh: Open, batches: list, order
) -> None:
    """A row's price says which version it is. Real batches carry dictionaries; those of two batches differ."""

    def row(place: str, interval: int, known: int, revision: int) -> dict[str, object]:
        # When it came is the other way round, so that it can never be what decides.
        came = {"received_at": START + timedelta(days=1, hours=-known, minutes=-revision)}
        return {**price(place, interval, 10.0 * known + revision, known), "revision": revision, **came}

    expected = {p: max(v[1:] for batch in batches for v in batch if v[0] == p) for b in batches for p, *_ in b}
    order.shuffle(batches)
    cache = fresh()
    for batch in batches:
        order.shuffle(batch)
        cache.put(frame(*(row(*version) for version in batch)).with_columns(pl.col(pl.String).cast(pl.Categorical)))
    assert held(cache) == {
        place: (START + timedelta(minutes=5 * interval), 10.0 * known + revision)
        for place, (interval, known, revision) in expected.items()
    }


def test_the_same_place_in_another_market_or_run_is_another_price(fresh: Open) -> None:
    cache = fresh()
    keys = [("SPP", "RTBM"), ("SPP", "DAM"), ("PJM", "RTBM")]
    for number, (market, run) in enumerate(keys):
        cache.put(frame({**price("A", number, float(number)), "market": market, "market_run": run}))
    for number, (market, run) in enumerate(keys):
        found = cache.get(market, run)
        assert found is not None and found["lmp"].to_list() == [float(number)]
    both = cache.get("SPP")
    assert both is not None and sorted(both["lmp"]) == [0.0, 1.0]


def test_a_watcher_is_told_the_changed_rows_of_a_batch_only(fresh: Open) -> None:
    cache = fresh()
    cache.put(frame(price("A", 1, 20.0), price("B", 1, None), price("C", 1, 5.0)))
    watch = cache.subscribe()
    newer = {**price("C", 1, 6.0), "revision": 1}
    cache.put(frame(price("A", 1, 20.0), price("B", 1, None), newer, price("D", 0, 1.0)))
    _, changed = watch.take(5) or ("", pl.DataFrame())
    assert dict(zip(changed["location"], changed["lmp"], strict=True)) == {"C": 6.0, "D": 1.0}
    assert (watch.take(0), watch.missed) == (None, 0)


def test_a_slow_watcher_costs_the_others_nothing_and_keeps_the_newest_in_order(fresh: Open) -> None:
    cache = fresh()
    slow, quick, seen = cache.subscribe(), cache.subscribe(), []
    for interval in range(260):
        cache.put(frame(price("A", interval, float(interval))))
        _, changed = quick.take(5) or ("", pl.DataFrame())
        seen += changed["lmp"].to_list()
    assert missed(slow, 4)
    kept = []
    while told := slow.take(0):
        kept += told[1]["lmp"].to_list()
    assert (slow.missed, quick.missed) == (4, 0)
    assert (seen, kept) == ([float(n) for n in range(260)], [float(n) for n in range(4, 260)])
