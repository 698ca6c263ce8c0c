"""A log that is younger than the stores: a replay takes nothing away that it could not make again."""

from __future__ import annotations

import shutil
from datetime import timedelta
from pathlib import Path

import pytest
from flow.conftest import NOW, spp
from flow.replaying import FEED, SPAN

from carbon254.app import Node, open_node
from carbon254.clock import ManualClock
from carbon254.engine.wanting import FewerPayloads
from carbon254.ingest import Arrived
from carbon254.settings import Settings

TABLE = "interval_prices"


def opened(folder: Path) -> Node:
    return open_node(Settings(workspace=folder), {}, ManualClock(NOW))


def filled(folder: Path, price: float = 20.0) -> str:
    with opened(folder) as node:
        node.pipeline.inbox.accept(Arrived(FEED, spp({"A": price, "B": price + 1}), f"{price}.csv", NOW, ""))
        node.runner.drain()
        return node.hot.hash(TABLE)


def without_log(folder: Path) -> None:
    for path in folder.glob("log.db*"):
        path.unlink()


def test_a_replay_whose_log_was_deleted_leaves_every_row(tmp_path: Path) -> None:
    before = filled(tmp_path / "ws")
    without_log(tmp_path / "ws")
    with opened(tmp_path / "ws") as node:
        with pytest.raises(FewerPayloads, match=r"younger than the stores: restore it .*--afresh"):
            node.pipeline.replay(FEED, *SPAN, NOW)
        assert node.hot.hash(TABLE) == before
        assert node.lake.count(TABLE) == 2
        assert {entry.state for entry in node.ledger.entries(FEED)} == {"completed"}


def test_a_replay_whose_log_knows_only_some_payloads_leaves_every_row(tmp_path: Path) -> None:
    filled(tmp_path / "ws")
    without_log(tmp_path / "ws")
    before = filled(tmp_path / "ws", 30.0)
    with opened(tmp_path / "ws") as node:
        with pytest.raises(FewerPayloads):
            node.pipeline.replay(FEED, *SPAN, NOW)
        assert node.hot.hash(TABLE) == before


def test_a_replay_over_an_emptied_store_and_no_log_is_refused_by_what_the_ledger_noted(tmp_path: Path) -> None:
    filled(tmp_path / "ws")
    without_log(tmp_path / "ws")
    with opened(tmp_path / "ws") as node:
        node.hot.command(f"TRUNCATE TABLE store.{TABLE}")
        with pytest.raises(FewerPayloads, match=r"those of \d{4}-\d\d-\d\d"):
            node.pipeline.replay(FEED, *SPAN, NOW)
        assert node.lake.count(TABLE) == 2


def test_a_replay_of_a_span_that_never_had_rows_has_nothing_to_lose(tmp_path: Path) -> None:
    with opened(tmp_path / "ws") as node:
        assert node.pipeline.replay(FEED, *SPAN, NOW).payloads == 0


def ingested(folder: Path, price: float, minute: int) -> None:
    with opened(folder) as node:
        later = NOW + timedelta(minutes=minute)
        node.pipeline.inbox.accept(Arrived(FEED, spp({"A": price}), f"{price}.csv", later, ""))
        node.runner.drain()


def prices(folder: Path) -> tuple[list[float], list[float], list[float]]:
    """The newest price by the hot store, its bar and all prices of the lake."""
    with opened(folder) as node:
        hot = node.hot.query("SELECT lmp FROM current_prices WHERE location = 'A'").to_pylist()
        bars = node.hot.query("SELECT close FROM ohlc_bars WHERE location = 'A' AND width = '1h'").to_pylist()
        lake = node.lake.scan(TABLE, columns=["lmp"]).to_pylist()
    return [r["lmp"] for r in hot], [r["close"] for r in bars], sorted(r["lmp"] for r in lake)


@pytest.mark.slow
@pytest.mark.parametrize("copy", ["none", "older"])
def test_what_comes_after_reaches_every_store(tmp_path: Path, copy: str) -> None:
    folder, kept = tmp_path / "ws", tmp_path / "kept"
    ingested(folder, 20.0, 0)
    kept.mkdir()
    for path in folder.glob("log.db*"):
        shutil.copy(path, kept)
    for minute in range(1, 6):
        ingested(folder, 20.0 + minute, minute)
    without_log(folder)
    if copy == "older":
        for path in kept.iterdir():
            shutil.copy(path, folder)
    ingested(folder, 40.0, 9)
    assert prices(folder) == ([40.0], [40.0], [20.0, 21.0, 22.0, 23.0, 24.0, 25.0, 40.0])
