"""Death at every named point around the engines: normaliser, hot store, bars, lake, rebuild and upkeep.

After each death another node takes over, carries what is left (and does the rebuild or the upkeep again where one was
cut off), and every store must hold what an independent reckoning says.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from carbon254.app import Node
from carbon254.calendars import market_day_span
from carbon254.engine.lakekeeper import broken_files
from carbon254.engine.upkeep import compacted, expired
from carbon254.proof import rows_hash

from .deliveries import NOW, START, TOPIC, Expected, arrived, wrong
from .dying import Lives, abandon
from .sites import heavy
from .tiers import figure, seed_for, tally

_UPKEEP = "upkeep."
_REBUILT = (
    "rebuild.",
    "lake.deleted",
    "hot.staged",
    "hot.carried_over",
    "hot.filled",
    "hot.swapped",
    "hot.days_told_anew",
)
AGAIN = figure(1, 12)
LAKE = "interval_prices"


class World:
    """A workspace that dies again and again, and what was delivered to it."""

    def __init__(self, folder: Path) -> None:
        self.lives, self.expected, self.next = Lives(folder, NOW + timedelta(hours=1)), Expected(), 0

    def deliver(self, node: Node, many: int) -> None:
        for number in range(self.next, self.next + many):
            self.expected.add(number)
            self.next += 1
            node.pipeline.inbox.accept(arrived(number))
            node.runner.drain()

    def rebuild(self, node: Node) -> None:
        span = market_day_span(START.date(), "America/Chicago")
        node.pipeline.replay(TOPIC, *span, NOW + timedelta(hours=1))

    def keep_up(self, node: Node) -> None:
        """Merge and forget, as if the day were long past."""
        later = datetime.now(UTC) + timedelta(days=1)
        assert not [done for done in compacted(node.log, node.lake, LAKE, later) if done.why]
        expired(node.log, node.lake, LAKE, later)

    def more_files(self) -> tuple[str, int]:
        """Something to merge; the hash of the lake's rows, and its offset."""
        node = self.lives.open()
        self.deliver(node, 3)
        found = rows_hash(node.lake.scan(LAKE)).hash, node.lake.offset(LAKE)
        abandon(node)
        return found


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    made = World(tmp_path_factory.mktemp("dying"))
    node = made.lives.open()
    made.deliver(node, 3)
    assert wrong(node, made.expected) == []
    abandon(node)
    yield made
    made.lives.close()


@pytest.mark.sampled(1)
@pytest.mark.parametrize("name", heavy())
def test_another_node_takes_over_after_death_at(name: str, world: World) -> None:
    seed = seed_for(name)
    chance = random.Random(f"{seed}{name}")
    with tally(1, f"death at {name}", seed) as done:
        for turn in range(AGAIN):
            visit = 1 if turn == 0 or name.startswith(_UPKEEP) else chance.randint(1, 3)
            before = world.more_files() if name.startswith(_UPKEEP) else None
            with world.lives.dying_at(name, visit) as (node, dying):
                if name.startswith(_REBUILT):
                    world.rebuild(node)
                elif before:
                    world.keep_up(node)
                else:
                    world.deliver(node, 1)
            done.add(crashes=dying.dead)
            node = world.lives.open()
            try:
                node.runner.drain()
                if name.startswith(_REBUILT):
                    world.rebuild(node)
                    node.runner.drain()
                if before:
                    assert (rows_hash(node.lake.scan(LAKE)).hash, node.lake.offset(LAKE)) == before
                    world.keep_up(node)
                    assert (rows_hash(node.lake.scan(LAKE)).hash, node.lake.offset(LAKE)) == before
                    (told,) = (one for one in node.lake.stats(NOW) if one.table == LAKE)
                    assert (told.files, told.snapshots, broken_files(node.log, node.lake, LAKE)) == (1, 1, [])
                assert wrong(node, world.expected) == []
            finally:
                abandon(node)
        assert done.counts["crashes"], f"{name} was never reached"
