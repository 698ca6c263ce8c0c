"""A hundred malformed payloads: a letter for each that cannot be read and for each bad row, nothing else is lost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from hashlib import sha256

import pytest

from carbon254.app import Node, open_node
from carbon254.cli.printing import batches
from carbon254.clock import ManualClock
from carbon254.emulator.malformed import TOPICS, malformed, sound
from carbon254.feeds import feed
from carbon254.ingest import Arrived
from carbon254.settings import Settings

pytestmark = pytest.mark.slow

COUNT, SEED, DAY = 100, 254, date(2025, 11, 10)
NOW = datetime(2025, 11, 20, 12, tzinfo=UTC)


@dataclass(frozen=True)
class Spoiled:
    """A payload as it was put in, and how many letters it should make."""

    topic: str
    name: str
    data: bytes
    letters: int

    @property
    def id(self) -> str:
        return sha256(self.data).hexdigest()


@dataclass(frozen=True)
class Story:
    """The payloads, and the node that carried them."""

    node: Node
    payloads: list[Spoiled]

    def rows(self, sql: str) -> list[tuple]:
        return [tuple(row.values()) for row in self.node.hot.query(sql).to_pylist()]

    def hashes(self) -> dict[str, str]:
        return {table: self.node.hot.hash(table) for table in ("interval_prices", "ohlc_bars")}


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    payloads = [Spoiled(*made) for made in malformed(COUNT, SEED, DAY)]
    with open_node(Settings(workspace=tmp_path_factory.mktemp("malformed") / "ws"), {}, ManualClock(NOW)) as node:
        for one in payloads:
            _, new = node.pipeline.inbox.accept(Arrived(one.topic, one.data, one.name, NOW))
            assert new, one.name
        node.runner.drain()
        yield Story(node, payloads)


def test_every_payload_makes_the_letters_it_should(story: Story) -> None:
    made = Counter(letter.payload for letter in story.node.log.letters(limit=10_000))
    assert {one.name: made[one.id] for one in story.payloads} == {one.name: one.letters for one in story.payloads}
    assert sum(made.values()) == sum(one.letters for one in story.payloads) > COUNT
    assert {one.topic for one in story.payloads} == set(TOPICS)


def test_a_payload_that_cannot_be_read_is_one_letter_without_a_line(story: Story) -> None:
    whole = [letter for letter in story.node.log.letters(limit=10_000) if letter.line is None]
    assert sorted(letter.payload for letter in whole) == sorted(one.id for one in story.payloads[::2])
    stored = {row[0] for row in story.rows("SELECT DISTINCT payload FROM interval_prices")}
    assert stored.isdisjoint(letter.payload for letter in whole)


def test_every_letter_says_why_and_a_bad_row_says_where_and_what(story: Story) -> None:
    letters = story.node.log.letters(limit=10_000)
    assert all(letter.reason.strip() and letter.status == "open" for letter in letters)
    assert all(letter.line > 0 and letter.raw.strip() for letter in letters if letter.line is not None)
    assert len({letter.reason for letter in letters}) > 10


def test_the_sound_rows_of_a_payload_with_bad_ones_are_stored(story: Story) -> None:
    stored = dict(story.rows("SELECT payload, count() FROM interval_prices GROUP BY payload"))
    readable = story.payloads[1::2]
    assert set(stored) == {one.id for one in readable}
    for one in readable[: len(TOPICS)]:
        assert stored[one.id] == whole_rows(one) - lost(one), one.name


def whole_rows(one: Spoiled) -> int:
    """Rows of the payload before it was spoiled."""
    name, data = sound(one.topic, DAY, SEED)
    return sum(frame.height for frame, _ in batches(feed(one.topic), name, data))


def lost(one: Spoiled) -> int:
    """Rows that went with the letters: none of CAISO's, whose loss has a line of its own and may be missing."""
    return 0 if one.topic == "iso.da.lmp.caiso" else one.letters


def test_reading_all_letters_again_twice_adds_nothing(story: Story) -> None:
    before, letters = story.hashes(), story.node.log.letters(status="open", limit=10_000)
    for _ in range(2):
        assert story.node.pipeline.reprocess(letters, "present parser") == (0, len(letters))
        story.node.runner.drain()
        assert story.hashes() == before
    after = story.node.log.letters(limit=10_000)
    assert [(one.id, one.status) for one in after] == [(one.id, "open") for one in letters]
