"""ClickHouse does once what it is told twice: retries, reused tokens, retries after the window, unknown outcomes."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import timedelta

import pytest
from contract.given_rows import T0, opened, price, prices

from carbon254 import faults
from carbon254.stores.hot import HotStore

from .tiers import figure, seed_for, tally

FIVE = timedelta(minutes=5)


@pytest.fixture(scope="module")
def hot(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HotStore]:
    with opened(tmp_path_factory.mktemp("idempotence")) as store:
        yield store


class Lost(Exception):
    """The answer to an insert did not come back."""


def answer_lost(name: str) -> None:
    if name == "hot.inserted":
        raise Lost


def refused(name: str) -> None:
    if name == "hot.packed":
        raise Lost


@pytest.mark.slow
def test_any_mix_of_retries_stores_each_row_once(hot: HotStore) -> None:
    """The oracle is a dict: (place, start) → price. Batches are repeated, cut anew, and their answers are lost."""
    seed = seed_for("ClickHouse idempotence")
    chance = random.Random(seed)
    with tally(20, "retries on chDB", seed) as done:
        for turn in range(figure(20, 250)):
            mark, truth, log = f"T{turn}_", {}, list[tuple[str, list[tuple[str, int, float]]]]()
            for batch in range(chance.randint(2, 6)):
                rows = [(f"{mark}{n}", batch, round(chance.uniform(-50, 90), 2)) for n in range(chance.randint(1, 5))]
                log.append((f"{mark}{batch}", rows))
                truth |= {(place, at): lmp for place, at, lmp in rows}
            for token, rows in log:
                how = chance.choice(("plain", "twice", "lost", "refused", "other token"))
                _deliver(hot, how, token, rows)
                done.add(deliveries=1)
            # After a crash everything may come again, in larger groups with tokens of their own.
            again = [row for _, rows in log for row in rows]
            hot.insert("interval_prices", _table(again), f"{mark}again")
            where = f"WHERE startsWith(location_id, '{mark}')"
            columns = "location_id, interval_start, lmp"
            for source in ("current_prices", "store.interval_prices FINAL"):
                stored = hot.fetch(f"SELECT {columns} FROM {source} {where}").to_pylist()
                held = {(r["location_id"], round((r["interval_start"] - T0) / FIVE)): r["lmp"] for r in stored}
                assert (held, len(stored)) == (truth, len(truth)), source
            plain = hot.fetch(f"SELECT count() AS n FROM store.interval_prices {where}").to_pylist()[0]["n"]
            assert plain >= len(truth)
            done.add(cases=1, rows=len(truth), physical=plain)


def _deliver(hot: HotStore, how: str, token: str, rows: list[tuple[str, int, float]]) -> None:
    if how in ("lost", "refused"):
        with pytest.raises(Lost), faults.armed(answer_lost if how == "lost" else refused):
            hot.insert("interval_prices", _table(rows), token)
    hot.insert("interval_prices", _table(rows), token)
    if how in ("twice", "other token"):
        hot.insert("interval_prices", _table(rows), token if how == "twice" else f"{token}-again")


def _table(rows: list[tuple[str, int, float]]) -> object:
    return prices(*(price(place, T0 + at * FIVE, lmp) for place, at, lmp in rows))


def test_a_token_within_the_window_stores_nothing_new_and_is_bound_to_its_partition(hot: HotStore) -> None:
    count = "SELECT count() AS n FROM store.interval_prices WHERE startsWith(location_id, 'W')"
    march, april = price("W1", T0), price("W1", T0 + timedelta(days=31))
    with tally(20, "tokens and partitions") as done:
        for _ in range(3):
            hot.insert("interval_prices", prices(march), "window")
        assert hot.fetch(count).to_pylist() == [{"n": 1}]
        # The same token for another month is another insert: it may not be swallowed.
        hot.insert("interval_prices", prices(april), "window")
        assert hot.fetch(count).to_pylist() == [{"n": 2}]
        done.add(cases=2)


def test_a_retry_after_the_window_is_a_second_copy_that_no_reader_sees(hot: HotStore) -> None:
    """The window is made small; the plain count shows the copy, the views and the collapsed table do not."""
    hot.command("ALTER TABLE store.interval_prices MODIFY SETTING non_replicated_deduplication_window = 3")
    try:
        with tally(20, "retries after the window") as done:
            for turn in range(figure(4, 40)):
                place = f"Z{turn}_0"
                hot.insert("interval_prices", prices(price(place, T0)), f"out-{turn}")
                for n in range(1, 6):
                    hot.insert("interval_prices", prices(price(f"Z{turn}_{n}", T0)), f"out-{turn}-{n}")
                hot.insert("interval_prices", prices(price(place, T0)), f"out-{turn}")
                where = f"WHERE location_id = '{place}'"
                numbers = [
                    hot.fetch(f"SELECT count() AS n FROM {source} {where}").to_pylist()[0]["n"]
                    for source in ("current_prices", "interval_prices", "store.interval_prices FINAL")
                ]
                assert numbers == [1, 1, 1]
                done.add(cases=1)
    finally:
        hot.command("ALTER TABLE store.interval_prices MODIFY SETTING non_replicated_deduplication_window = 10000")
