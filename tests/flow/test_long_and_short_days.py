"""The days of 25 and of 23 hours, from the provider's answer to SQL: every hour of the market day once, in UTC.

The live source of MISO's five-minute prices serves no history, and so has no such day.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from flow.bars_twin import computed, differing, twin

from carbon254.app import Node, open_node, streams
from carbon254.calendars import market_day_span
from carbon254.emulator.server import running
from carbon254.feeds import feed
from carbon254.settings import Settings

pytestmark = pytest.mark.slow

NOW = datetime(2026, 4, 1, 12, tzinfo=UTC)
LONG, SHORT = "2025-11-02", "2026-03-08"
# First and last hour of the market day in UTC, and how many there are, by the market's clock.
PACIFIC = {LONG: ("2025-11-02T07:00", "2025-11-03T08:00", 25), SHORT: ("2026-03-08T08:00", "2026-03-09T07:00", 23)}
CENTRAL = {LONG: ("2025-11-02T05:00", "2025-11-03T06:00", 25), SHORT: ("2026-03-08T06:00", "2026-03-09T05:00", 23)}
EASTERN = {LONG: ("2025-11-02T04:00", "2025-11-03T05:00", 25), SHORT: ("2026-03-08T05:00", "2026-03-09T04:00", 23)}
STANDARD = {LONG: ("2025-11-02T05:00", "2025-11-03T05:00", 24), SHORT: ("2026-03-08T05:00", "2026-03-09T05:00", 24)}
# SPP publishes a file every five minutes; the two hours around the change are enough to fetch.
CHANGE = {LONG: ("2025-11-02T06:00", "2025-11-02T08:00", 2), SHORT: ("2026-03-08T07:00", "2026-03-08T09:00", 2)}
# Feed → (span of each day, minutes of an interval).
FEEDS = {
    "iso.da.lmp.caiso": (PACIFIC, 60),
    "iso.da.lmp.miso": (STANDARD, 60),
    "iso.da.lmp.spp": (CENTRAL, 60),
    "iso.da.lmp.nyiso": (EASTERN, 60),
    "iso.da.lmp.pjm": (EASTERN, 60),
    "iso.da.lmp.ercot": (CENTRAL, 60),
    "iso.da.lmp.isone": (EASTERN, 60),
    "iso.rt.lmp.caiso": (PACIFIC, 5),
    "iso.hasp.lmp.caiso": (PACIFIC, 15),
    "iso.rth.lmp.miso": (STANDARD, 60),
    "iso.rt.lmp.spp": (CHANGE, 5),
    "iso.rt.lmp.nyiso": (EASTERN, 5),
    "iso.rt.lmp.pjm": (EASTERN, 60),
    "iso.rt5.lmp.pjm": (EASTERN, 5),
    "iso.rt.lmp.ercot": (CENTRAL, 15),
    "iso.rt.lmp.isone": (EASTERN, 5),
}
CASES = [(topic, day) for topic in FEEDS for day in (LONG, SHORT)]


def expected(topic: str, day: str) -> tuple[datetime, datetime, int]:
    first, last, hours = FEEDS[topic][0][day]
    return datetime.fromisoformat(first + "Z"), datetime.fromisoformat(last + "Z"), hours


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    """Both days of every feed, carried to every store."""
    workspace = tmp_path_factory.mktemp("days") / "ws"
    with (
        running(seed=254, now=NOW) as emulator,
        open_node(Settings(workspace=workspace, emulator_url=emulator.url), {}) as opened,
    ):
        for topic, day in CASES:
            start, end, _ = expected(topic, day)
            states = [fetched.state for fetched in opened.pipeline.fetch(topic, start, end)]
            assert states and set(states) == {"new"}, (topic, day, states)
        opened.runner.drain()
        yield opened


def places(node: Node, topic: str, day: str) -> list[dict]:
    """What is stored of each place within a day of the market day."""
    start, end, _ = expected(topic, day)
    low, high = (f"toDateTime('{moment:%Y-%m-%d %H:%M:%S}', 'UTC')" for moment in (start, end))
    return node.hot.query(
        "SELECT location_id, groupUniqArray(toUnixTimestamp(toStartOfHour(interval_start))) AS hours, "
        "count() AS intervals, uniqExact(interval_start) AS starts, "
        "min(interval_start) AS first, max(interval_end) AS last, "
        "sum(dateDiff('minute', interval_start, interval_end)) AS minutes, countIf(isNull(lmp)) AS missing "
        f"FROM current_prices WHERE feed = '{topic}' AND interval_start >= {low} - INTERVAL 1 DAY "
        f"AND interval_start < {high} + INTERVAL 1 DAY GROUP BY location_id"
    ).to_pylist()


@pytest.mark.parametrize(("topic", "day"), CASES)
def test_every_hour_of_the_day_is_stored_once_for_every_place(node: Node, topic: str, day: str) -> None:
    start, end, hours = expected(topic, day)
    wanted = [start + timedelta(hours=number) for number in range(hours)]
    assert wanted[-1] + timedelta(hours=1) == end
    found = places(node, topic, day)
    assert len(found) >= 3
    for place in found:
        assert [datetime.fromtimestamp(hour, UTC) for hour in sorted(place["hours"])] == wanted, place["location_id"]
        assert (place["first"], place["last"]) == (start, end), place["location_id"]
        assert place["intervals"] == place["starts"] == hours * 60 // FEEDS[topic][1], place["location_id"]
        assert (place["minutes"], place["missing"]) == (hours * 60, 0), place["location_id"]


@pytest.mark.parametrize(("topic", "day"), [case for case in CASES if FEEDS[case[0]][0] is not CHANGE])
def test_the_calendar_knows_the_same_day(topic: str, day: str) -> None:
    start, end, _ = expected(topic, day)
    noon = datetime.fromisoformat(day).date()
    assert market_day_span(noon, feed(topic).stream.clock) == (start, end)


@pytest.mark.parametrize("day", [LONG, SHORT])
def test_the_days_bar_covers_the_hours_there_are(node: Node, day: str) -> None:
    bars = node.hot.query(
        "SELECT market, bar_start, bar_end, count, expected FROM ohlc_bars "
        "WHERE width = '1d' AND market_run = 'DAM' AND market IN ('CAISO', 'SPP', 'NYISO', 'PJM', 'ERCOT', 'ISONE')"
    ).to_pylist()
    for topic in (topic for topic in FEEDS if topic.startswith("iso.da.") and not topic.endswith("miso")):
        start, end, hours = expected(topic, day)
        mine = [bar for bar in bars if bar["market"] == feed(topic).stream.market and bar["bar_start"] == start]
        assert mine and {(bar["bar_end"], bar["count"], bar["expected"]) for bar in mine} == {(end, hours, hours)}, (
            topic
        )


def test_every_bar_is_that_of_the_twin_and_sealing_changes_none(node: Node) -> None:
    expected = twin(node.hot, list(streams().values()))
    assert differing(computed(node.hot), expected) == []
    for unit in node.hot.sealing.unsealed():
        node.hot.sealing.seal(unit)
    assert node.hot.sealing.unsealed() == []
    assert differing(computed(node.hot), expected) == []


def test_nothing_was_rejected(node: Node) -> None:
    assert node.log.letters(status="open") == []
