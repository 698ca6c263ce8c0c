"""Files that need no key: asked for where none is set, and read as what the key opens; a web page is none of them."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from asking import Desk, parsed
from test_emulator_round_trip import dst_days

from carbon254.calendars import market_day_span
from carbon254.clock import SystemClock
from carbon254.emulator import Emulator
from carbon254.errors import FetchFailed
from carbon254.feeds.budget import open_budget
from carbon254.feeds.catalogue import feed, feeds
from carbon254.feeds.contract import Request
from carbon254.feeds.http import Fetcher
from carbon254.model import Stream
from carbon254.poller import reachable

DA, RT = "iso.da.lmp.isone", "iso.rt.lmp.isone"
PUBLIC = sorted(topic for topic, found in feeds().items() if found.stream.public)
DAYS = pytest.mark.parametrize("day", dst_days(), ids=["short", "plain", "long"])


def asked(topic: str, day: date) -> list[Request]:
    found = feed(topic)
    return list(found.requests(*market_day_span(day, found.stream.clock), public=True))


def rows(desk: Desk, topic: str, requests: list[Request]) -> pl.DataFrame:
    frames = []
    for request in requests:
        answer = desk.get(topic, request).raise_for_status()
        for part in parsed(feed(topic), request.name, answer.content):
            assert part.rejects.is_empty()
            frames.append(part.frame)
    return pl.concat(frames, how="diagonal_relaxed")


def test_isones_feeds_have_public_files() -> None:
    assert PUBLIC == [DA, RT]


@DAYS
@pytest.mark.parametrize("topic", PUBLIC)
def test_public_files_hold_the_rows_that_the_key_opens(desk: Desk, topic: str, day: date) -> None:
    names = ["location_id", "interval_start"]
    columns = [*names, "interval_end", "location", "location_type", "lmp", "energy", "congestion", "loss"]
    keyed, _ = desk.rows(topic, day)
    hourly = "hourly" if topic == RT else "\0"
    open_ = rows(desk, topic, [one for one in asked(topic, day) if hourly not in one.subject])
    assert open_.select(columns).sort(names).equals(keyed.select(columns).sort(names))
    assert "flags" not in open_.columns or open_["flags"].sum() == 0
    assert open_["published_at"].null_count() == 0


@DAYS
def test_hourly_files_are_the_other_run_of_whole_days(desk: Desk, day: date) -> None:
    begin, end = market_day_span(day, feed(RT).stream.clock)
    hourly = [one for one in asked(RT, day) if "hourly" in one.subject]
    assert [one.name for one in hourly] == [f"lmp_rt_{report}_{day:%Y%m%d}.csv" for report in ("prelim", "final")]
    found = rows(desk, RT, hourly[:1])
    assert found["market_run"].unique().to_list() == ["RT_HOURLY"]
    assert found["interval_start"].n_unique() == (end - begin) / timedelta(hours=1)
    part = feed(RT).requests(begin, end - timedelta(minutes=5), public=True)
    assert not [one for one in part if "hourly" in one.subject]


@DAYS
def test_windows_cover_the_day_once(day: date) -> None:
    begin, end = market_day_span(day, feed(RT).stream.clock)
    names = [one.name for one in asked(RT, day) if "5min" in one.path]
    stem = f"lmp_5min_{day:%Y%m%d}"
    assert names == [f"{stem}_{first:02d}-{first + 4:02d}.csv" for first in range(0, 24, 4)]
    # A short span asks for the windows it lies in, each instant of the day for one.
    moment = begin
    while moment < end:
        found = list(feed(RT).requests(moment, moment + timedelta(minutes=5), public=True))
        assert len(found) == 1 and found[0].name in names
        moment += timedelta(minutes=55)


def test_a_file_is_not_there_before_its_span_is_over(emulator: Emulator, desk: Desk) -> None:
    day = dst_days()[1]
    begin, _ = market_day_span(day, feed(RT).stream.clock)
    first, second = asked(RT, day)[:2]
    try:
        emulator.clock(begin + timedelta(hours=5))
        assert desk.get(RT, first).status_code == 200
        assert desk.get(RT, second).status_code == 404
    finally:
        emulator.clock(None)


class Told:
    """What a fetcher would send where nobody stands in for the provider."""

    def __init__(self, path: Path, secrets: dict[str, str]) -> None:
        self.fetcher = Fetcher({}, secrets, SystemClock(), open_budget(path / "budget.db"))

    def call(self, stream: Stream, request: Request) -> tuple[str, bool]:
        call, _ = self.fetcher._call(stream.provider, request)
        url, _, auth = call.signed()
        return str(url), auth is not None


KEYS = {"ISONE_API_USERNAME": "somebody", "ISONE_API_PASSWORD": "secret"}


def test_without_a_key_the_public_site_is_asked_and_gets_no_key(tmp_path: Path) -> None:
    from carbon254.pipeline import keyless

    stream = feed(DA).stream
    span = market_day_span(datetime(2026, 6, 1).date(), stream.clock)
    [public], [keyed] = (list(feed(DA).requests(*span, public=open_)) for open_ in (True, False))
    without, having = Told(tmp_path, {}), Told(tmp_path, KEYS)
    assert keyless(without.fetcher, stream) and not keyless(having.fetcher, stream)
    where = "https://www.iso-ne.com/static-transform/csv/histRpts/da-lmp/WW_DALMP_ISO_20260601.csv"
    assert without.call(stream, public) == having.call(stream, public) == (where, False)
    assert having.call(stream, keyed) == (
        "https://webservices.iso-ne.com/api/v1.1/hourlylmp/da/final/day/20260601.json", True
    )  # fmt: skip
    with pytest.raises(FetchFailed, match="needs a key"):
        without.call(stream, keyed)
    # Half a key opens nothing.
    assert keyless(Told(tmp_path, {"ISONE_API_USERNAME": "somebody"}).fetcher, stream)


def test_feeds_with_public_files_can_be_polled_without_a_key() -> None:
    assert set(PUBLIC) <= set(reachable({}, {}))
    assert "iso.da.lmp.pjm" not in reachable({}, {})
