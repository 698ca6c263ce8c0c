"""Bars of every recorded price file: those of the twin, and the same once their days are sealed."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from flow.bars_twin import computed, differing, twin
from flow.test_bars import seal_all
from flow.test_recorded import FACTS

from carbon254.app import Node, open_node, streams
from carbon254.clock import ManualClock
from carbon254.ingest import Arrived
from carbon254.settings import Settings

pytestmark = pytest.mark.slow

NOW = datetime(2026, 8, 1, 12, tzinfo=UTC)


@pytest.mark.slow
def test_bars_of_recorded_prices_are_those_of_the_twin(recorded: Path, tmp_path: Path) -> None:
    with open_node(Settings(workspace=tmp_path / "ws"), {}, ManualClock(NOW)) as node:
        for facts in FACTS:
            path = recorded / facts.file
            node.pipeline.inbox.accept(Arrived(facts.topic, path.read_bytes(), path.name, NOW, facts.file))
        for name in ("normalise", "project"):
            while node.pipeline.steps()[name]():
                pass
        expected = twin(node.hot, list(streams().values()))
        assert len(expected) > 30_000 and differing(computed(node.hot), expected) == []
        assert seal_all(node) > 100 and node.hot.sealing.unsealed() == []
        assert differing(computed(node.hot), expected) == []


@pytest.mark.slow
def test_runs_of_the_files_are_all_there(recorded: Path, node: Node) -> None:
    found = node.hot.fetch("SELECT market, market_run FROM store.bar_runs").to_pylist()
    known = {(row["market"], row["market_run"]) for row in found}
    assert {(one.market, one.market_run) for one in streams().values() if one.dataset == "interval_prices"} <= known
