"""Nothing is answered before it is published, and `Date` follows from the payload."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from email.utils import parsedate_to_datetime

import pytest
from asking import Desk

from carbon254.calendars import market_day_span
from carbon254.emulator import Emulator
from carbon254.feeds.catalogue import feed

DAY = datetime.now(UTC).date() - timedelta(days=40)
DAY_AHEAD = [f"iso.da.lmp.{market}" for market in ("caiso", "miso", "spp", "nyiso", "pjm", "ercot", "isone")]


@pytest.fixture(autouse=True)
def wall_clock(emulator: Emulator) -> Iterator[None]:
    yield
    emulator.clock(None)


def published(topic: str, day: date) -> datetime:
    stream = feed(topic).stream
    assert stream.publication.anchor == "market_day"
    return market_day_span(day, stream.clock)[0] + stream.publication.delay


@pytest.mark.parametrize("topic", DAY_AHEAD)
def test_date_is_publication_plus_a_seeded_delay(emulator: Emulator, desk: Desk, topic: str) -> None:
    dated = []
    for now in (published(topic, DAY) + timedelta(seconds=20), published(topic, DAY) + timedelta(days=9)):
        emulator.clock(now)
        answer = desk.first(topic, DAY)
        assert answer.status_code == 200
        dated.append(parsedate_to_datetime(answer.headers["date"]))
    assert dated[0] == dated[1]
    assert timedelta(seconds=1) <= dated[0] - published(topic, DAY) <= timedelta(seconds=20)
    assert answer.headers.get_list("date") == [answer.headers["date"]]


@pytest.mark.parametrize("topic", DAY_AHEAD)
def test_an_unpublished_day_is_answered_as_the_provider_does(emulator: Emulator, desk: Desk, topic: str) -> None:
    emulator.clock(published(topic, DAY))
    answer = desk.first(topic, DAY)
    provider = feed(topic).stream.provider.id
    if provider in ("spp", "nyiso", "miso"):
        assert answer.status_code == 404
        assert provider != "miso" or b"BlobNotFound" in answer.content
    elif provider == "caiso":
        with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
            assert archive.namelist() == ["INVALID_REQUEST.xml"]
            words = archive.read("INVALID_REQUEST.xml")
        assert b"<m:ERR_CODE>1000<" in words and b"No data returned for the specified selection" in words
    else:
        empty = {"pjm": ("items", []), "ercot": ("data", []), "isone": ("HourlyLmps", "")}[provider]
        assert answer.status_code == 200 and answer.json()[empty[0]] == empty[1]


def test_a_running_day_grows(emulator: Emulator, desk: Desk) -> None:
    topic = "iso.rt.lmp.nyiso"
    begin, _ = market_day_span(DAY, feed(topic).stream.clock)
    lines, dates = [], []
    for hours in (1, 2, 2):
        emulator.clock(begin + timedelta(hours=hours))
        answer = desk.first(topic, DAY)
        lines.append(answer.text.count("\n"))
        dates.append(parsedate_to_datetime(answer.headers["date"]))
    assert lines[0] < lines[1] == lines[2]
    assert dates[0] < dates[1] == dates[2] <= begin + timedelta(hours=2)


def test_the_clock_over_http(emulator: Emulator, desk: Desk) -> None:
    control = f"{emulator.url}/_emulator/clock"
    moment = datetime.combine(DAY, datetime.min.time(), UTC)
    state = desk.client.post(control, json={"now": moment.isoformat()}).json()
    assert datetime.fromisoformat(state["now"]) == moment and state["frozen"]
    assert desk.client.post(control, json={"now": moment.replace(tzinfo=None).isoformat()}).status_code == 400
    assert not desk.client.post(control, json={"now": None}).json()["frozen"]


def test_a_forecast_is_issued_each_hour(emulator: Emulator, desk: Desk) -> None:
    topic, issues = "weather.forecast.nws", []
    for minutes in (20, 50, 80):
        emulator.clock(datetime.combine(DAY, datetime.min.time(), UTC) + timedelta(hours=6, minutes=minutes))
        answer = desk.first(topic, DAY)
        issues.append((answer.json()["properties"]["updateTime"], answer.headers["date"]))
    assert issues[0] == issues[1] != issues[2]
