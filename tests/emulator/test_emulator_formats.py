"""What each provider prints beside what the feeds ask for: other formats, pages, and the labels of the odd days."""

from __future__ import annotations

import io
import zipfile
from datetime import UTC, date, datetime, timedelta
from itertools import groupby
from zoneinfo import ZoneInfo

import numpy as np
import orjson
import polars as pl
import pytest
from asking import Desk, parsed

from carbon254.calendars import market_day_span
from carbon254.emulator import Emulator
from carbon254.emulator.miso import printed
from carbon254.feeds.catalogue import feed
from carbon254.feeds.contract import Request


def odd_day(clock: str, hours: int) -> date:
    """The last day of so many hours that is over."""
    day = datetime.now(UTC).date() - timedelta(days=10)
    while (span := market_day_span(day, clock))[1] - span[0] != timedelta(hours=hours):
        day -= timedelta(days=1)
    return day


PACIFIC, EASTERN, CENTRAL = "America/Los_Angeles", "America/New_York", "America/Chicago"


@pytest.mark.parametrize(
    ("hours", "expected"),
    [
        (23, [1, 2, *range(4, 25)]),
        (24, [*range(1, 25)]),
        (25, [1, 2, 25, *range(3, 25)]),
    ],
)
def test_caiso_trade_hours(desk: Desk, hours: int, expected: list[int]) -> None:
    answer = desk.first("iso.da.lmp.caiso", odd_day(PACIFIC, hours))
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        (name,) = archive.namelist()
        frame = pl.read_csv(archive.read(name))
    assert name.endswith("_v1.csv") and frame.width == 16
    one = frame.filter((pl.col("LMP_TYPE") == "LMP") & (pl.col("NODE") == "TH_NP15_GEN-APND"))
    assert one["OPR_HR"].to_list() == expected
    assert one["OPR_DT"].n_unique() == 1


def test_caiso_xml_says_what_the_csv_says(desk: Desk) -> None:
    topic = "iso.da.lmp.caiso"
    request = desk.requests(topic, odd_day(PACIFIC, 25))[0]
    params = {name: value for name, value in request.params.items() if name != "resultformat"}
    frames = [
        pl.concat(rows.frame for rows in parsed(feed(topic), "x.zip", desk.get(topic, asked).content))
        for asked in (request, Request(request.path, "", params))
    ]
    columns = ["location_id", "interval_start", "lmp", "energy", "congestion", "loss", "ghg"]
    table, document = (frame.select(columns).sort("location_id", "interval_start") for frame in frames)
    assert table.equals(document) and table.height == 75


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"queryname": "PRC_MAGIC"}, b"1001"),
        ({"startdatetime": "yesterday"}, b"1002"),
        ({"enddatetime": "29990101T00:00-0000"}, b"1004"),
        ({"node": "NOWHERE"}, b"1000"),
    ],
)
def test_caiso_refusals(desk: Desk, change: dict[str, str], code: bytes) -> None:
    request = desk.requests("iso.da.lmp.caiso", odd_day(PACIFIC, 24))[0]
    answer = desk.get("iso.da.lmp.caiso", Request(request.path, "", {**request.params, **change}))
    assert answer.status_code == 200
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert b"<m:ERR_CODE>" + code in archive.read("INVALID_REQUEST.xml")


def test_spp_repeated_hour_has_a_d_and_only_it(desk: Desk, emulator: Emulator) -> None:
    day = odd_day(CENTRAL, 25)
    requests = desk.requests("iso.rt.lmp.spp", day)
    twice = [request for request in requests if request.name.endswith("d.csv")]
    assert len(twice) == 12
    assert all(desk.get("iso.rt.lmp.spp", request).status_code == 200 for request in twice)
    plain = desk.requests("iso.rt.lmp.spp", odd_day(CENTRAL, 24))[30]
    wrong = {"path": plain.params["path"].replace(".csv", "d.csv")}
    assert desk.get("iso.rt.lmp.spp", Request(plain.path, "", wrong)).status_code == 404


def test_nyiso_prints_the_repeated_hour_twice_and_congestion_upside_down(desk: Desk) -> None:
    day = odd_day(EASTERN, 25)
    path = f"/public/csv/damlbmp/{day:%Y%m%d}damlbmp_zone.csv"
    answer = desk.client.get(desk.emulator.base_url("nyiso") + path)
    assert answer.text.startswith('"Time Stamp","Name","PTID","LBMP ($/MWHr)"')
    frame = pl.read_csv(answer.content)
    assert frame.height == 25 * 15
    stamps = frame.filter(pl.col("Name") == "WEST")["Time Stamp"].to_list()
    assert stamps[1] == stamps[2] == f"{day:%m/%d/%Y} 01:00" and len(set(stamps)) == 24
    price, loss, congestion = (pl.col(name) for name in frame.columns[3:])
    reference = frame.group_by("Time Stamp").agg((price - loss + congestion).round(2).n_unique().alias("kinds"))
    assert reference["kinds"].to_list().count(1) == 23
    assert frame.filter(congestion != 0).height > 0
    tag = {"If-None-Match": answer.headers["etag"]}
    assert desk.client.get(desk.emulator.base_url("nyiso") + path, headers=tag).status_code == 304


def test_miso_report_is_wide_and_sparing(desk: Desk) -> None:
    day = odd_day(EASTERN, 23)
    path = f"/marketreports/{day:%Y%m%d}_da_expost_lmp.csv"
    lines = desk.client.get(desk.emulator.base_url("miso") + path).text.split("\n")
    assert lines[:2] == ["Day Ahead Market ExPost LMPs", f"{day:%m/%d/%Y}"] and lines[2] == ""
    assert lines[3] == ",,,All Hours-Ending are Eastern Standard Time (EST)"
    assert lines[4].endswith("HE 23,HE 24")
    rows = [line.split(",") for line in lines[5:-1]]
    assert [kind for kind, _ in groupby(row[2] for row in rows)] == ["LMP", "MCC", "MLC"]
    prices = {(row[0], row[2]): np.array([float(cell) for cell in row[3:]]) for row in rows}
    energy = [prices[node, "LMP"] - prices[node, "MCC"] - prices[node, "MLC"] for node in {row[0] for row in rows}]
    assert np.ptp(np.array(energy), axis=0).max() < 1e-9
    assert printed("x", np.array([0.15, -0.37, 10.0, 0.0, -1.5])).to_list() == [".15", "-.37", "10", "0", "-1.5"]


def test_pjm_csv_pages_and_bare_rows(desk: Desk) -> None:
    topic, day = "iso.da.lmp.pjm", odd_day(EASTERN, 25)
    request = desk.requests(topic, day)[0]
    whole = desk.get(topic, request).json()
    assert whole["totalRows"] == 300 and len(whole["items"]) == 300
    small = Request(request.path, request.subject, {**request.params, "rowCount": 70, "startRow": 1}, request.name)
    pages = [answer.json() for _, answer in desk.pages(topic, small)]
    assert [len(page["items"]) for page in pages] == [70, 70, 70, 70, 20]
    assert [row for page in pages for row in page["items"]] == whole["items"]
    bare = desk.get(topic, Request(request.path, "", {**request.params, "download": "true"}))
    assert bare.json() == whole["items"]
    table = desk.get(topic, Request(request.path, "", {**request.params, "format": "csv"}))
    one, other = (
        pl.concat(rows.frame for rows in parsed(feed(topic), "pjm", data))
        for data in (table.content, orjson.dumps(whole))
    )
    assert one.drop("line").equals(other.drop("line"))
    assert table.text.split("\r\n")[1].split(",")[0].endswith("AM")
    western = desk.get(topic, Request(request.path, "", {**request.params, "pnode_id": "51288"})).json()
    assert {row["pnode_name"] for row in western["items"]} == {"WESTERN HUB"}


def test_ercot_pages_and_flag(desk: Desk) -> None:
    topic, day = "iso.da.lmp.ercot", odd_day(CENTRAL, 25)
    request = desk.requests(topic, day)[0]
    whole = desk.get(topic, request).json()
    assert whole["_meta"]["totalRecords"] == 375
    small = Request(request.path, request.subject, {**request.params, "size": 100}, request.name)
    pages = [answer.json() for _, answer in desk.pages(topic, small)]
    assert [len(page["data"]) for page in pages] == [100, 100, 100, 75]
    assert [row for page in pages for row in page["data"]] == whole["data"]
    twice = [row for row in whole["data"] if row[1] == "02:00" and row[2] == "HB_NORTH"]
    assert [row[4] for row in twice] == [True, False]
    assert sum(row[4] for row in whole["data"]) == 15
    plain = desk.first(topic, odd_day(CENTRAL, 24)).json()
    assert not any(row[4] for row in plain["data"])


def test_isone_single_record_is_an_object(desk: Desk) -> None:
    day = odd_day(EASTERN, 25)
    base = f"{desk.emulator.base_url('isone')}/hourlylmp/da/final/day/{day:%Y%m%d}"
    one = desk.client.get(f"{base}/hour/05/location/4000.json").json()["HourlyLmps"]["HourlyLmp"]
    assert isinstance(one, dict) and one["Location"]["@LocId"] == "4000"
    many = desk.client.get(f"{base}/location/4000.json").json()["HourlyLmps"]["HourlyLmp"]
    offsets = [datetime.fromisoformat(row["BeginDate"]).utcoffset() for row in many]
    assert len(many) == 25 and offsets[1] != offsets[2]
    assert datetime.fromisoformat(one["BeginDate"]).astimezone(ZoneInfo(EASTERN)).hour == 5
