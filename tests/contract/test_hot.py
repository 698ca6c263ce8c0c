"""What the hot store promises of its rows: once per token, whole by partition, every version, whatever the order."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
import pytest
from given_rows import ENGINES, HOUR, T0, benchmark, engine_url, opened, price, prices, shaped, tick

from carbon254.errors import QueryRefused, WorkspaceError
from carbon254.model import catalogue
from carbon254.model.bars import BarRun
from carbon254.stores.hot import HotStore, Limits, open_hot


@pytest.fixture(params=ENGINES)
def hot(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[HotStore]:
    with opened(tmp_path, engine_url(request)) as store:
        yield store


def rows(hot: HotStore, sql: str) -> list[tuple[Any, ...]]:
    return [tuple(row.values()) for row in hot.query(sql).to_pylist()]


def test_the_same_token_twice_is_stored_once(hot: HotStore) -> None:
    table = prices(price(), price("SOUTH_HUB"))
    assert hot.insert("interval_prices", table, "a") == 2
    hot.insert("interval_prices", table, "a")
    assert hot.fetch("SELECT count() AS n FROM store.interval_prices")["n"][0].as_py() == 2


def test_the_same_rows_under_another_token_are_one_row_each(hot: HotStore) -> None:
    hot.insert("interval_prices", prices(price()), "a")
    hot.insert("interval_prices", prices(price()), "b")
    assert hot.fetch("SELECT count() AS n FROM store.interval_prices")["n"][0].as_py() == 2
    assert hot.count("interval_prices") == 1
    assert rows(hot, "SELECT count() FROM interval_prices") == [(1,)]


def test_a_batch_is_cut_by_month_and_each_month_has_its_own_token(hot: HotStore) -> None:
    april = datetime(2025, 4, 1, tzinfo=UTC)
    hot.insert("interval_prices", prices(price(start=april - HOUR), price(start=april)), "a")
    assert hot.partitions("interval_prices") == ["2025-03", "2025-04"]
    assert [hot.count("interval_prices", month) for month in ("2025-03", "2025-04")] == [1, 1]
    with pytest.raises(ValueError, match="YYYY-MM"):
        hot.count("interval_prices", "2025-03-01")


@pytest.mark.slow
def test_decades_of_a_daily_series_go_in_at_once(hot: HotStore) -> None:
    days = [date(1986, 1, 2) + timedelta(days=31 * n) for n in range(480)]
    hot.insert("energy_prices", shaped("energy_prices", [benchmark("crude_oil", "RWTC", d, 50.0) for d in days]), "a")
    assert hot.count("energy_prices") == 480
    assert hot.partitions("energy_prices")[0] == "1986"
    assert hot.count("energy_prices", "1986") == 12
    assert rows(hot, "SELECT count(), min(price_date) FROM energy_prices") == [(480, date(1986, 1, 2))]


def test_history_leaves_out_what_says_the_same_and_keeps_what_came_back(hot: HotStore) -> None:
    def version(hours: int, lmp: float | None, revision: int = 0, **other: Any) -> dict[str, Any]:
        known = T0 + hours * HOUR
        return price(lmp=lmp, known_at=known, received_at=known, revision=revision, **other)

    versions = [
        version(1, 20.0), version(2, 20.0, payload="b" * 64), version(3, 25.0), version(4, 20.0), version(5, None),
        version(6, None, congestion=20.0), version(7, None, congestion=20.0, revision=1),
    ]  # fmt: skip
    hot.insert("interval_prices", prices(*versions), "a")
    kept = rows(hot, "SELECT lmp, congestion, revision FROM interval_prices ORDER BY known_at, revision")
    assert kept == [
        (20.0, None, 0),
        (25.0, None, 0),
        (20.0, None, 0),
        (None, None, 0),
        (None, 20.0, 0),
        (None, 20.0, 1),
    ]
    assert hot.count("interval_prices") == 7
    assert rows(hot, "SELECT lmp, congestion, revision FROM current_prices") == [(None, 20.0, 1)]


def test_zero_and_nothing_are_different_values(hot: HotStore) -> None:
    hot.insert("interval_prices", prices(price(lmp=0.0)), "a")
    hot.insert("interval_prices", prices(price(lmp=None, known_at=T0 + 2 * HOUR, received_at=T0 + 2 * HOUR)), "b")
    assert rows(hot, "SELECT lmp FROM interval_prices ORDER BY known_at") == [(0.0,), (None,)]


def test_the_same_value_known_another_way_is_no_new_version(hot: HotStore) -> None:
    later = T0 + 48 * HOUR
    hot.insert("interval_prices", prices(price(known_basis="assumed"), price(known_at=later, received_at=later)), "a")
    assert rows(hot, "SELECT known_basis FROM interval_prices") == [("assumed",)]


@pytest.mark.slow
def test_the_order_of_arrival_does_not_matter(tmp_path: Path) -> None:
    known = [T0 + n * HOUR for n in range(1, 7)]
    batch = [
        price(place, lmp=lmp, known_at=at, received_at=at, payload=f"{n:064d}")
        for place in ("A", "B", "C")
        for n, (at, lmp) in enumerate(zip(known, [10.0, 10.0, None, 12.0, 12.0, 10.0], strict=True))
    ]
    ties = [price("TIE", lmp=lmp, payload=f"{n:064d}") for n, lmp in enumerate([1.0, 2.0, 1.0])]
    digests = set()
    for seed in range(3):
        mixed = [*batch, *ties]
        random.Random(seed).shuffle(mixed)
        with opened(tmp_path / str(seed)) as hot:
            for n, row in enumerate([*mixed, *mixed[:5]]):
                hot.insert("interval_prices", prices(row | {"batch_id": f"{seed}-{n}"}), f"{seed}-{n}")
            digests.add(hot.hash("interval_prices"))
    assert len(digests) == 1


def test_the_hash_sees_a_changed_value(hot: HotStore) -> None:
    empty = hot.hash("interval_prices")
    hot.insert("interval_prices", prices(price()), "a")
    first = hot.hash("interval_prices")
    hot.insert("interval_prices", prices(price(lmp=20.01, known_at=T0 + 3 * HOUR, received_at=T0 + 3 * HOUR)), "b")
    assert len({empty, first, hot.hash("interval_prices")}) == 3
    assert {hot.hash(name) for name in catalogue()}


def test_the_first_arrival_of_a_tick_stands(hot: HotStore) -> None:
    late = tick(received_at=T0 + HOUR, price=71.0, batch_id="2")
    hot.insert("market_ticks", shaped("market_ticks", [late]), "late")
    hot.insert("market_ticks", shaped("market_ticks", [tick(), tick(event_id="e2")]), "early")
    found = rows(hot, "SELECT event_id, price, sequence FROM market_ticks ORDER BY event_id")
    assert found == [("e1", 70.0, None), ("e2", 70.0, None)]


def test_bars_are_those_of_the_prices_that_stand(hot: HotStore) -> None:
    hot.ensure([BarRun("SPP", "RTBM", "UTC", HOUR)])
    hot.insert("interval_prices", prices(price(), price(start=T0 + HOUR, lmp=22.0)), "a")
    ask = "SELECT width, open, high, low, close, mean, count, expected FROM ohlc_bars ORDER BY width, bar_start"
    assert rows(hot, ask) == [
        ("1d", 20.0, 22.0, 20.0, 22.0, 21.0, 2, 24),
        ("1h", 20.0, 20.0, 20.0, 20.0, 20.0, 1, 1),
        ("1h", 22.0, 22.0, 22.0, 22.0, 22.0, 1, 1),
    ]
    later = T0 + 3 * HOUR
    hot.insert("interval_prices", prices(price(lmp=30.0, known_at=later, received_at=later)), "b")
    assert rows(hot, ask)[0] == ("1d", 30.0, 30.0, 22.0, 22.0, 26.0, 2, 24)


def test_a_staged_partition_replaces_the_live_one_whole(hot: HotStore) -> None:
    hot.insert("interval_prices", prices(price(), price("SOUTH_HUB"), price(start=T0 - HOUR)), "a")
    hot.staging("interval_prices")
    hot.insert("interval_prices", prices(price(lmp=30.0)), "a", staged=True)
    hot.replace_partition("interval_prices", "2025-03")
    assert rows(hot, "SELECT location, lmp FROM interval_prices ORDER BY interval_start") == [
        ("NORTH_HUB", 20.0),
        ("NORTH_HUB", 30.0),
    ]


def test_replacing_a_span_touches_one_feed_and_may_be_repeated(hot: HotStore) -> None:
    other = price("OTHER", feed="iso.da.lmp.spp")
    hot.insert("interval_prices", prices(price(), price(start=T0 + HOUR), price(start=T0 - HOUR), other), "a")
    for _ in range(2):
        hot.replace_span("interval_prices", "iso.rt.lmp.spp", T0, T0 + HOUR, prices(price(lmp=30.0)))
    found = rows(hot, "SELECT location, lmp FROM interval_prices ORDER BY interval_start, location")
    assert found == [("NORTH_HUB", 20.0), ("NORTH_HUB", 30.0), ("OTHER", 20.0), ("NORTH_HUB", 20.0)]
    hot.replace_span("interval_prices", "iso.rt.lmp.spp", T0 - HOUR, T0 + 2 * HOUR, None)
    assert rows(hot, "SELECT location FROM interval_prices") == [("OTHER",)]
    with pytest.raises(ValueError, match="zone-aware"):
        hot.replace_span("interval_prices", "f", datetime(2025, 1, 1), datetime(2025, 1, 2), None)


def test_energy_prices_has_one_benchmark_a_commodity_and_day(hot: HotStore) -> None:
    day = date(2025, 3, 3)
    given = [
        benchmark("crude_oil", "DCOILWTICO", day, 70.5),
        benchmark("crude_oil", "RWTC", day, 70.0),
        benchmark("crude_oil", "DUBAI", day, 66.0),
        benchmark("crude_oil", "RWTC", date(2025, 3, 4), None),
        benchmark("natural_gas", "RNGWHHD", day, 2.5, unit="USD/MMBtu", location="Henry Hub, LA"),
    ]
    hot.insert("energy_prices", shaped("energy_prices", given), "a")
    found = rows(
        hot, "SELECT commodity, benchmark, price_date, price FROM energy_prices ORDER BY price_date, commodity"
    )
    assert found == [
        ("crude_oil", "RWTC", day, 70.0),
        ("natural_gas", "RNGWHHD", day, 2.5),
        ("crude_oil", "RWTC", date(2025, 3, 4), None),
    ]
    assert rows(hot, "SELECT count() FROM energy_prices_history") == [(5,)]


def test_electricity_is_the_hubs_mean_over_the_markets_own_day(hot: HotStore) -> None:
    midnight = datetime(2025, 3, 9, tzinfo=ZoneInfo("America/New_York")).astimezone(UTC)

    def hub(hour: int, lmp: float | None) -> dict[str, Any]:
        return price("WESTERN HUB", midnight + hour * HOUR, lmp, market="PJM", market_run="DAM", location_id="51288")

    spring = [hub(n, 10.0 + n) for n in range(23)]
    hot.insert("interval_prices", prices(hub(-1, 99.0), *spring, hub(23, 99.0), hub(24, None)), "a")
    found = rows(hot, "SELECT price_date, price, location, unit FROM energy_prices WHERE commodity = 'electricity' "
                      "ORDER BY price_date")  # fmt: skip
    assert found[1] == (date(2025, 3, 9), pytest.approx(21.0), "WESTERN HUB", "USD/MWh")
    assert [row[1] for row in found] == [99.0, pytest.approx(21.0), None]


@pytest.mark.slow
def test_readers_and_a_writer_at_once(hot: HotStore) -> None:
    hot.insert("interval_prices", prices(*(price(f"P{n}") for n in range(50))), "0")
    trouble: list[object] = []

    def read(place: str) -> None:
        try:
            for n in range(15):
                found = rows(hot, f"SELECT location_id, count() > 0 FROM interval_prices "
                                  f"WHERE location_id = '{place}' GROUP BY location_id")  # fmt: skip
                assert found == [(place, 1)], found
                if n % 5 == 0:
                    with pytest.raises(QueryRefused):
                        hot.query("SELECT throwIf(number = 700) FROM numbers(1000)")
        except BaseException as error:
            trouble.append(error)

    threads = [threading.Thread(target=read, args=(f"P{n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for n in range(1, 11):
        hot.insert("interval_prices", prices(*(price(f"P{k}", T0 + n * HOUR) for k in range(50))), str(n))
    for thread in threads:
        thread.join()
    assert not trouble
    assert hot.count("interval_prices") == 550


@pytest.mark.slow
def test_a_folder_is_open_once(tmp_path: Path) -> None:
    with opened(tmp_path) as hot:
        with pytest.raises(WorkspaceError, match="running node"):
            open_hot(f"chdb://{tmp_path / 'hot'}")
        with pytest.raises(WorkspaceError, match="close that store first"):
            open_hot(f"chdb://{tmp_path / 'elsewhere'}")
        hot.insert("interval_prices", prices(price()), "a")
    with pytest.raises(WorkspaceError, match="closed"):
        hot.count("interval_prices")
    with opened(tmp_path) as again:
        again.insert("interval_prices", prices(price()), "a")
        assert again.fetch("SELECT count() AS n FROM store.interval_prices")["n"][0].as_py() == 1


def test_a_new_descriptive_column_is_added_and_a_new_key_refused(hot: HotStore) -> None:
    hot.insert("interval_prices", prices(price()), "a")
    hot.command("ALTER TABLE store.interval_prices DROP COLUMN region")
    hot.ensure()
    hot.insert("interval_prices", prices(price("B")), "b")
    assert rows(hot, "SELECT location, region FROM interval_prices ORDER BY location") == [
        ("B", "SPP"),
        ("NORTH_HUB", ""),
    ]
    hot.command("ALTER TABLE store.interval_prices ADD COLUMN nonsense UInt8")
    with pytest.raises(WorkspaceError, match=r"nonsense.*feeds replay"):
        hot.ensure()


def test_a_table_of_another_shape_is_refused_by_name(hot: HotStore) -> None:
    with pytest.raises(ValueError, match=r"lacks market, .*conform"):
        hot.insert("interval_prices", pa.table({"lmp": [1.0]}), "a")
    assert hot.insert("interval_prices", prices(price()).slice(0, 0), "a") == 0


@pytest.mark.slow
def test_old_rows_go_where_a_time_to_live_is_set_and_stay_where_it_is_taken_away(tmp_path: Path) -> None:
    now = datetime.now(UTC).replace(microsecond=0)
    for token, days, left in (("a", 0, ["FRESH", "OLD"]), ("b", 30, ["FRESH"]), ("c", 0, ["FRESH", "OLD"])):
        hot = open_hot(f"chdb://{tmp_path / 'hot'}", ttl_days=days)
        try:
            hot.ensure()
            hot.ensure()
            hot.insert("interval_prices", prices(price("OLD"), price("FRESH", received_at=now)), token)
            hot.command("OPTIMIZE TABLE store.interval_prices FINAL")
            assert rows(hot, "SELECT location FROM interval_prices ORDER BY location") == [(name,) for name in left]
        finally:
            hot.close()


def test_limits_are_the_callers_own(hot: HotStore) -> None:
    assert hot.query("SELECT number FROM numbers(10)", limits=Limits(max_rows=10)).num_rows == 10
    with pytest.raises(QueryRefused, match="add LIMIT"):
        hot.query("SELECT number FROM numbers(11)", limits=Limits(max_rows=10))
