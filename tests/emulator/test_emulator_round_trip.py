"""Every feed asks the emulator for a short, a plain and a long day, and its own parser reads all of it."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from asking import Desk

from carbon254.calendars import market_day_span
from carbon254.emulator import Emulator, running
from carbon254.emulator.desks import PROVIDERS
from carbon254.feeds.catalogue import feed, feeds

LOCATIONS = {
    "caiso": 3, "miso": 20, "spp": 33, "nyiso": 15, "pjm": 12, "ercot": 15, "isone": 9, "iso.rt.lmp.ercot": 23,
}  # fmt: skip
# MISO gives five-minute prices of now only: see test_miso_five_minute_prices_are_those_of_now.
NOW_ONLY = ("iso.rt.lmp.miso",)
TOPICS = sorted(
    topic
    for topic, found in feeds().items()
    if found.stream.dataset == "interval_prices" and found.stream.provider.id in PROVIDERS and topic not in NOW_ONLY
)


def dst_days() -> list[date]:
    """The last short day and the last long day of New York that are over, and a plain one."""
    zone, today = ZoneInfo("America/New_York"), datetime.now(UTC).date()
    found: dict[float, date] = {}
    for back in range(10, 400):
        day = today - timedelta(days=back)
        noon, next_noon = (datetime(each.year, each.month, each.day, tzinfo=zone) for each in (day, day + timedelta(1)))
        hours = (next_noon.astimezone(UTC) - noon.astimezone(UTC)) / timedelta(hours=1)
        found.setdefault(hours, day)
    return [found[hours] for hours in (23.0, 24.0, 25.0)]


def test_all_seven_markets_have_a_feed() -> None:
    assert {feed(topic).stream.provider.id for topic in TOPICS} == set(PROVIDERS) - {"eia", "nws"}


@pytest.mark.sampled(5)
@pytest.mark.parametrize("topic", TOPICS)
@pytest.mark.parametrize("day", dst_days(), ids=["short", "plain", "long"])
def test_a_market_day_comes_back_whole(desk: Desk, topic: str, day: date) -> None:
    stream = feed(topic).stream
    begin, end = market_day_span(day, stream.clock)
    frame, rejected = desk.rows(topic, day)
    intervals = (end - begin) // stream.resolution
    assert rejected == 0
    assert frame.height == intervals * LOCATIONS.get(topic, LOCATIONS[stream.provider.id])
    assert frame["lmp"].is_finite().all()
    parts = [name for name in ("energy", "congestion", "loss", "ghg") if name in frame.columns]
    if "energy" in parts:
        assert (frame["lmp"] - frame.select(parts).sum_horizontal()).abs().max() < 1e-6  # type: ignore[operator]


@pytest.mark.slow
def test_other_seeds_differ_and_the_same_address_is_equal(desk: Desk) -> None:
    day = dst_days()[1]
    with running(seed=8) as other, running(seed=7) as twin:
        for topic in TOPICS:
            request = desk.requests(topic, day)[0]
            mine, again = desk.get(topic, request), desk.get(topic, request)
            same, different = Desk(twin).get(topic, request), Desk(other).get(topic, request)
            assert mine.content == again.content == same.content != different.content
            assert mine.headers["date"] == again.headers["date"] == same.headers["date"]


def test_eia_gives_weekdays_as_text(desk: Desk) -> None:
    found = feed("energy.spot.eia")
    begin = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0) - timedelta(days=60)
    requests = list(found.requests(begin, begin + timedelta(days=13)))
    answers = [desk.get("energy.spot.eia", request).json()["response"] for request in requests]
    rows = [row for answer in answers for row in answer["data"]]
    assert {row["series"] for row in rows} == {"RWTC", "RBRTE", "RNGWHHD"}
    assert all(date.fromisoformat(row["period"]).weekday() < 5 for row in rows)
    assert all(isinstance(row["value"], str) and float(row["value"]) > 0 for row in rows)
    assert all(answer["total"] == str(len(answer["data"])) for answer in answers)
    assert len(rows) == 30


def test_eia_and_nws_are_read_by_their_parsers(desk: Desk) -> None:
    day = datetime.now(UTC).date() - timedelta(days=30)
    while day.weekday() > 4:
        day -= timedelta(days=1)
    spot, rejected = desk.rows("energy.spot.eia", day)
    assert (spot.height, rejected) == (3, 0)
    weather, rejected = desk.rows("weather.forecast.nws", day)
    assert rejected == 0 and weather.height == 4 * 156
    starts = weather.filter(weather["location"] == weather["location"][0])["forecast_time"].to_list()
    assert all(after - before == timedelta(hours=1) for before, after in pairwise(starts))


def test_miso_five_minute_prices_are_those_of_now() -> None:
    topic, day = "iso.rt.lmp.miso", dst_days()[1]
    noon = market_day_span(day, feed(topic).stream.clock)[0] + timedelta(hours=12)
    labels = []
    with running(seed=7, now=noon) as emulator:
        desk = Desk(emulator)
        for minutes in (1, 3, 6):
            emulator.clock(noon + timedelta(minutes=minutes))
            frame, rejected = desk.rows(topic, day)
            assert rejected == 0 and frame.height == LOCATIONS["miso"]
            labels.append(frame["label"].unique().item())
        ex_post = f"{emulator.base_url('miso')}/api/MarketPricing/GetRealTimeFiveMinExPost"
        heights = [desk.client.get(f"{ex_post}/{which}").json() for which in ("Current", "Rolling", "Previous")]
    assert labels[0] == labels[1] == labels[2] - timedelta(minutes=5)
    rows = [len(answer["data"]) // LOCATIONS["miso"] for answer in heights]
    assert rows == [1, 144, 288]


def test_unknown_provider_and_path_are_404(emulator: Emulator, desk: Desk) -> None:
    assert desk.client.get(f"{emulator.url}/nobody/x").status_code == 404
    for provider in ("spp", "nyiso", "pjm", "ercot", "isone", "miso", "caiso", "nws"):
        assert desk.client.get(f"{emulator.url}/{provider}/no/such/page").status_code == 404
