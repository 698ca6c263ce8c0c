"""A market day published once more: other prices, a later date, and PJM's old rows beside the new ones."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

import polars as pl
import pytest
from asking import Desk

from carbon254.calendars import market_day_span
from carbon254.emulator import Emulator, running
from carbon254.feeds.catalogue import feed
from carbon254.model import Flag

DAY = datetime.now(UTC).date() - timedelta(days=40)
DAY_AHEAD = [f"iso.da.lmp.{market}" for market in ("caiso", "miso", "spp", "nyiso", "ercot", "isone")]


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    with running(seed=7) as found:
        yield found


@pytest.fixture
def desk(emulator: Emulator) -> Desk:
    return Desk(emulator)


@pytest.mark.sampled(4)
@pytest.mark.parametrize("topic", DAY_AHEAD)
def test_a_share_of_the_rows_changes(emulator: Emulator, desk: Desk, topic: str) -> None:
    before, _ = desk.rows(topic, DAY)
    dated = parsedate_to_datetime(desk.first(topic, DAY).headers["date"])
    emulator.revise(topic, DAY, share=0.3, bump=2.5, after_s=3_600)
    after, rejected = desk.rows(topic, DAY)
    change = (after["lmp"] - before["lmp"]).round(6)
    assert rejected == 0 and set(change.to_list()) == {0.0, 2.5}
    assert 0.1 < (change != 0).mean() < 0.5  # type: ignore[operator]
    assert parsedate_to_datetime(desk.first(topic, DAY).headers["date"]) - dated == timedelta(hours=1)
    other = DAY - timedelta(days=1)
    assert desk.first(topic, other).content == Desk(emulator).first(topic, other).content


def test_other_days_stay_as_they_were(emulator: Emulator, desk: Desk) -> None:
    other = DAY + timedelta(days=1)
    before = desk.first("iso.da.lmp.spp", other)
    emulator.revise("iso.da.lmp.spp", DAY)
    after = desk.first("iso.da.lmp.spp", other)
    assert (before.content, before.headers["date"]) == (after.content, after.headers["date"])


def test_one_location_and_interval_over_http(emulator: Emulator, desk: Desk) -> None:
    topic, begin = "iso.rt.lmp.spp", market_day_span(DAY, "America/Chicago")[0]
    before = [desk.get(topic, request).text for request in desk.requests(topic, DAY)[:3]]
    message = {
        "feed": topic,
        "market_day": DAY.isoformat(),
        "location": "SPPNORTH_HUB",
        "interval": (begin + timedelta(minutes=5)).isoformat(),
        "bump": -1.25,
    }
    assert desk.client.post(f"{emulator.url}/_emulator/revisions", json=message).status_code == 200
    after = [desk.get(topic, request).text for request in desk.requests(topic, DAY)[:3]]
    assert before[0] == after[0] and before[2] == after[2]
    changed = [line for old, line in zip(before[1].split("\n"), after[1].split("\n"), strict=True) if old != line]
    assert len(changed) == 1 and ",SPPNORTH_HUB," in changed[0]
    wrong = desk.client.post(
        f"{emulator.url}/_emulator/revisions", json={"feed": "no.such", "market_day": "2000-01-01"}
    )
    assert wrong.status_code == 400


def test_pjm_prints_both_versions(emulator: Emulator, desk: Desk) -> None:
    topic = "iso.da.lmp.pjm"
    before, _ = desk.rows(topic, DAY)
    emulator.revise(topic, DAY, share=0.2, bump=1.0)
    emulator.revise(topic, DAY, share=0.2, bump=1.0)
    after, rejected = desk.rows(topic, DAY)
    assert rejected == 0 and after.height > before.height
    old = (pl.col("flags") & Flag.NOT_CURRENT.value) != 0
    assert after.filter(~old).height == before.height
    assert after.filter(old & (pl.col("revision") == 1)).height > 0
    assert set(after["revision"].unique()) == {1, 2, 3}
    latest = after.sort("revision").group_by("location_id", "interval_start").last()
    assert latest.filter(old).is_empty()


def test_eia_is_revised_too(emulator: Emulator, desk: Desk) -> None:
    day = DAY
    while day.weekday() > 4:
        day -= timedelta(days=1)
    before, _ = desk.rows("energy.spot.eia", day)
    emulator.revise("energy.spot.eia", day, location="RWTC", bump=0.5)
    after, _ = desk.rows("energy.spot.eia", day)
    joined = before.join(after, on="benchmark", suffix="_after")
    change = {row["benchmark"]: round(row["price_after"] - row["price"], 6) for row in joined.iter_rows(named=True)}
    assert change == {"RWTC": 0.5, "RBRTE": 0.0, "RNGWHHD": 0.0}


def test_the_date_of_a_revision_is_stated(emulator: Emulator, desk: Desk) -> None:
    topic = "iso.da.lmp.spp"
    first = parsedate_to_datetime(desk.first(topic, DAY).headers["date"])
    emulator.revise(topic, DAY)
    assert parsedate_to_datetime(desk.first(topic, DAY).headers["date"]) - first == timedelta(days=1)
    assert feed(topic).stream.complete
