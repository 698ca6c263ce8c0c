"""A provider that has nothing yet: the request is unpublished and not new, its day stays pending, it is asked again."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from carbon254.app import Node, open_node
from carbon254.calendars import market_day_span
from carbon254.clock import ManualClock
from carbon254.emulator import Emulator
from carbon254.feeds import feed, feeds
from carbon254.settings import Settings

DAY = date(2025, 7, 2)
# Before any of them publishes the day, and after all of them did.
BEFORE, AFTER = datetime(2025, 7, 1, 6, tzinfo=UTC), datetime(2025, 7, 4, 12, tzinfo=UTC)
DAY_AHEAD = [topic for topic in sorted(feeds()) if topic.startswith("iso.da.lmp.")]


@pytest.fixture
def node(tmp_path: Path, emulator: Emulator) -> Iterator[Node]:
    settings = Settings(workspace=tmp_path / "ws", emulator_url=emulator.url)
    with open_node(settings, {}, ManualClock(BEFORE)) as opened:
        yield opened


def states(node: Node, topic: str) -> list[str]:
    start, end = market_day_span(DAY, feed(topic).stream.clock)
    return [fetched.state for fetched in node.pipeline.fetch(topic, start, min(end, start + timedelta(days=1)))]


@pytest.mark.slow
@pytest.mark.parametrize("topic", DAY_AHEAD)
def test_an_empty_answer_is_unpublished_until_it_is_filled(node: Node, emulator: Emulator, topic: str) -> None:
    emulator.clock(BEFORE)
    for _ in range(2):
        assert set(states(node, topic)) == {"unpublished"}
        node.runner.drain()
        assert node.log.count_letters(f"dlq.{topic}") == 0
        assert {entry.state for entry in node.ledger.entries(topic, str(DAY))} == {"pending"}
    emulator.clock(AFTER)
    assert set(states(node, topic)) == {"new"}
    node.runner.drain()
    (entry,) = node.ledger.entries(topic, str(DAY))
    assert entry.state != "pending" and entry.rows > 0
