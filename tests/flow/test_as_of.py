"""What a node answered then, it answers later when asked about then: prices and bars, in Python, after corrections."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl
import pytest
from flow.conftest import NOW, spp

import carbon254
from carbon254.app import open_node
from carbon254.clock import ManualClock
from carbon254.errors import QueryRefused, UnknownName, UnknownRung
from carbon254.ingest import Arrived
from carbon254.reader import Reader
from carbon254.settings import Settings

pytestmark = pytest.mark.slow

RT = "iso.rt.lmp.spp"
START = datetime(2025, 7, 1, 12, 0, tzinfo=UTC)
DAY = ("2025-07-01", "2025-07-02")
FIVE = timedelta(minutes=5)
PLACES = ("LOC_0", "LOC_1", "WR_HUB")
_BAR = "market_run, location_id, width, bar_start, bar_end, open, high, low, close, mean, count, expected, flags"


class Then(NamedTuple):
    """What a node said at a moment."""

    moment: datetime
    prices: list[tuple[Any, ...]]
    bars: dict[str, list[tuple[Any, ...]]]


def arrivals() -> list[Arrived]:
    """Two hours of five-minute files as they came, then corrections within the week and after three months."""
    source = random.Random(254)

    def file(number: int, received: datetime) -> Arrived:
        end = START + (number + 1) * FIVE
        lmp: dict[str, float | str] = {place: round(source.uniform(-5, 60), 2) for place in PLACES}
        return Arrived(RT, spp(lmp, f"{end:%m/%d/%Y %H:%M:%S}"), f"rt-{number}.csv", received)

    live = [file(number, NOW + number * FIVE) for number in range(24)]
    week = [file(number, NOW + timedelta(days=source.randint(1, 6), hours=number)) for number in range(0, 24, 3)]
    late = [file(number, NOW + timedelta(days=90, hours=number)) for number in range(0, 24, 5)]
    return sorted((*live, *week, *late), key=lambda arrived: arrived.received_at)


def test_strict_with_nothing_but_assumed_times(tmp_path: Path) -> None:
    # Before the tests that keep a reader open: one process holds one engine.
    folder = tmp_path / "ws"
    with open_node(Settings(workspace=folder), {}, ManualClock(NOW)) as node:
        node.pipeline.inbox.accept(Arrived(RT, spp({"LOC_9": 5.0}), "late.csv", NOW + timedelta(days=90)))
        node.runner.drain()
    with carbon254.open(folder) as late:
        strict = late.prices("SPP", *DAY, as_of="2026-01-01", strict=True)
        assert (len(strict), strict.note) == (
            0, "all 1 rows stored for it have an assumed known_at, and strict leaves those out",
        )  # fmt: skip
        assert len(late.prices("SPP", *DAY, as_of=NOW + timedelta(hours=1))) == 1
        assert len(late.prices("SPP", *DAY, as_of=NOW + timedelta(hours=1), basis="received")) == 0


def sorted_rows(frame: pl.DataFrame, columns: str) -> list[tuple[Any, ...]]:
    return sorted(frame.select(columns.split(", ")).rows(), key=repr)


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Then]]:
    """A workspace that carried every arrival, and what it said on the way."""
    folder, said = tmp_path_factory.mktemp("as-of") / "ws", []
    with open_node(Settings(workspace=folder), {}, ManualClock(NOW)) as node:
        for number, arrived in enumerate(arrivals()):
            node.pipeline.inbox.accept(arrived)
            if number % 5 and number < 30:
                continue
            node.runner.drain()
            prices = pl.DataFrame(node.hot.fetch("SELECT location_id, interval_start, lmp FROM current_prices"))
            bars = pl.DataFrame(node.hot.fetch(f"SELECT {_BAR} FROM ohlc_bars WHERE location_id = 'WR_HUB'"))
            by_width = {
                width: sorted_rows(bars.filter(pl.col("width") == width), _BAR) for width in ("5m", "15m", "1h", "1d")
            }
            said.append(Then(arrived.received_at, sorted_rows(prices, "location_id, interval_start, lmp"), by_width))
    return folder, said


@pytest.fixture(scope="module")
def reader(history: tuple[Path, list[Then]]) -> Iterator[Reader]:
    with carbon254.open(history[0]) as found:
        yield found


def test_prices_as_of_are_what_was_said_then(reader: Reader, history: tuple[Path, list[Then]]) -> None:
    for then in history[1]:
        for moment in (then.moment, then.moment + timedelta(seconds=59)):
            for basis in ("published", "received", "strict"):
                found = reader.prices("SPP", *DAY, as_of=moment, basis=basis).to_polars()
                assert sorted_rows(found, "location_id, interval_start, lmp") == then.prices, (moment, basis)
    assert len({repr(then.prices) for then in history[1]}) == len(history[1]) > 10


def test_bars_as_of_are_what_was_stored_then(reader: Reader, history: tuple[Path, list[Then]]) -> None:
    """Computed from as-of prices by the function that made the stored ones: equal to the last bit."""
    for then in history[1][::2]:
        for width, stored in then.bars.items():
            found = reader.bars("WR_HUB", width, "2025-07-01", "2025-07-03", market="SPP", as_of=then.moment)
            expected = [row for row in stored if row[3] >= datetime(2025, 7, 1, tzinfo=UTC)]
            assert sorted_rows(found.to_polars(), _BAR) == expected, (then.moment, width)
            assert expected or width == "1d"
    assert history[1][-1].bars["1h"] != history[1][-2].bars["1h"]


def test_a_rung_is_one_call_and_so_is_the_change_between_two(reader: Reader, history: tuple[Path, list[Then]]) -> None:
    """SPP's S7 of 1 July 2025 ends with 8 July in Chicago: after the week's corrections and before the late ones."""
    settled = next(then for then in reversed(history[1]) if then.moment < datetime(2025, 7, 9, 5, tzinfo=UTC))
    found = reader.prices("SPP", *DAY, rung="S7").to_polars()
    assert sorted_rows(found, "location_id, interval_start, lmp") == settled.prices
    assert found["rung_reached_at"].unique().to_list() == [datetime(2025, 7, 9, 5, tzinfo=UTC)]
    change = reader.change("SPP", *DAY, "S7", "S120", "WR_HUB").to_polars()
    before, after = (
        {row[1]: row[2] for row in said.prices if row[0] == "WR_HUB"} for said in (settled, history[1][-1])
    )
    for start, was, now, moved in change.select("interval_start", "lmp_from", "lmp_to", "change").rows():
        assert (was, now, moved) == (before[start], after[start], round(after[start] - before[start], 8))
    assert change.height == 24 and change["change"].ne(0).sum() == 5
    assert reader.bars("WR_HUB", "1h", *DAY, market="SPP", rung="S7").to_polars()["close"].null_count() == 0


def test_what_cannot_be_asked_says_what_to_write(reader: Reader) -> None:
    for asked, error, says in (
        ({"rung": "S14"}, UnknownRung, r"SPP has no rung 'S14'; its rungs are: S7, S53, S120"),
        ({"rung": "S7", "as_of": "2025-08-01"}, QueryRefused, "as_of and rung both say when"),
        ({"basis": "guessed"}, UnknownName, r"no basis 'guessed'.*there are: published, received, strict"),
        ({"basis": "received", "strict": True}, QueryRefused, "contradict each other"),
    ):
        with pytest.raises(error, match=says):
            reader.prices("SPP", *DAY, **asked)
    with pytest.raises(QueryRefused, match="S7 does not come after S53: exchange them"):
        reader.change("SPP", *DAY, "S53", "S7")
    with pytest.raises(UnknownRung, match=r"no market 'EPEX'.*have a settlement ladder"):
        reader.forecasts(*DAY, at_gate="EPEX")
    with pytest.raises(UnknownName, match=r"no width of bars '2h'.*there are: 1m, 5m, 15m, 1h, 1d"):
        reader.bars("WR_HUB", "2h", *DAY, as_of="2025-08-01")


def test_an_empty_answer_has_a_reason(reader: Reader) -> None:
    before = reader.prices("SPP", *DAY, as_of="2024-01-01")
    assert len(before) == 0 and before.note == (
        "nothing of it was known at 2024-01-01T00:00:00Z; the first record was known at 2025-07-01T12:10:30Z"
    )
    assert before.note in repr(before) and before.in_time_zone("America/Chicago").note == before.note
    received = reader.prices("SPP", *DAY, as_of="2024-01-01", basis="received")
    assert "the first record was received at 2025-07-01T12:10:30Z" in received.note
    assert "nothing is stored for what was asked. SPP: 2025-0" in (
        reader.prices("SPP", "2020-01-01", "2020-01-02", as_of="2024-01-01").note
    )
    assert reader.ticks(*DAY, as_of="2024-01-01").note and reader.benchmarks(*DAY, as_of="2024-01-01").note
    assert reader.forecasts(*DAY, as_of="2024-01-01").note
    assert reader.prices("SPP", *DAY, as_of="2025-08-01").note == "" == reader.prices("SPP", *DAY).note


def test_a_rung_that_is_not_reached_says_so(tmp_path: Path, reader: Reader) -> None:
    ahead = datetime.now(UTC) - timedelta(days=1)
    found = reader.prices("SPP", ahead - timedelta(days=400), ahead, rung="S120")
    day = (datetime.now(UTC) - timedelta(days=121)).date()
    assert f"SPP S120 is not reached yet from market day {day:%Y-%m}" in found.note
    assert "rows of those days are left out" in found.note
    assert reader.ladder("SPP")["never_revised_after"] is None
