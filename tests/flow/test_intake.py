"""Pushed messages into the node's own log and archive: a batch of several partitions is one payload, taken in once."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

import pytest

from carbon254.app import Node
from carbon254.errors import TransientError
from carbon254.ingest.intake import Intake, began

TOPIC = "ingestion.market.ticks.raw.v1"


@dataclass(frozen=True)
class Waiting:
    """What waits in one partition."""

    partition: int
    positions: Sequence[int]
    values: Sequence[bytes]
    topic: str = TOPIC


class Sender:
    """What somebody pushed: batches as they will be taken, and where reading was asked to begin again."""

    def __init__(self, *takes: Sequence[Waiting]) -> None:
        self.takes = list(takes)
        self.ready: list[bool] = []
        self.sent_back: list[tuple[str, int, int]] = []

    def take(self, ready: bool) -> Sequence[Waiting]:
        self.ready.append(ready)
        return self.takes.pop(0) if self.takes and ready else []

    def again(self, topic: str, partition: int, first: int) -> None:
        self.sent_back.append((topic, partition, first))

    def close(self) -> None:
        pass


def tick(number: int) -> bytes:
    stamp = f"2025-07-01T00:{number // 60:02d}:{number % 60:02d}Z"
    return json.dumps({"instrument": "NG", "time": stamp, "price": 3.0 + number, "sequence": number}, indent=1).encode()


def waiting(partition: int, first: int, last: int, step: int = 1) -> Waiting:
    positions = range(first, last, step)
    return Waiting(partition, positions, [tick(partition * 100 + at) for at in positions])


def took(node: Node, sender: Sender) -> int:
    return Intake(sender, node.pipeline.inbox, node.log, node.clock.now).step()


def stored(node: Node) -> list[float]:
    node.runner.drain()
    return sorted(node.hot.query("SELECT price FROM market_ticks").column("price").to_pylist())


@pytest.mark.slow
def test_several_partitions_are_one_payload(node: Node) -> None:
    assert took(node, Sender([waiting(0, 0, 3), waiting(2, 5, 7)])) == 5
    (record,) = node.log.scan("raw.market.ticks")
    assert record.headers["subject"] == f"{TOPIC}/0"
    assert [began(node.log, TOPIC, part) for part in (0, 1, 2)] == [3, None, 7]
    assert stored(node) == [3.0, 4.0, 5.0, 208.0, 209.0]


@pytest.mark.slow
def test_what_was_taken_in_is_left_out_by_its_position(node: Node) -> None:
    """A writer in transactions leaves holes: the third message is not at the third position."""
    took(node, Sender([waiting(0, 0, 6, 2)]))
    assert began(node.log, TOPIC, 0) == 5
    assert took(node, Sender([waiting(0, 0, 10, 2)])) == 2
    assert took(node, Sender([waiting(0, 0, 10, 2)])) == 0
    assert stored(node) == [3.0, 5.0, 7.0, 9.0, 11.0]


@pytest.mark.slow
def test_messages_that_another_took_meanwhile_are_read_again(node: Node) -> None:
    class Racing(Sender):
        """Another process takes the same messages in after we have looked where we are."""

        def take(self, ready: bool) -> Sequence[Waiting]:
            batches = super().take(ready)
            taken = node.log.get_state

            def then_overtaken(scope: str, key: str) -> bytes | None:
                found = taken(scope, key)
                node.log.get_state = taken  # type: ignore[method-assign]
                took(node, Sender([waiting(0, 0, 3)]))
                return found

            node.log.get_state = then_overtaken  # type: ignore[method-assign]
            return batches

    racing = Racing([waiting(0, 0, 3), waiting(1, 0, 2)])
    with pytest.raises(TransientError, match="taken further by another process"):
        took(node, racing)
    assert racing.sent_back == [(TOPIC, 0, 0), (TOPIC, 1, 0)]
    assert took(node, Sender([waiting(0, 0, 4), waiting(1, 0, 2)])) == 3
    assert stored(node) == [3.0, 4.0, 5.0, 6.0, 103.0, 104.0]


@pytest.mark.slow
def test_a_refused_payload_is_read_again(node: Node) -> None:
    node.pipeline.inbox._raw = Refusing()  # type: ignore[assignment]
    sender = Sender([waiting(3, 8, 9)])
    with pytest.raises(OSError, match="no room"):
        took(node, sender)
    assert sender.sent_back == [(TOPIC, 3, 8)]
    assert began(node.log, TOPIC, 3) is None
    assert list(node.log.scan("raw.")) == []


class Refusing:
    def put(self, *_: object) -> None:
        raise OSError("no room")


@pytest.mark.slow
@pytest.mark.parametrize(
    "foul",
    [b"", b"[", b"[{]", b"\x1f\x8b\x08\x00", b"PK\x03\x04 and more", b"\xff\xfe", b"null", b"7", b"not JSON\nat all"],
)
@pytest.mark.parametrize("place", [0, 1])
def test_a_foul_message_harms_no_other_of_its_batch(node: Node, foul: bytes, place: int) -> None:
    values = [tick(0), tick(1)]
    values.insert(place, foul)
    took(node, Sender([Waiting(0, range(3), values)]))
    assert stored(node) == [3.0, 4.0]
    letters = node.log.letters("dlq.market.ticks", "open")
    assert [letter.line for letter in letters] == ([] if foul == b"" else [place + 1])


@pytest.mark.slow
def test_an_array_is_as_many_ticks(node: Node) -> None:
    took(node, Sender([Waiting(0, range(2), [b"[" + tick(0) + b"," + tick(1) + b"]", tick(2)])]))
    assert stored(node) == [3.0, 4.0, 5.0]


@pytest.mark.slow
def test_nothing_is_taken_while_the_normaliser_is_behind(node: Node) -> None:
    for number in range(2):
        assert took(node, Sender([waiting(0, number, number + 1)])) == 1
    late = Sender([waiting(0, 2, 3)])
    assert took(node, late) == 0 and late.ready == [False]
    node.runner.drain()
    assert took(node, late) == 1 and late.ready == [False, True]
