"""ISO New England: one record or many, layers that are missing, offsets, and which market run a record belongs to."""

from __future__ import annotations

from datetime import UTC, datetime

import orjson
import polars as pl
import pytest
from payloads import assert_expected, assert_survives, observed, parse, recorded, sample

from carbon254.calendars import market_day_span
from carbon254.errors import PayloadRefused
from carbon254.feeds.catalogue import candidates, feed

DA, RT = "iso.da.lmp.isone", "iso.rt.lmp.isone"
DA_FILE, RT_FILE, HOURLY_FILE = (
    "da_hourlylmp_20261101.json",
    "rt_fiveminutelmp_current.json",
    "rt_hourlylmp_final_20260601.json",
)
OURS = [(DA, DA_FILE), (RT, RT_FILE), (RT, HOURLY_FILE)]
NUMBERS = ("lmp", "energy", "congestion", "loss")


@pytest.mark.parametrize(("topic", "name"), OURS)
def test_samples(topic: str, name: str) -> None:
    assert_expected("isone", topic, name)


def test_recorded_autumn_day() -> None:
    name, data = recorded("isone/isone_hourlylmp_da_final_20251102_loc4000.json")
    frame = observed(DA, data, name).frame
    assert (frame.height, frame["lmp"].min(), frame["lmp"].max()) == (25, 31.49, 77.02)
    assert (frame["lmp"][0], frame["lmp"][-1], frame["lmp"][1:3].to_list()) == (32.34, 42.88, [33.89, 31.96])
    opens, closes = market_day_span(datetime(2025, 11, 2).date(), "America/New_York")
    assert (frame["interval_start"][0], frame["interval_end"][-1]) == (opens, closes)
    assert frame["interval_start"].n_unique() == 25
    assert frame["flags"].sum() == 0 and frame["congestion"].sum() == 0
    assert frame["market_run"].unique().to_list() == ["DAM"]


def test_every_layering_gives_the_same_rows() -> None:
    (record,) = [orjson.loads(sample("isone", RT_FILE))["FiveMinLmp"]]
    shapes = [
        {"FiveMinLmps": {"FiveMinLmp": [record]}},
        {"FiveMinLmps": {"FiveMinLmp": record}},
        {"FiveMinLmp": [record]},
    ]
    frames = [parse(RT, orjson.dumps(shape)).frame for shape in shapes]
    assert all(frame.equals(frames[0]) for frame in frames) and frames[0].height == 1


def test_the_real_time_stream_keeps_hourly_records_apart() -> None:
    assert observed(RT, sample("isone", HOURLY_FILE)).frame["market_run"].to_list() == ["RT_HOURLY"]
    assert observed(RT, sample("isone", RT_FILE)).frame["market_run"].to_list() == ["RT"]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"BeginDate": "2026-11-01T01:00:00.000"}, "offset"),
        ({"BeginDate": 7}, "offset"),
        ({"LmpTotal": "N/A"}, "not a number"),
        ({"LmpTotal": "inf"}, "finite"),
        ({"LmpTotal": [1]}, "not a number"),
        ({"Location": "4000"}, "@LocId"),
    ],
)
def test_a_bad_record_is_a_reject(change: dict[str, object], reason: str) -> None:
    answer = orjson.loads(sample("isone", DA_FILE))
    answer["HourlyLmps"]["HourlyLmp"][1].update(change)
    rows = parse(DA, orjson.dumps(answer))
    assert rows.frame["line"].to_list() == [1, 3]
    assert rows.rejects["line"].to_list() == [2]
    assert reason in rows.rejects["reason"][0]
    assert orjson.loads(rows.rejects["raw"][0]) == answer["HourlyLmps"]["HourlyLmp"][1]


def test_a_missing_price_is_missing() -> None:
    answer = orjson.loads(sample("isone", DA_FILE))
    answer["HourlyLmps"]["HourlyLmp"][0].update({"LmpTotal": None, "LossComponent": ""})
    frame = parse(DA, orjson.dumps(answer)).frame
    assert frame.select("lmp", "loss").row(0) == (None, None)


def test_five_minute_records_are_not_day_ahead() -> None:
    with pytest.raises(PayloadRefused, match=r"iso\.rt\.lmp\.isone"):
        parse(DA, sample("isone", RT_FILE))


@pytest.mark.parametrize(
    "data", [b"", b"<html/>", b'{"HourlyLmps":""}', b'{"HourlyDaDemand":[]}', b"[]", b'"x"', b"{", b'{"HourlyLmps":7}']
)
def test_refused(data: bytes) -> None:
    with pytest.raises(PayloadRefused):
        parse(DA, data)


@pytest.mark.parametrize(("topic", "name"), OURS)
def test_damaged_files(topic: str, name: str) -> None:
    assert_survives("isone", topic, name, NUMBERS)


def test_recognise() -> None:
    assert candidates(DA_FILE, sample("isone", DA_FILE)) == [DA]
    assert candidates(HOURLY_FILE, sample("isone", HOURLY_FILE)) == [RT]
    assert candidates("hourly.json", sample("isone", DA_FILE)) == [DA, RT]
    assert candidates("x.json", sample("isone", RT_FILE)) == [RT]
    assert not [t for t in candidates("x.json", sample("pjm", "da_hrl_lmps_20260308.json")) if t.endswith("isone")]
    for name in ("genfuelmix_20241103.json", "dayaheadhourlydemand_current_32.json", "locations.json"):
        assert candidates(name, recorded(f"isone/{name}")[1]) == []


@pytest.mark.parametrize(("day", "hours"), [((2026, 3, 8), 23), ((2026, 7, 1), 24), ((2026, 11, 1), 24)])
def test_requests(day: tuple[int, int, int], hours: int) -> None:
    start, end = market_day_span(datetime(*day).date(), "America/New_York")
    stem = f"{day[0]}{day[1]:02d}{day[2]:02d}"
    (request,) = feed(DA).requests(start, end)
    assert request.path == f"/hourlylmp/da/final/day/{stem}.json"
    (one,) = feed(DA).requests(start, end, ["4000"])
    assert one.path == f"/hourlylmp/da/final/day/{stem}/location/4000.json"
    real_time = list(feed(RT).requests(start, end))
    assert len(real_time) == len({r.path for r in real_time}) == len({r.subject for r in real_time}) == hours
    assert real_time[0].path == f"/fiveminutelmp/prelim/day/{stem}/starthour/00.json"
    assert real_time[-1].path == f"/fiveminutelmp/prelim/day/{stem}/starthour/23.json"


def test_every_hub_and_zone_is_a_place() -> None:
    places = pl.read_csv(feed(DA).places().encode())
    assert places["location_type"].value_counts().sort("location_type").rows() == [
        ("hub", 1),
        ("interface", 6),
        ("zone", 8),
    ]


def test_seconds_of_a_stamp_are_jitter() -> None:
    assert parse(RT, sample("isone", RT_FILE)).frame["interval_start"][0] == datetime(2026, 6, 1, 16, 5, tzinfo=UTC)
