"""How many files the lake comes to have, years of it turned by the clock: they stay few, whatever is fetched again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from contract.given_rows import benchmark, price, prices, shaped
from contract.outside import files_in, rows_in

from carbon254.clock import ManualClock
from carbon254.engine.upkeep import Upkeep
from carbon254.stores.lake import open_lake
from carbon254.stores.log import Log, open_log

# Snapshots bear the time of the machine: the clock is turned on from there.
TODAY = datetime.now(UTC).date()
NOON = datetime(TODAY.year, TODAY.month, TODAY.day, 12, tzinfo=UTC)
DAY, HOUR = timedelta(days=1), timedelta(hours=1)
SERIES, YEARS = 200, 50
DAILY, PRICES = "energy_prices", "interval_prices"


class Desk:
    """A log, a lake and what keeps it up, on a clock turned by hand."""

    def __init__(self, folder: Path, every: timedelta) -> None:
        folder.mkdir()
        self.folder, self.clock = folder / "lake", ManualClock(NOON)
        self.log: Log = open_log(folder / "log.db")
        self.lake = open_lake(self.folder)
        self.every, self.number = every, 0
        self.upkeep = Upkeep(self.log, self.lake, self.clock, every, 5 * DAY)

    def bring(self, dataset: str, rows: Any) -> None:
        """A commit of some rows."""
        self.number += 1
        self.lake.append({dataset: rows}, {dataset: self.number})

    def turn(self, by: timedelta) -> None:
        """Time goes by, and what is due is done."""
        self.clock.sleep(by.total_seconds())
        while self.upkeep.step():
            pass

    def close(self) -> None:
        self.lake.close()
        self.log.close()


@pytest.fixture(params=[DAY])
def desk(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Desk]:
    made = Desk(tmp_path / "ws", request.param)
    made.turn(HOUR)
    yield made
    made.close()


def of_series(numbers: Iterable[int], days: Iterable[date], value: float = 1.0) -> Any:
    listed = list(days)
    return shaped("energy_prices", [benchmark("oil", f"S{n}", day, value) for n in numbers for day in listed])


@pytest.mark.slow
@pytest.mark.parametrize("desk", [14 * DAY], indirect=True)
def test_fifty_years_of_daily_series_and_a_year_of_fetching_them_again_are_few_files(desk: Desk) -> None:
    """A row a year stands for a year of rows. They come in ten commits; then every day brings the day before, and every
    week a revision of a day long ago. What a node does every day is done every two weeks only."""
    years = [TODAY - timedelta(days=365 * n) for n in range(YEARS)]
    for first in range(0, SERIES, SERIES // 10):
        desk.bring(DAILY, of_series(range(first, first + SERIES // 10), years))
    desk.turn(HOUR)
    assert len(files_in(desk.folder, "energy_prices")) <= 60
    assert rows_in(desk.folder, "energy_prices").num_rows == SERIES * YEARS
    most = 0
    for n in range(365):
        fetched = [TODAY + n * DAY, *([] if n % 7 else [years[n // 7 % YEARS]])]
        desk.bring(DAILY, of_series(range(SERIES), fetched, 2.0 + n))
        if n % 14 == 13:
            most = max(most, len(files_in(desk.folder, "energy_prices")))
            desk.turn(14 * DAY)
    assert most <= 100
    assert len(files_in(desk.folder, "energy_prices")) <= 100
    assert rows_in(desk.folder, "energy_prices").num_rows == SERIES * (YEARS + 365 + 53)
    whole = [path for path in desk.folder.rglob("*") if path.is_file()]
    assert len(whole) <= 400, "also with the snapshots of five days and their manifests"


@pytest.mark.slow
def test_a_busy_day_is_merged_every_hour(desk: Desk) -> None:
    most = 0
    for hour in range(3):
        for minute in range(0, 60, 4):
            at = NOON + hour * HOUR + minute * timedelta(minutes=1)
            desk.bring(PRICES, prices(price("A", at), price("B", at)))
            desk.turn(4 * timedelta(minutes=1))
        most = max(most, len(files_in(desk.folder, "interval_prices")))
    assert most <= 15 + 1 + 1 and rows_in(desk.folder, "interval_prices").num_rows == 90
