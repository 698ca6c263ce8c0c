"""A full disk: a clean error, nothing acknowledged is lost, nothing empty is seen, and room is enough to go on."""

from __future__ import annotations

import random
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import apsw
import pytest
from sqlalchemy.exc import DBAPIError

from carbon254.app import Node, open_node
from carbon254.clock import ManualClock
from carbon254.errors import Carbon254Error
from carbon254.ingest import Arrived
from carbon254.settings import Settings

from .oracle import Oracle
from .recipe import Rooms
from .smalldisk import small_disk
from .tiers import figure, seed_for, tally

CLEAN = (OSError, apsw.Error, DBAPIError, Carbon254Error)
NOW = datetime(2025, 7, 1, 12, 10, 30, tzinfo=UTC)


@pytest.mark.parametrize("megabytes", [4, 16])
def test_the_recipe_on_a_disk_that_fills_again_and_again(megabytes: int, tmp_path: Path) -> None:
    seed = seed_for("disk full")
    chance = random.Random(seed)
    with tally(5, f"recipe on {megabytes} MB", seed) as done, small_disk(tmp_path / "disk", megabytes) as disk:
        folder, oracle, number = disk.folder / "ws", Oracle(), 0
        folder.mkdir()
        rooms = Rooms(folder)
        for _ in range(figure(3, 20)):
            for _ in range(chance.randint(1, 4)):
                number = _go_on(rooms, oracle, number)
            disk.fill()
            refused = 0
            for _ in range(6):
                try:
                    number = _go_on(rooms, oracle, number)
                except CLEAN:
                    refused += 1
            assert refused, "the full disk was not noticed"
            assert not [path for path in folder.rglob("*.zst") if not path.stat().st_size]
            disk.free()
            # The same rooms, as they are: nobody comes to restart them.
            number = _go_on(rooms, oracle, number)
            assert oracle.judge(folder) == []
            done.add(fills=1, refused=refused)
        rooms.close()
        assert oracle.judge(folder) == []
        done.add(acknowledged=len(oracle.of("accepted")))


def _go_on(rooms: Rooms, oracle: Oracle, number: int) -> int:
    def said(text: str) -> None:
        oracle.hear([text])

    oracle.begun.add(number)
    rooms.accept(number, said)
    number += 1
    rooms.carry(said)
    rooms.note(said)
    return number


@pytest.mark.slow
def test_a_node_on_a_full_disk_says_so_and_goes_on_by_itself(tmp_path: Path) -> None:
    from flow.conftest import spp

    settings = Settings(workspace=tmp_path / "disk" / "ws", lake_commit_seconds=0)
    with (
        tally(5, "node on 96 MB") as done,
        small_disk(tmp_path / "disk", 96) as disk,
        open_node(settings, {}, ManualClock(NOW)) as node,
    ):
        taken: dict[str, float] = {}

        def bring(number: int) -> None:
            data = spp({f"P{number}": float(number)})
            arrived = Arrived("iso.rt.lmp.spp", data, f"{number}.csv", NOW + timedelta(seconds=number))
            node.pipeline.inbox.accept(arrived)
            taken[f"P{number}"] = float(number)

        bring(0)
        node.runner.drain()
        for number in (1, 2, 3):
            bring(number)
        disk.fill()
        refused = 0
        for number in range(4, 9):
            try:
                bring(number)
            except CLEAN:
                refused += 1
        assert refused
        node.runner.start()
        _until(lambda: bool(node.runner.trouble))
        disk.free()
        bring(99)
        _until(lambda: not node.runner.trouble and not _behind(node))
        node.runner.stop()
        held = node.hot.fetch("SELECT location_id, lmp FROM interval_prices").to_pylist()
        current = {row["location_id"]: row["lmp"] for row in held if row["lmp"] is not None}
        assert taken.items() <= current.items()
        assert all(place in taken or number_of(place) in range(4, 9) for place in current)
        assert node.lake.count("interval_prices") == node.hot.count("interval_prices")
        done.add(fills=1, refused=refused, acknowledged=len(taken))


def number_of(place: str) -> int:
    return int(place[1:])


def _behind(node: Node) -> int:
    log = node.log
    return log.lag("normalise", "raw.") + sum(log.lag(consumer, "rows.") for consumer in ("project", "lake"))


def _until(what: object, seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not what():  # type: ignore[operator]
        assert time.monotonic() < end, "it did not come to it in time"
        time.sleep(0.05)
