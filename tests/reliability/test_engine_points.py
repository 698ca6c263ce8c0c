"""Death at every named point around the engines: normaliser, hot store, bars, lake and rebuild.

After each death another node takes over, carries what is left (and does the rebuild again where one was cut off), and
every store must hold what an independent reckoning says.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from carbon254.app import Node
from carbon254.calendars import market_day_span

from .deliveries import NOW, START, TOPIC, Expected, arrived, wrong
from .dying import Lives, abandon
from .sites import heavy
from .tiers import figure, seed_for, tally

_REBUILT = ("rebuild.", "lake.deleted", "hot.staged", "hot.carried_over", "hot.filled", "hot.swapped")
AGAIN = figure(1, 12)


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


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    made = World(tmp_path_factory.mktemp("dying"))
    node = made.lives.open()
    made.deliver(node, 3)
    assert wrong(node, made.expected) == []
    abandon(node)
    yield made
    made.lives.close()


@pytest.mark.parametrize("name", heavy())
def test_another_node_takes_over_after_death_at(name: str, world: World) -> None:
    seed = seed_for(name)
    chance = random.Random(f"{seed}{name}")
    with tally(1, f"death at {name}", seed) as done:
        for turn in range(AGAIN):
            visit = 1 if turn == 0 else chance.randint(1, 3)
            with world.lives.dying_at(name, visit) as (node, dying):
                if name.startswith(_REBUILT):
                    world.rebuild(node)
                else:
                    world.deliver(node, 1)
            done.add(crashes=dying.dead)
            node = world.lives.open()
            try:
                node.runner.drain()
                if name.startswith(_REBUILT):
                    world.rebuild(node)
                    node.runner.drain()
                assert wrong(node, world.expected) == []
            finally:
                abandon(node)
        assert done.counts["crashes"], f"{name} was never reached"
