"""As of any moment the store answers as one would that never saw anything later: by a slow twin, and by real twins."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from given_rows import opened
from vintage_rows import (
    FIRST,
    HOUR,
    LAST,
    MOMENT,
    Row,
    benchmark_rows,
    digest,
    forecast_rows,
    last_versions,
    price_rows,
    rows_of,
    table,
    tick_rows,
)

from carbon254.errors import QueryRefused
from carbon254.model import Column, dataset
from carbon254.model.ladders import horizon
from carbon254.stores.hot import HotStore
from carbon254.stores.hot.as_of import BASES, standing

pytestmark = pytest.mark.slow

HISTORIES = {
    "interval_prices": "interval_prices",
    "weather_forecasts": "weather_forecasts",
    "energy_prices": "energy_prices_history",
    "market_ticks": "market_ticks",
}
CURRENT = {
    "interval_prices": "current_prices",
    "weather_forecasts": "current_weather_forecasts",
    "energy_prices": "current_energy_prices",
    "market_ticks": "market_ticks",
}


def histories(seed: int) -> dict[str, list[Row]]:
    source = random.Random(seed)
    return {
        "interval_prices": price_rows(source),
        "weather_forecasts": forecast_rows(source),
        "energy_prices": benchmark_rows(source),
        "market_ticks": tick_rows(source),
    }


ROWS = histories(254)


def fill(hot: HotStore, rows: dict[str, list[Row]], seed: int) -> None:
    """Every row, in an order of its own, in batches of uneven size, some of them twice."""
    source = random.Random(seed)
    for name, found in rows.items():
        mixed = source.sample(found, len(found))
        at = 0
        while at < len(mixed):
            size = source.randint(20, 200)
            batch = mixed[at : at + size] + (mixed[:3] if at else [])
            hot.insert(name, table(name, [row | {"batch_id": f"{seed}-{at}"} for row in batch]), f"{seed}-{at}")
            at += size


@pytest.fixture(scope="module")
def hot(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HotStore]:
    with opened(tmp_path_factory.mktemp("as-of")) as store:
        fill(store, ROWS, seed=1)
        yield store


@pytest.fixture(scope="module")
def ranks(hot: HotStore) -> dict[str, int]:
    """The engine's hash of the values of each payload: it decides between two that were known at the same moment."""
    names = ("interval_prices", "weather_forecasts", "energy_prices")
    found = [hot.fetch(f"SELECT DISTINCT payload, value_hash FROM store.{name}").to_pylist() for name in names]
    return {row["payload"]: row["value_hash"] for rows in found for row in rows}


def moments(seed: int, count: int) -> list[datetime]:
    """Random ones, a tenth of them moments at which something became known, and the second before."""
    source = random.Random(seed)
    told = [row["known_at"] for row in ROWS["interval_prices"]]
    found = [FIRST + (LAST - FIRST) * source.random() for _ in range(count - count // 10)]
    exact = [source.choice(told) - timedelta(microseconds=source.choice([0, 1])) for _ in range(count // 10)]
    return [moment.replace(tzinfo=UTC) for moment in (*found, *exact)]


def told(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d %H:%M:%S.%f")


def test_a_store_that_saw_only_what_was_known_then_says_the_same(tmp_path: Path) -> None:
    """Real stores, fed in other orders with the rows known by a moment: their current views are the answer."""
    # Before the tests that share a store: one process holds one engine.
    boards = "SELECT * FROM energy_prices"
    asked = [(basis, moment) for number, basis in enumerate(BASES) for moment in moments(5 + number, 1)]
    with opened(tmp_path / "whole") as whole:
        fill(whole, ROWS, seed=2)
        answers = {}
        for basis, moment in asked:
            for name, view in HISTORIES.items():
                columns = ", ".join(dataset(name).names)
                answers[basis, moment, name] = digest(
                    name, rows_of(whole.query(f"SELECT {columns} FROM {view}_{basis}(as_of = '{told(moment)}')"))
                )
            answers[basis, moment, "board"] = sorted(
                map(repr, rows_of(whole.query(f"{boards}_{basis}(as_of = '{told(moment)}')")))
            )
    for number, (basis, moment) in enumerate(asked):
        with opened(tmp_path / str(number)) as then:
            seen = {
                name: [r for r in rows if MOMENT["as_received" if name == "market_ticks" else basis](r, moment)]
                for name, rows in ROWS.items()
            }
            fill(then, seen, seed=3 + number)
            for name, view in CURRENT.items():
                columns = ", ".join(dataset(name).names)
                found = rows_of(then.query(f"SELECT {columns} FROM {view}"))
                assert digest(name, found) == answers[basis, moment, name], (basis, moment, name)
            assert sorted(map(repr, rows_of(then.query(boards)))) == answers[basis, moment, "board"]


@pytest.mark.parametrize("basis", BASES)
def test_a_thousand_moments_answer_as_the_slow_twin(hot: HotStore, ranks: dict[str, int], basis: str) -> None:
    """The statement of the view with the moment as one more key column, so that one pass answers for all of them."""
    asked = sorted(set(moments(7, 1_000)))
    prices = dataset("interval_prices")
    column = Column("moment", "timestamp", False, "UTC", "key", "")
    twin = replace(prices, columns=(*prices.columns, column), key=(*prices.key, "moment"))
    listed = ", ".join(f"toDateTime64('{told(moment)}', 6, 'UTC')" for moment in asked)
    source = f"(SELECT *, value_hash, arrayJoin([{listed}]) AS moment FROM store.interval_prices) AS t"
    found = rows_of(hot.fetch(standing(twin, BASES[basis].format(before="<= t.moment"), source)))
    answers: dict[datetime, list[Row]] = {}
    for row in found:
        answers.setdefault(row["moment"], []).append(row)
    sizes = set()
    for moment in asked:
        expected = last_versions(
            "interval_prices", (row for row in ROWS["interval_prices"] if MOMENT[basis](row, moment)), ranks
        )
        sizes.add(len(expected))
        assert digest("interval_prices", answers.get(moment, [])) == digest("interval_prices", expected), moment
    assert len(asked) > 950 and len(sizes) > 20


@pytest.mark.parametrize("basis", BASES)
@pytest.mark.parametrize("name", HISTORIES)
def test_each_view_answers_as_the_slow_twin(hot: HotStore, ranks: dict[str, int], name: str, basis: str) -> None:
    by = MOMENT["as_received"] if name == "market_ticks" else MOMENT[basis]
    columns = ", ".join(dataset(name).names)
    told_at = sorted({row.get("known_at", row["received_at"]) for row in ROWS[name]})
    exact = random.Random(name).sample(told_at, 4)
    for moment in (*moments(len(name), 8), *exact, *(at - timedelta(microseconds=1) for at in exact)):
        answer = hot.query(f"SELECT {columns} FROM {HISTORIES[name]}_{basis}(as_of = '{told(moment)}')")
        expected = last_versions(name, (row for row in ROWS[name] if by(row, moment)), ranks)
        assert digest(name, rows_of(answer)) == digest(name, expected), moment


def test_filters_on_the_key_reach_the_table(hot: HotStore) -> None:
    plan = hot.fetch(
        "EXPLAIN indexes = 1 SELECT lmp FROM interval_prices_as_of(as_of = '2025-04-01 00:00:00') "
        "WHERE market = 'SPP' AND location_id = 'N1'"
    )
    text = "\n".join(plan.column(0).to_pylist())
    keys = text.split("PrimaryKey", 1)[1].split("Condition", 1)[0].split()
    assert "market" in keys and "location_id" in keys, text


# The market's own end of a day, and its business days, found without the code under test.
_RUNGS = {("SPP", "S7"): ("America/Chicago", 7), ("SPP", "S53"): ("America/Chicago", 53),
          ("MISO", "S7"): ("Etc/GMT+5", 7), ("MISO", "S14"): ("Etc/GMT+5", 14)}  # fmt: skip


def cutoff(market: str, rung: str, start: datetime) -> datetime:
    clock, days = _RUNGS[market, rung]
    day = start.astimezone(ZoneInfo(clock)).date() + timedelta(days=days + 1)
    return datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(clock)).astimezone(UTC)


@pytest.mark.parametrize(("market", "rung"), _RUNGS)
def test_a_rung_is_what_was_known_at_the_end_of_a_day_of_the_market(
    hot: HotStore, ranks: dict[str, int], market: str, rung: str
) -> None:
    """FIRST is two hours before the spring change in Chicago, so the days before and after it differ."""
    rows = [row for row in ROWS["interval_prices"] if row["market"] == market]
    for basis, strict in (("at_rung", False), ("at_rung_strict", True)):
        known = [
            row
            for row in rows
            if row["known_at"] < cutoff(market, rung, row["interval_start"])
            and not (strict and row["known_basis"] == "assumed")
        ]
        found = rows_of(hot.query(f"SELECT * FROM interval_prices_{basis}(rung = '{rung}') WHERE market = '{market}'"))
        assert digest("interval_prices", found) == digest(
            "interval_prices", last_versions("interval_prices", known, ranks)
        )
        assert {row["rung_reached_at"] for row in found} <= {
            cutoff(market, rung, row["interval_start"]) for row in known
        }
    assert found and len(known) < len(rows)


def test_the_change_between_two_rungs(hot: HotStore, ranks: dict[str, int]) -> None:
    rows = [row for row in ROWS["interval_prices"] if row["market"] == "MISO"]
    prices = []
    for rung in ("S7", "S14"):
        known = [row for row in rows if row["known_at"] < cutoff("MISO", rung, row["interval_start"])]
        found = last_versions("interval_prices", known, ranks)
        prices.append({(row["location_id"], row["interval_start"]): row["lmp"] for row in found})
    before, after = prices
    expected = {
        key: (before.get(key), lmp, None if lmp is None or before.get(key) is None else round(lmp - before[key], 8))
        for key, lmp in after.items()
    }
    answer = rows_of(
        hot.query("SELECT * FROM interval_prices_change(from_rung = 'S7', to_rung = 'S14') WHERE market = 'MISO'")
    )
    found = {
        (row["location_id"], row["interval_start"]): (row["lmp_from"], row["lmp_to"], row["change"]) for row in answer
    }
    assert found == expected
    changes = [row["change"] for row in answer]
    assert None in changes and any(changes) and 0.0 in changes and set(after) - set(before)
    assert all(row["known_from"] is None for row in answer if (row["location_id"], row["interval_start"]) not in before)


def test_a_rung_that_is_not_reached_gives_no_rows_and_an_unknown_one_names_the_known(hot: HotStore) -> None:
    row = ROWS["interval_prices"][0]
    tomorrow = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - 30 * HOUR
    fresh = row | {"market": "SPP", "location_id": "FRESH", "interval_start": tomorrow, "interval_end": tomorrow + HOUR,
                   "known_at": tomorrow, "received_at": tomorrow}  # fmt: skip
    hot.insert("interval_prices", table("interval_prices", [fresh]), "fresh")
    try:
        asked = "SELECT lmp FROM interval_prices_{} WHERE location_id = 'FRESH'"
        now = told(datetime.now(UTC))
        assert hot.query(asked.format(f"as_of(as_of = '{now}')")).num_rows == 1
        assert hot.query(asked.format("at_rung(rung = 'S7')")).num_rows == 0
        with pytest.raises(QueryRefused, match=r"no such rung; write one of MISO: S7, S14, S55, S105; SPP: S7"):
            hot.query(asked.format("at_rung(rung = 'S99')"))
    finally:
        hot.command("DELETE FROM store.interval_prices WHERE location_id = 'FRESH'")


def test_what_becomes_known_as_the_day_ends_is_after_the_rung(hot: HotStore) -> None:
    """The end is not included, as with every interval here. Days that nothing is laid out for have no rung."""
    start = datetime(2025, 6, 2, 12, tzinfo=UTC)
    end = cutoff("MISO", "S7", start)
    edge = ROWS["interval_prices"][0] | {"market": "MISO", "location_id": "EDGE", "interval_start": start,
                                         "interval_end": start + HOUR, "received_at": end + HOUR}  # fmt: skip
    rows = [edge | {"known_at": end - timedelta(microseconds=1), "lmp": 1.0}, edge | {"known_at": end, "lmp": 2.0}]
    long_ago, far = datetime(1999, 6, 2, tzinfo=UTC), horizon()[1] + timedelta(days=300)
    later = datetime(far.year, far.month, far.day, tzinfo=UTC)
    for moment in (long_ago, later):
        rows.append(edge | {"interval_start": moment, "interval_end": moment + HOUR, "known_at": long_ago, "lmp": 9.0})
    hot.insert("interval_prices", table("interval_prices", rows), "edge")
    try:
        found = hot.query("SELECT lmp FROM interval_prices_at_rung(rung = 'S7') WHERE location_id = 'EDGE'")
        assert found["lmp"].to_pylist() == [1.0]
    finally:
        hot.command("DELETE FROM store.interval_prices WHERE location_id = 'EDGE'")


@pytest.mark.parametrize("market", ["MISO", "CAISO"])
def test_forecasts_at_gate_closure(hot: HotStore, ranks: dict[str, int], market: str) -> None:
    clock, at = {"MISO": ("Etc/GMT+5", 10.5), "CAISO": ("America/Los_Angeles", 10.0)}[market]
    best: dict[tuple[str, datetime], tuple[Any, ...]] = {}
    for row in ROWS["weather_forecasts"]:
        day = row["forecast_time"].astimezone(ZoneInfo(clock)).date() - timedelta(days=1)
        local = datetime(day.year, day.month, day.day, int(at), int(at % 1 * 60), tzinfo=ZoneInfo(clock))
        if row["known_at"] <= local.astimezone(UTC):
            key = (row["location"], row["forecast_time"])
            place = (row["issued_at"], row["known_at"], row["revision"], row["received_at"], ranks[row["payload"]],
                     row["payload"])  # fmt: skip
            best[key] = max(best.get(key, place), place)
    found = rows_of(hot.query(f"SELECT * FROM weather_forecasts_at_gate(market = '{market}')"))
    assert {(row["location"], row["forecast_time"]): row["payload"] for row in found} == {
        key: place[-1] for key, place in best.items()
    }
    assert len(found) > 5
    assert all(row["known_at"] <= row["gate_closed_at"] < row["forecast_time"] for row in found)


def test_the_newest_issue_known_then(hot: HotStore, ranks: dict[str, int]) -> None:
    moment = FIRST + timedelta(days=6)
    known = last_versions("weather_forecasts", (r for r in ROWS["weather_forecasts"] if r["known_at"] <= moment), ranks)
    newest = pl.DataFrame(
        [(r["location"], r["forecast_time"], r["issued_at"]) for r in known], ["p", "t", "i"], orient="row"
    ).group_by("p", "t").agg(pl.col("i").max())  # fmt: skip
    found = rows_of(hot.query(f"SELECT * FROM weather_forecasts_newest_as_of(as_of = '{told(moment)}')"))
    assert {(r["location"], r["forecast_time"], r["issued_at"]) for r in found} == set(newest.rows())
    assert 0 < len(found) < len(known)


def test_readers_may_ask_the_views_and_not_what_stands_behind_them(hot: HotStore) -> None:
    assert hot.query("SELECT count() FROM commodity_data.interval_prices_as_of(as_of = '2020-01-01 00:00:00')").num_rows
    for statement in (
        "SELECT * FROM store.cutoffs",
        "SELECT * FROM interval_prices_as_of(as_of = (SELECT max(known_at) FROM store.interval_prices))",
        "SELECT * FROM interval_prices_as_of(as_of = file('/etc/passwd'))",
        "SELECT * FROM interval_prices_as_of(as_of = 'tomorrow')",
        "SELECT * FROM interval_prices_as_of()",
        "SELECT * FROM interval_prices_as_of",
    ):
        with pytest.raises(QueryRefused):
            hot.query(statement)
