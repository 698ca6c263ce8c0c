"""PJM: both forms of the answer, versions, the stamps, and files that belong to another stream."""

from __future__ import annotations

from datetime import UTC, datetime

import orjson
import polars as pl
import pytest
from payloads import assert_expected, assert_survives, observed, parse, recorded, sample

from carbon254.calendars import market_day_span
from carbon254.errors import PayloadRefused
from carbon254.feeds.catalogue import candidates, feed
from carbon254.model import Flag

DA, RT, RT5 = "iso.da.lmp.pjm", "iso.rt.lmp.pjm", "iso.rt5.lmp.pjm"
RT_FILE, DA_FILE, RT5_FILE = "rt_hrl_lmps_20251102.csv", "da_hrl_lmps_20260308.json", "rt_fivemin_hrl_lmps_20260601.csv"
OURS = [(RT, RT_FILE), (DA, DA_FILE), (RT5, RT5_FILE)]
NUMBERS = ("lmp", "energy", "congestion", "loss")


@pytest.mark.parametrize(("topic", "name"), OURS)
def test_samples(topic: str, name: str) -> None:
    assert_expected("pjm", topic, name)


def test_recorded_day_ahead_hubs() -> None:
    frame = observed(DA, recorded("pjm/da_hrl_lmps_hubs_20250501_20250507.csv")[1]).frame
    assert (frame.height, frame["location_id"].n_unique(), frame["interval_start"].n_unique()) == (2_016, 12, 168)
    assert (frame["lmp"].min(), frame["lmp"].max(), (frame["lmp"] < 0).sum()) == (19.428308, 162.651637, 0)
    assert frame["interval_start"][0] == datetime(2025, 5, 1, 4, tzinfo=UTC)
    assert frame["interval_start"][-1] == datetime(2025, 5, 8, 3, tzinfo=UTC)
    assert frame["flags"].sum() == 0, "total = energy + congestion + loss exactly"


def test_recorded_real_time_hubs() -> None:
    frame = observed(RT, recorded("pjm/rt_hrl_lmps_hubs_20250501_20250507.csv")[1]).frame
    assert (frame.height, frame["location_id"].n_unique(), (frame["lmp"] < 0).sum()) == (2_016, 12, 9)
    assert (frame["lmp"].min(), frame["lmp"].max(), frame["flags"].sum()) == (-12.164942, 704.871394, 0)


def test_recorded_half_year_keeps_every_version() -> None:
    frame = observed(RT, recorded("pjm/rt_hrl_lmps_PJM-RTO_2024H1.csv")[1]).frame
    assert (frame.height, frame["interval_start"].n_unique(), (frame["lmp"] < 0).sum()) == (4_391, 4_367, 3)
    old = frame.filter(pl.col("flags") == Flag.NOT_CURRENT.value)
    assert (old.height, old["revision"].unique().to_list()) == (24, [1])
    again = frame.filter(pl.col("revision") == 2)
    assert again["interval_start"].sort().to_list() == old["interval_start"].sort().to_list()
    local = pl.col("interval_start").dt.convert_time_zone("America/New_York")
    spring = frame.filter(local.dt.date() == datetime(2024, 3, 10).date()).select(local.dt.hour())
    assert spring.to_series().to_list() == [0, 1, *range(3, 24)]


@pytest.mark.parametrize(
    ("cells", "reason"),
    [
        ({0: "13/2/2025 5:00:00 AM"}, "not a time"),
        ({9: "N/A"}, "not a number"),
        ({9: "inf"}, "not a finite number"),
        ({13: "two"}, "whole number"),
    ],
)
def test_a_bad_line_is_a_reject(cells: dict[int, str], reason: str) -> None:
    lines = sample("pjm", RT_FILE).decode().splitlines()
    row = lines[1].split(",")
    for at, text in cells.items():
        row[at] = text
    rows = parse(RT, "\r\n".join([*lines[:2], ",".join(row), *lines[2:]]).encode())
    assert rows.frame.height == len(lines) - 1
    assert (rows.rejects["line"].to_list(), rows.rejects["raw"].to_list()) == ([3], [",".join(row)])
    assert reason in rows.rejects["reason"][0]


def test_bad_records_of_json_are_rejects() -> None:
    answer = orjson.loads(sample("pjm", DA_FILE))
    answer["items"][0]["total_lmp_da"] = "N/A"
    answer["items"].append("nonsense")
    rows = parse(DA, orjson.dumps(answer))
    assert rows.frame["line"].to_list() == [2, 3]
    assert rows.rejects["line"].to_list() == [1, 4]
    assert rows.rejects["raw"][1] == '"nonsense"'


def test_columns_are_found_by_name() -> None:
    frame = pl.read_csv(sample("pjm", RT_FILE), infer_schema=False)
    turned = frame.select(reversed(frame.columns)).write_csv().encode()
    assert parse(RT, turned).frame.equals(parse(RT, sample("pjm", RT_FILE)).frame)


@pytest.mark.parametrize(
    ("topic", "name", "home"),
    [(DA, RT_FILE, RT), (RT, DA_FILE, DA), (RT, RT5_FILE, RT5), (RT5, RT_FILE, RT), (RT5, DA_FILE, DA)],
)
def test_the_wrong_stream_is_refused_and_the_right_one_named(topic: str, name: str, home: str) -> None:
    with pytest.raises(PayloadRefused, match=home.replace(".", r"\.")):
        parse(topic, sample("pjm", name), name)


@pytest.mark.parametrize(
    "data",
    [b"", b"<html></html>", b'{"items":[],"totalRows":0}', b'{"errors":["bad key"]}', b"[1", b"a,b\n", b"[]"],
)
def test_refused(data: bytes) -> None:
    with pytest.raises(PayloadRefused):
        parse(DA, data)


@pytest.mark.sampled(1)
@pytest.mark.parametrize(("topic", "name"), OURS)
def test_damaged_files(topic: str, name: str) -> None:
    assert_survives("pjm", topic, name, NUMBERS)


def test_recognise() -> None:
    assert candidates(RT_FILE, sample("pjm", RT_FILE))[0] == RT
    assert candidates(DA_FILE, sample("pjm", DA_FILE)) == [DA]
    assert candidates(RT5_FILE, sample("pjm", RT5_FILE)) == [RT5]
    other = candidates("x.json", sample("ercot", "dam_stlmnt_pnt_prices_2026-11-01.json"))
    assert not [topic for topic in other if topic.endswith("pjm")]
    for name in (
        "da_marginal_value_20240902_20240904.json",
        "gen_by_fuel.json",
        "da_transconstraints_20240902_20240904.json",
    ):
        assert candidates(name, recorded(f"pjm/{name}")[1]) == []


@pytest.mark.parametrize("day", [(2026, 3, 8), (2026, 7, 1), (2026, 11, 1)])
def test_requests(day: tuple[int, int, int]) -> None:
    start, end = market_day_span(datetime(*day).date(), "America/New_York")
    (request,) = feed(RT).requests(start, end, ["51288", "51287"])
    us = f"{day[1]:02d}/{day[2]:02d}/{day[0]}"
    assert request.path == "/rt_hrl_lmps"
    assert request.params["datetime_beginning_ept"] == f"{us} 00:00to{us} 23:59"
    assert (request.params["pnode_id"], request.params["startRow"], request.params["rowCount"]) == (
        "51288;51287",
        1,
        50_000,
    )
    (hubs,) = feed(DA).requests(start, end)
    assert hubs.path == "/da_hrl_lmps" and hubs.params["pnode_id"].count(";") == 11
    assert hubs.subject == f"{day[0]}-{day[1]:02d}-{day[2]:02d}"


def test_pages_go_on_where_the_last_one_ended_whatever_was_asked_for() -> None:
    start, end = market_day_span(datetime(2026, 7, 1).date(), "America/New_York")
    (first,) = feed(RT).requests(start, end)
    page = b'{"items":[' + b",".join([b"{}"] * 25) + b'],"totalRows":60}'
    second = feed(RT).next_page(first, page)
    assert second and (second.params["startRow"], second.page) == (26, 2)
    third = feed(RT).next_page(second, page)
    assert third and (third.params["startRow"], third.subject) == (51, f"{first.subject} page 3")
    assert feed(RT).next_page(third, page) is None
    assert feed(RT).next_page(first, b'{"items":[],"totalRows":60}') is None
    assert feed(RT).next_page(first, b"<html>") is None
    assert len({first.subject, second.subject, third.subject}) == len({first.name, second.name, third.name}) == 3
