"""A log that is younger than the stores: a replay takes nothing away that it could not make again."""

from __future__ import annotations

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
