"""Bars on read: equal to a twin, whatever came in whatever order; sealed and opened again, never two of a window."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from flow.bars_twin import computed, differing, twin
from flow.conftest import NOW, spp
from flow.test_tick_bars import payload, tick

from carbon254.app import Node, open_node, streams
from carbon254.clock import ManualClock
from carbon254.faults import armed
from carbon254.ingest import Arrived
from carbon254.model import dataset
from carbon254.model.arrow import conform
from carbon254.model.bars import bar_runs
from carbon254.model.dataset import of_intervals
from carbon254.settings import Settings
from carbon254.stores.hot import open_hot

pytestmark = pytest.mark.slow

RT = "iso.rt.lmp.spp"
LATER = NOW + timedelta(days=3)
FIVE = timedelta(minutes=5)
PLACES = ("A", "B", "C")
Bring = Callable[..., bool]


class Cut(BaseException):
    """The power goes."""


def priced(number: int, chance: random.Random) -> Arrived:
    """A file of one five-minute interval; now and then of an interval that came before."""
    end = datetime(2025, 7, 1, 4, 30, tzinfo=UTC) + FIVE * chance.randrange(12)
    prices: dict[str, float | str] = {place: round(chance.uniform(-20, 90), 2) for place in PLACES}
    data = spp(prices, f"{end:%m/%d/%Y %H:%M:%S}")
    return Arrived(RT, data, f"RTBM-LMP-SL-{number}.csv", NOW + timedelta(seconds=number), f"{end}")


def equal(node: Node) -> list[Any]:
    return differing(computed(node.hot), twin(node.hot, list(streams().values())))


def seal_all(node: Node) -> int:
    return sum(node.hot.sealing.seal(unit) for unit in node.hot.sealing.unsealed())


def opened(folder: Path, now: datetime = NOW) -> Node:
    return open_node(Settings(workspace=folder), {}, ManualClock(now))


def test_missing_prices_count_for_nothing_and_retractions_leave_a_bar_without_values(node: Node, bring: Bring) -> None:
    bring(RT, spp({"A": 10.0, "B": "", "C": 5.0}), "RTBM-LMP-SL-1.csv", NOW, "1")
    bring(RT, spp({"A": 20.0, "B": 8.0}, "07/01/2025 12:10:00"), "RTBM-LMP-SL-2.csv", NOW, "2")
    bring(RT, spp({"A": 11.0, "B": ""}), "RTBM-LMP-SL-1.csv", NOW + FIVE, "1")
    assert equal(node) == []
    found = {key[3]: said for key, said in computed(node.hot, "width = '5m'").items() if key[7].minute == 0}
    assert found["A"][2] == 11.0 and found["C"][2:6] == (None,) * 4 and found["C"][8] == 0
    seal_all(node)
    assert equal(node) == []


@pytest.mark.slow
def test_every_order_of_batches_gives_the_same_bars_sealed_or_not(tmp_path: Path) -> None:
    chance, said = random.Random(5), []
    with opened(tmp_path / "ws") as node:
        for number in range(14):
            node.pipeline.inbox.accept(priced(number, chance))
        node.runner.drain()
        expected, names = computed(node.hot), ", ".join(dataset("interval_prices").names)
        rows = pl.DataFrame(node.hot.fetch(f"SELECT {names} FROM store.interval_prices FINAL"))
    batches = rows.partition_by("payload")
    for turn in range(4):
        hot = open_hot(f"chdb://{tmp_path / f'hot-{turn}'}")
        hot.ensure(bar_runs(streams().values(), of_intervals()))
        for number, batch in enumerate(batches):
            hot.insert("interval_prices", conform(batch, dataset("interval_prices")), str(number))
            if number % 4 == turn:
                for unit in hot.sealing.unsealed():
                    hot.sealing.seal(unit)
        said.append(computed(hot))
        hot.close()
        chance.shuffle(batches)
    assert said == [expected] * 4


@pytest.mark.slow
def test_ticks_of_two_tenants_of_one_instant_and_number_have_a_bar_each(node: Node, bring: Bring) -> None:
    owners = [("acme", "ice"), ("zenith", "ice"), ("acme", "cme")]
    rows = [tick(float(at * 10 + number), tenant=tenant, source=source, sequence=number, quantity=0.1 * number)
            for at, (tenant, source) in enumerate(owners) for number in (3, 1, 2)]  # fmt: skip
    bring("market.ticks", payload(rows), "t.ndjson")
    assert equal(node) == [] and len(computed(node.hot, "width = '1h'")) == 3
    before = computed(node.hot)
    assert seal_all(node) == 1 and computed(node.hot) == before
    bring("market.ticks", payload([tick(99.0, tenant="acme", source="ice", sequence=4)]), "u.ndjson")
    assert equal(node) == [] and len(node.hot.sealing.unsealed()) == 1


@pytest.mark.slow
def test_a_judged_day_is_sealed_and_a_correction_opens_that_day_alone(tmp_path: Path) -> None:
    chance = random.Random(1)
    with opened(tmp_path / "ws") as node:
        for number in range(10):
            node.pipeline.inbox.accept(priced(number, chance))
        node.runner.drain()
        assert len(node.hot.sealing.unsealed()) == 2  # nothing is over yet
    with opened(tmp_path / "ws", LATER) as node:
        node.runner.drain()
        assert node.hot.sealing.unsealed() == [] and equal(node) == []
        node.pipeline.inbox.accept(Arrived(RT, spp({"A": 1.0}, "07/01/2025 04:45:00"), "late.csv", LATER, "x"))
        node.pipeline.steps()["normalise"]()
        node.pipeline.steps()["project"]()
        (unit,) = node.hot.sealing.unsealed()
        assert str(unit.day) == "2025-06-30" and unit.revised and equal(node) == []
        node.runner.drain()
        assert node.hot.sealing.unsealed() == [] and equal(node) == []
        told = [act.why for act in node.ledger.trail(RT, "2025-06-30") if act.what == "repair"]
        assert told and all("changed prices; bars rebuilt: 5m×" in why for why in told)


POINTS = ("hot.days_changed", "hot.packed", "hot.inserted", "project.inserted", "project.done", "seal.begun",
          "seal.stored", "seal.done")  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("point", POINTS)
def test_a_reader_meets_one_bar_a_window_wherever_the_writer_dies(tmp_path: Path, point: str) -> None:
    chance = random.Random(point)
    for number in range(4):
        with opened(tmp_path / "ws", LATER) as node:
            node.pipeline.inbox.accept(priced(number, chance))
            try:
                with armed(cutting(point, chance.randint(1, 2))):
                    node.runner.drain()
                    seal_all(node)
            except Cut:
                pass
            assert equal(node) == [], f"{point}, delivery {number}"
    with opened(tmp_path / "ws", LATER) as node:
        node.runner.drain()
        assert equal(node) == [] and node.hot.sealing.unsealed() == []


@pytest.mark.slow
def test_readers_beside_a_writer_meet_one_bar_a_window_of_prices_that_stand_together(tmp_path: Path) -> None:
    """Every price of a delivery is the same number, so a bar that mixes two states has a mean that is none of them."""
    end = "07/01/2025 04:45:00"
    with opened(tmp_path / "ws", LATER) as node:
        stop, wrong, seen = threading.Event(), [], set[float]()

        def read() -> None:
            while not stop.is_set():
                sql = "SELECT location_id, open, mean, count FROM ohlc_bars WHERE width = '1h' ORDER BY location_id"
                rows = [tuple(row.values()) for row in node.hot.query(sql).to_pylist()]
                if rows and [row[0] for row in rows] != ["A", "B"]:
                    wrong.append(rows)
                wrong.extend(row for row in rows if row[1] != row[2] or row[3] != 1)
                seen.update(row[1] for row in rows)

        readers = [threading.Thread(target=read) for _ in range(2)]
        for reader in readers:
            reader.start()
        for number in range(16):
            data = spp({"A": float(number), "B": float(number)}, end)
            node.pipeline.inbox.accept(Arrived(RT, data, "x.csv", LATER + timedelta(seconds=number), "x"))
            for step in ("normalise", "project"):
                node.pipeline.steps()[step]()
            if number % 2:
                seal_all(node)
        stop.set()
        for reader in readers:
            reader.join()
        assert wrong == [] and len(seen) > 1


@pytest.mark.slow
def test_a_receipt_of_bars_verifies_after_a_correction_and_a_seal(node: Node, bring: Bring) -> None:
    ask = "SELECT location_id, open, close FROM ohlc_bars WHERE width = '1h' ORDER BY location_id"
    bring(RT, spp({"A": 10.0, "B": 12.0}), "RTBM-LMP-SL-1.csv", NOW, "1")
    seal_all(node)
    table, receipt = node.notary().answer(ask)
    bring(RT, spp({"A": 30.0, "B": 12.0}), "RTBM-LMP-SL-1.csv", NOW + FIVE, "1")
    seal_all(node)
    assert node.notary().verify(receipt).equal
    assert table["open"].to_pylist() == [10.0, 12.0]
    assert node.hot.query(ask)["open"].to_pylist() == [30.0, 12.0]


def cutting(point: str, times: int) -> Callable[[str], None]:
    left, dead = times, False

    def cut(name: str) -> None:
        nonlocal left, dead
        left -= name == point
        dead = dead or not left
        if dead:
            raise Cut

    return cut
