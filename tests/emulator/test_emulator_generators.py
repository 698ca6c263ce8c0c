"""Ticks and malformed payloads: equal every time, and counted right."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import orjson
import pytest
from asking import parsed

from carbon254.emulator.malformed import TOPICS, malformed
from carbon254.emulator.ticks import malformed_ticks, ticks
from carbon254.errors import PayloadRefused
from carbon254.feeds.catalogue import feed
from carbon254.feeds.contract import Payload

START = datetime.now(UTC).replace(microsecond=0) - timedelta(days=30)
TICKS = feed("market.ticks")


@pytest.mark.parametrize("form", ["plain", "envelope", "mixed"])
def test_ticks_are_read_without_rejects(form: str) -> None:
    made = ticks(5, START, 2_000, timedelta(milliseconds=10), form)
    assert made == ticks(5, START, 2_000, timedelta(milliseconds=10), form) != ticks(6, START, 2_000, form=form)
    rows = list(TICKS.parse(Payload(orjson.dumps(made), "ticks.json", TICKS.stream)))
    assert sum(each.frame.height for each in rows) == 2_000
    assert sum(each.rejects.height for each in rows) == 0
    assert rows[0].frame["event_time"][1] - rows[0].frame["event_time"][0] == timedelta(milliseconds=10)


def test_ticks_do_not_depend_on_where_one_begins() -> None:
    step = timedelta(seconds=1)
    assert ticks(5, START, 30, step)[10:] == ticks(5, START + 10 * step, 20, step)


def test_power_ticks_go_below_zero_at_times() -> None:
    prices = [tick["price"] for tick in ticks(5, START, 20_000, timedelta(seconds=10))]
    assert min(prices) < 0


def test_no_malformed_tick_is_taken() -> None:
    made = malformed_ticks(5, START, 80)
    (rows,) = TICKS.parse(Payload(orjson.dumps(made), "ticks.json", TICKS.stream))
    assert (rows.frame.height, rows.rejects.height) == (0, 80)
    assert rows.rejects["reason"].n_unique() == 8


@pytest.mark.slow
def test_malformed_payloads_make_the_letters_they_announce() -> None:
    day = (START - timedelta(days=10)).date()
    made = list(malformed(140, 3, day))
    assert made == list(malformed(140, 3, day))
    assert {topic for topic, *_ in made} == set(TOPICS)
    assert len({data for _, _, data, _ in made}) == 140
    for topic, name, data, expected in made:
        assert letters(topic, name, data) == expected, (topic, name, data[:80])


def letters(topic: str, name: str, data: bytes) -> int:
    try:
        return sum(rows.rejects.height for rows in parsed(feed(topic), name, data))
    except PayloadRefused:
        return 1
