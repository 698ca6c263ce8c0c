"""A node keeps its lake up by itself, once a day; what it merged is as sound and as well sealed as before."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import cast

import pytest
from contract.outside import files_in
from flow.conftest import NOW, spp

from carbon254.app import Node, open_node
from carbon254.cli.proving import soundness
from carbon254.clock import ManualClock
from carbon254.ingest import Arrived
from carbon254.proof import rows_hash
from carbon254.settings import Settings

pytestmark = pytest.mark.slow

RT, TABLE = "iso.rt.lmp.spp", "interval_prices"
DAY = timedelta(days=1)


def deliver(node: Node, many: int) -> None:
    for number in range(many):
        end = f"{NOW.replace(minute=5, second=0) - timedelta(minutes=5 * number):%m/%d/%Y %H:%M:%S}"
        rows = spp({f"LOC_{place}": 20.0 + place + number for place in range(6)}, end)
        node.pipeline.inbox.accept(Arrived(RT, rows, f"p{number}.csv", NOW + timedelta(seconds=number)))
        carry(node)


def carry(node: Node) -> None:
    """Everything that is pending, and the upkeep that is due."""
    node.runner.drain()
    while node.pipeline.upkeep.step():
        pass


def turn(node: Node, by: timedelta) -> None:
    """Time goes by, and the node carries on."""
    cast(ManualClock, node.clock).sleep(by.total_seconds())
    carry(node)


def files(node: Node) -> int:
    return next(one.files for one in node.lake.stats(node.clock.now()) if one.table == TABLE)


def opened(folder: Path, now: datetime = NOW, **settings: float) -> Node:
    return open_node(Settings(workspace=folder, **settings), {}, ManualClock(now))


def test_a_node_merges_once_a_day_and_what_it_merged_is_sound(tmp_path: Path) -> None:
    with opened(tmp_path / "ws") as node:
        deliver(node, 4)
        turn(node, 0.9 * DAY)
        assert files(node) == 4
    with opened(tmp_path / "ws", NOW + 39.9 * DAY) as node:
        before = rows_hash(node.lake.scan(TABLE)).hash, node.lake.offset(TABLE), node.pipeline.prove(RT, *span()).root
        carry(node)
        assert files(node) == 1, "a day went by, although not in one process"
        assert (
            rows_hash(node.lake.scan(TABLE)).hash, node.lake.offset(TABLE), node.pipeline.prove(RT, *span()).root
        ) == before  # fmt: skip
        assert list(soundness(node).findings()) == []
        deliver_more(node)
        turn(node, 0.5 * DAY)
        assert files(node) == 2, "the next time is a day later"
        turn(node, 0.6 * DAY)
        assert files(node) == 1


def test_harm_to_a_merged_file_is_found_and_never_merged_in(tmp_path: Path) -> None:
    with opened(tmp_path / "ws") as node:
        deliver(node, 3)
        turn(node, 40 * DAY)
        assert files(node) == 1
        (harmed,) = files_in(tmp_path / "ws" / "lake", TABLE)
        whole = harmed.read_bytes()
        harmed.write_bytes(whole[:2000] + bytes([whole[2000] ^ 1]) + whole[2001:])
        assert any(harmed.name in finding.what for finding in soundness(node).stores.files())
        deliver_more(node)
        turn(node, 2 * DAY)
        assert files(node) == 2, "a harmed file is not merged into a new one that would be sealed"
        harmed.write_bytes(whole)
        turn(node, 2 * DAY)
        assert files(node) == 1 and list(soundness(node).stores.files()) == []


def test_who_waits_for_what_is_pending_does_not_wait_for_upkeep(tmp_path: Path) -> None:
    with opened(tmp_path / "ws") as node:
        deliver(node, 3)
        cast(ManualClock, node.clock).sleep((40 * DAY).total_seconds())
        node.runner.drain()
        assert files(node) == 3
        carry(node)
        assert files(node) == 1


def test_a_node_leaves_it_to_the_command_when_told_so(tmp_path: Path) -> None:
    with opened(tmp_path / "ws", lake_upkeep_hours=0) as node:
        deliver(node, 3)
        turn(node, 40 * DAY)
        turn(node, 40 * DAY)
        assert files(node) == 3


def deliver_more(node: Node) -> None:
    """One more payload for the same day."""
    data = spp({"LOC_LATE": 5.0}, f"{NOW.replace(minute=10, second=0):%m/%d/%Y %H:%M:%S}")
    node.pipeline.inbox.accept(Arrived(RT, data, "late.csv", NOW + timedelta(minutes=5)))
    carry(node)


def span() -> tuple[datetime, datetime]:
    return NOW - 2 * DAY, NOW + 2 * DAY
