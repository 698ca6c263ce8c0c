"""Whatever goes wrong with one payload is a letter of that payload: every other one goes on, in a running node too."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from flow.conftest import NOW, spp

from carbon254 import app
from carbon254.app import Node, open_node
from carbon254.clock import ManualClock
from carbon254.engine.source import ParsedRows, Source
from carbon254.errors import TransientError
from carbon254.ingest import Arrived
from carbon254.pipeline import sources
from carbon254.settings import Settings
from carbon254.stores.log import Letter

RT, DA = "iso.rt.lmp.spp", "iso.da.lmp.spp"
POISON = b"poison"


def _raises() -> None:
    raise ZeroDivisionError("division by a price of nothing")


def _recurses() -> None:
    _recurses()


def _never_ends() -> None:
    while True:
        pass


def _swallows() -> None:
    while True:
        try:
            time.sleep(0.001)
        except Exception:
            continue


def _eats_memory() -> None:
    eaten = []
    while True:
        eaten.append(bytes(1 << 20))


def _asks_for_too_much() -> None:
    bytes(1 << 60)


KINDS: Mapping[str, tuple[Callable[[], None], str]] = {
    "raises": (_raises, r"ZeroDivisionError: division by a price of nothing \(.*test_poisoned.py:\d+ in _raises\)"),
    "recurses": (_recurses, "RecursionError"),
    "never ends": (_never_ends, r"more than \d+ s of a processor; the parser was stopped"),
    "swallows": (_swallows, r"more than \d+ s; the parser was stopped"),
    "eats memory": (_eats_memory, "more than 64 MB of memory; the parser was stopped"),
    "asks for too much": (_asks_for_too_much, "MemoryError"),
}


def poisoned(act: Callable[[], None]) -> Callable[[], Mapping[str, Source]]:
    """The sources, of which one feed's parser does `act` where it meets the poison."""

    def known() -> Mapping[str, Source]:
        found = dict(sources())
        parse = found[RT].parse

        def wrong(name: str, data: bytes) -> Iterator[ParsedRows]:
            if data == POISON:
                act()
            yield from parse(name, data)

        found[RT] = replace(found[RT], parse=wrong)
        return found

    return known


def strict(folder: Path) -> Settings:
    """Bounds that a test need not wait for."""
    return Settings(workspace=folder, payload_seconds=0.3, payload_memory_mb=64)


def accept(node: Node, topic: str, data: bytes, name: str) -> None:
    node.pipeline.inbox.accept(Arrived(topic, data, name, NOW, name))


def letters(node: Node) -> list[Letter]:
    return node.log.letters(status="open")


@pytest.mark.sampled(2)
@pytest.mark.parametrize("kind", KINDS)
def test_a_poisoned_payload_is_a_letter_and_what_comes_behind_it_is_carried(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    act, reason = KINDS[kind]
    monkeypatch.setattr(app, "sources", poisoned(act))
    with open_node(strict(tmp_path / "ws"), {}, ManualClock(NOW)) as node:
        accept(node, RT, spp({"A": 1.0}), "a.csv")
        accept(node, RT, POISON, "b.csv")
        accept(node, RT, spp({"B": 2.0}), "c.csv")
        node.runner.drain()
        (letter,) = letters(node)
        assert (letter.topic, letter.line, letter.stage) == (f"dlq.{RT}", None, "parse")
        assert letter.parser
        assert re.search(reason, letter.reason), letter.reason
        assert node.hot.query("SELECT location FROM current_prices ORDER BY ALL")["location"].to_pylist() == ["A", "B"]
        assert node.log.lag("normalise", "raw.") == 0


@pytest.mark.slow
def test_a_poisoned_feed_leaves_all_others_on_time_in_a_running_node(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app, "sources", poisoned(_never_ends))
    with open_node(strict(tmp_path / "ws"), {}, ManualClock(NOW)) as node:
        node.runner.start()
        for number in range(3):
            accept(node, RT, POISON, f"{number}.csv")
            accept(node, DA, spp({f"P{number}": 1.0}), f"day{number}.csv")
        _until(lambda: len(letters(node)) and not node.log.lag("project", f"rows.{DA}"))
        _until(lambda: not node.log.lag("normalise", "raw."))
        assert node.runner.told() == {}
        assert {letter.topic for letter in letters(node)} == {f"dlq.{RT}"}


def test_a_store_that_is_away_is_no_fault_of_the_payload(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def away() -> None:
        raise TransientError("the reference does not answer")

    monkeypatch.setattr(app, "sources", poisoned(away))
    with open_node(Settings(workspace=tmp_path / "ws"), {}, ManualClock(NOW)) as node:
        accept(node, RT, POISON, "b.csv")
        with pytest.raises(TransientError):
            node.runner.drain()
        assert not letters(node) and node.log.lag("normalise", "raw.") == 1


@pytest.mark.slow
def test_a_payload_that_is_not_in_the_archive_is_a_letter(tmp_path: Path) -> None:
    with open_node(Settings(workspace=tmp_path / "ws"), {}, ManualClock(NOW)) as node:
        accept(node, RT, spp({"A": 1.0}), "a.csv")
        for path in (tmp_path / "ws" / "raw").rglob("*.zst"):
            path.unlink()
        accept(node, RT, spp({"B": 2.0}), "b.csv")
        node.runner.drain()
        (letter,) = letters(node)
        assert "not in the raw archive as it came" in letter.reason
        assert node.hot.query("SELECT location FROM current_prices")["location"].to_pylist() == ["B"]


def _until(done: Callable[[], Any], seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.05)
