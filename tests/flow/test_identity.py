"""What comes again is stored once in every store, whatever way it comes; what goes back to an earlier value is news."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from itertools import permutations
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from flow.conftest import NOW, spp
from flow.outside import lake_count, lake_rows
from flow.replaying import SPAN

from carbon254 import app
from carbon254.app import Node, open_node
from carbon254.clock import ManualClock
from carbon254.engine.source import ParsedRows, Source
from carbon254.faults import armed
from carbon254.feeds.contract import Rows
from carbon254.ingest import Arrived
from carbon254.pipeline import sources
from carbon254.settings import Settings
from carbon254.stores.log import records_of

RT, TABLE = "iso.rt.lmp.spp", "interval_prices"
PLACES = {f"LOC_{i}": 20.0 + i for i in range(10)}
MINUTE = timedelta(minutes=1)


def opened(folder: Path) -> Node:
    return open_node(Settings(workspace=folder), {}, ManualClock(NOW + timedelta(hours=6)))


def bring(node: Node, data: bytes, minutes: int = 0, name: str = "a.csv", subject: str = "") -> bool:
    _, new = node.pipeline.inbox.accept(Arrived(RT, data, name, NOW + minutes * MINUTE, subject))
    node.runner.drain()
    return new


def stored(node: Node) -> dict[str, Any]:
    """What every store holds of the feed, each asked by its own means."""
    latest = node.cache.get("SPP")
    hot = node.hot.fetch(f"SELECT count() AS n FROM store.{TABLE} FINAL")["n"][0].as_py()
    held = node.hot.fetch("SELECT count() AS n FROM store.quarantine FINAL")["n"][0].as_py()
    return {
        "log": sum(record.headers["rows"] for record in records_of(node.log, f"rows.{RT}")),
        "hot": hot,
        "lake": lake_count(node.workspace.root),
        "latest": sorted(latest.select("location", "lmp").rows()) if latest is not None else [],
        "ledger": sum(entry.rows for entry in node.ledger.entries(RT)),
        "quarantine": held,
        "counts": sum(one.records for one in node.ledger.counts(RT)),
    }


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    with opened(tmp_path / "ws") as found:
        yield found


def test_reprocessing_twice_stores_nothing_twice(node: Node) -> None:
    bring(node, spp(PLACES | {"LOC_3": "n/a"}))
    before = stored(node)
    assert (before["log"], before["hot"], before["lake"]) == (9, 9, 9)
    for _ in range(2):
        node.pipeline.reprocess(node.log.letters(status="open"), "again")
        node.runner.drain()
    assert stored(node) == before
    list(node.lake.compact(TABLE, node.clock.now()))
    assert lake_count(node.workspace.root) == 9


@pytest.mark.slow
def test_the_same_file_comes_again_under_another_name_and_afresh(node: Node) -> None:
    bring(node, spp(PLACES))
    before = stored(node)
    assert not bring(node, spp(PLACES), 5, "b.csv")
    assert not bring(node, spp(PLACES), 6)
    assert stored(node) == before


def test_a_price_that_goes_back_is_three_changes_in_every_store(node: Node) -> None:
    for minutes, price in enumerate((23.0, 99.0, 23.0)):
        assert bring(node, spp({"LOC_3": price}), minutes)
    found = stored(node)
    assert (found["log"], found["hot"], found["lake"], found["ledger"]) == (3, 3, 3, 3)
    assert found["latest"] == [("LOC_3", 23.0)]
    assert lake_rows(node.workspace.root, "SELECT lmp FROM rows ORDER BY known_at") == [(23.0,), (99.0,), (23.0,)]
    assert len(node.ledger.counts(RT)) == 3


@pytest.mark.slow
def test_a_replay_adds_nothing_to_any_store(node: Node) -> None:
    for minutes, price in enumerate((23.0, 99.0, 23.0)):
        bring(node, spp(PLACES | {"LOC_3": price}), minutes)
    before, hashes = stored(node), (node.hot.hash(TABLE), lake_hash(node))
    for _ in range(2):
        node.pipeline.replay(RT, *SPAN, NOW)
        node.runner.drain()
    assert stored(node) == before
    assert (node.hot.hash(TABLE), lake_hash(node)) == hashes


@pytest.mark.slow
def test_an_edited_copy_is_an_arrival_of_its_own_and_is_stored_once(node: Node) -> None:
    bring(node, spp(PLACES | {"LOC_3": "n/a"}))
    letters = node.log.letters(status="open")
    for _ in range(2):
        node.pipeline.correct(letters, spp(PLACES), "a.csv", node.clock.now())
        node.runner.drain()
    found = stored(node)
    assert (found["hot"], found["lake"], found["log"]) == (19, 19, 19)
    assert lake_rows(node.workspace.root, "SELECT count(DISTINCT payload) FROM rows") == [(2,)]


@pytest.mark.slow
def test_a_mended_parser_replaces_what_the_older_one_gave(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every price was read wrong, and a line not at all."""
    many = {f"LOC_{i:03}": 20.0 + i for i in range(200)}
    with monkeypatch.context() as wrong, opened_with(wrong, tmp_path / "ws", _off_by_ten) as node:
        bring(node, spp(many | {"LOC_007": "n/a"}))
        assert stored(node)["hot"] == 199
    with opened(tmp_path / "ws") as node:
        for _ in range(2):
            node.pipeline.reprocess(node.log.letters(status="open"), "mended")
            node.runner.drain()
        right = sorted((name, price) for name, price in many.items() if name != "LOC_007")
        current = node.hot.query("SELECT location, lmp FROM current_prices").to_pylist()
        assert sorted((row["location"], row["lmp"]) for row in current) == right
        assert node.hot.fetch(f"SELECT count() AS n FROM store.{TABLE} FINAL")["n"][0].as_py() == 199
        assert sorted(lake_rows(tmp_path / "ws", "SELECT location, lmp FROM rows")) == right
        assert node.log.get_state("unsettled", RT) == b""


@pytest.mark.slow
@pytest.mark.parametrize("place", ["settle.rebuilt", "settle.done", "rebuild.hot", "rebuild.lake"])
def test_a_death_while_a_reading_replaces_another_ends_the_same(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Died(BaseException):
        pass

    def die(name: str) -> None:
        if name == place:
            raise Died

    with monkeypatch.context() as wrong, opened_with(wrong, tmp_path / "ws", _off_by_ten) as node:
        bring(node, spp(PLACES | {"LOC_3": "n/a"}))
    with opened(tmp_path / "ws") as node, armed(die), pytest.raises(Died):
        node.pipeline.reprocess(node.log.letters(status="open"), "mended")
        node.runner.drain()
    with opened(tmp_path / "ws") as node:
        node.runner.drain()
        right = sorted((name, price) for name, price in PLACES.items() if name != "LOC_3")
        assert sorted(lake_rows(tmp_path / "ws", "SELECT location, lmp FROM rows")) == right
        current = node.hot.query("SELECT location, lmp FROM current_prices").to_pylist()
        assert sorted((row["location"], row["lmp"]) for row in current) == right
        assert stored(node)["hot"] == 9


@pytest.mark.slow
def test_in_whatever_order_arrivals_are_carried_every_store_says_the_same(tmp_path: Path) -> None:
    files = [
        (spp(PLACES), 0),
        (spp(PLACES | {"LOC_3": 99.0}), 60),
        (spp({name: price for name, price in PLACES.items() if name != "LOC_5"}), 61),
        (spp(PLACES | {"LOC_11": 5.0}), 62),
    ]
    found = set()
    orders = [files, files[::-1], *random.Random(3).sample(list(permutations(files)), 4)]
    for number, order in enumerate(orders):
        with opened(tmp_path / f"ws{number}") as node:
            for at, (data, minutes) in enumerate(order):
                bring(node, data, minutes, subject=f"{at}")
            found.add((node.hot.hash(TABLE), lake_hash(node)))
    assert len(found) == 1


@pytest.mark.slow
def test_released_rows_go_out_once_however_often_they_are_released(node: Node) -> None:
    """Read again with the decision kept, the payload gives the same rows."""
    from carbon254.engine.quarantine import Release

    wrong = {f"LOC_{i}": 20.0 + i for i in range(10)} | {"LOC_3": 99_999.0}
    bring(node, spp(wrong))
    held = node.hot.fetch("SELECT row_id FROM quarantine")["row_id"].to_pylist()
    assert held
    decision = Release(node.clock.now(), "ann", "the provider confirmed it")
    node.pipeline.release(RT, None, held, decision)
    node.runner.drain()
    before = stored(node)
    assert before["lake"] == before["hot"] == 10
    record = next(iter(records_of(node.log, f"raw.{RT}")))
    node.pipeline.normaliser.carry(record, commit=False)
    node.runner.drain()
    assert stored(node) == before


def lake_hash(node: Node) -> tuple[Any, ...]:
    """The rows of the lake, without where they were stored."""
    columns = "location_id, interval_start, known_at, known_basis, lmp, flags, revision, payload, received_at"
    return tuple(lake_rows(node.workspace.root, f"SELECT {columns} FROM rows ORDER BY ALL"))


def opened_with(patched: pytest.MonkeyPatch, folder: Path, parse: Any) -> Node:
    def wrong() -> Mapping[str, Source]:
        known = dict(sources())
        known[RT] = replace(known[RT], parse=parse(known[RT].parse))
        return known

    patched.setattr(app, "sources", wrong)
    return opened(folder)


def _off_by_ten(parse: Any) -> Any:
    def wrong(name: str, data: bytes) -> Iterator[ParsedRows]:
        for rows in parse(name, data):
            assert isinstance(rows, Rows)
            yield replace(rows, frame=rows.frame.with_columns(pl.col("lmp") + 10, pl.col("energy") + 10))

    return wrong
