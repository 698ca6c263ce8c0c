"""ISO New England: one record or many, layers that are missing, offsets, and which market run a record belongs to."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import orjson
import polars as pl
import pytest
from payloads import RECORDED, assert_expected, assert_survives, observed, parse, recorded, sample

from carbon254.calendars import market_day_span
from carbon254.errors import NothingYet, PayloadRefused
from carbon254.feeds.catalogue import candidates, feed
from carbon254.feeds.isone import express

DA, RT = "iso.da.lmp.isone", "iso.rt.lmp.isone"
DA_FILE, RT_FILE, HOURLY_FILE = (
    "da_hourlylmp_20261101.json",
    "rt_fiveminutelmp_current.json",
    "rt_hourlylmp_final_20260601.json",
)
DA_REPORT, HOURLY_REPORT, FIVE_REPORT = (
    "WW_DALMP_ISO_20261101.csv",
    "lmp_rt_final_20260601.csv",
    "lmp_5min_20260601_12-16.csv",
)
DA_XML, RT_XML = "da_hourlylmp_20260308.xml", "rt_fiveminutelmp_current.xml"
REPORTS = [(DA, DA_REPORT), (RT, HOURLY_REPORT), (RT, FIVE_REPORT)]
OURS = [(DA, DA_FILE), (RT, RT_FILE), (RT, HOURLY_FILE), *REPORTS, (DA, DA_XML), (RT, RT_XML)]
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


@pytest.mark.sampled(1)
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


@pytest.mark.parametrize(("topic", "name"), REPORTS)
def test_a_report_says_by_its_title_which_market_it_is_of(topic: str, name: str) -> None:
    data = sample("isone", name)
    assert candidates(name, data) == candidates("renamed", data) == [topic]
    other = DA if topic == RT else RT
    with pytest.raises(PayloadRefused, match=rf"prices of {re.escape(topic)}, not of {re.escape(other)}"):
        parse(other, data, name)


def test_a_report_that_does_not_say_its_market_may_be_of_either() -> None:
    data = b"".join(sample("isone", HOURLY_REPORT).splitlines(keepends=True)[4:])
    assert candidates("x.csv", data) == [DA, RT]
    assert candidates("lmp_rt_prelim_20260601.csv", data) == [RT]
    assert candidates("WW_DALMP_ISO_20260601.csv", data) == [DA]


def test_quotes_padding_and_line_ends_of_a_report_say_nothing() -> None:
    data = sample("isone", DA_REPORT)
    whole = parse(DA, data).frame
    bare = data.replace(b'"', b"")
    width = bare.split(b"\n")[4].count(b",")
    padded = b"\n".join(line + b"," * (width - line.count(b",")) if line else line for line in bare.split(b"\n"))
    for copy in (bare, bare.replace(b"\n", b"\r\n"), padded, b"\xef\xbb\xbf" + data, data + b"\r\n\r\n", data.upper()):
        found = parse(DA, copy)
        assert found.rejects.is_empty() and found.frame.drop("line").equals(whole.drop("line"))


def test_a_column_of_a_report_is_known_in_any_spelling_and_order() -> None:
    header, rest = (
        b'"Location ID","Location Name","Location Type","Locational Marginal Price"',
        sample("isone", DA_REPORT),
    )
    copy = rest.replace(header, b"location_id,LOCATION NAME,LocationType,LMP")
    assert parse(DA, copy).frame.equals(parse(DA, rest).frame)


@pytest.mark.parametrize("trailer", [b'"T","15 lines"', b'"T",15', b"T,15 lines,,,", b't,"15 Lines"'])
def test_a_trailer_is_read_in_every_form(trailer: bytes) -> None:
    data = sample("isone", DA_REPORT).replace(b'"T","15 lines"', trailer)
    assert parse(DA, data).frame.height == 15


@pytest.mark.parametrize("topic_name", REPORTS)
def test_a_report_that_was_cut_anywhere_is_refused(topic_name: tuple[str, str]) -> None:
    topic, name = topic_name
    lines = sample("isone", name).splitlines(keepends=True)
    first = next(number for number, line in enumerate(lines) if line.lstrip(b'"').startswith(b"D"))
    for end in range(first, len(lines)):
        with pytest.raises(PayloadRefused, match=r"was cut: \d+ data lines, and it has no trailer"):
            parse(topic, b"".join(lines[:end]), name)
    without = [*lines[:first], *lines[first + 1 :]]
    with pytest.raises(PayloadRefused, match="was cut"):
        parse(topic, b"".join(without), name)
    with pytest.raises(PayloadRefused, match="was cut"):
        parse(topic, b"".join([*lines[: first + 1], *lines[first:]]), name)


def test_the_hour_that_comes_twice_is_told_by_its_x_in_any_order_of_lines() -> None:
    data = sample("isone", DA_REPORT)
    lines = data.splitlines(keepends=True)
    body = [line for line in lines if line.startswith(b'"D"')]
    turned = b"".join([*lines[:6], *reversed(body), lines[-1]])
    wanted = observed(DA, data).frame.sort("location_id", "interval_start").drop("line")
    assert observed(DA, turned).frame.sort("location_id", "interval_start").drop("line").equals(wanted)
    hub = wanted.filter(pl.col("location_id") == "4000")
    assert hub["interval_start"].dt.hour().to_list()[:4] == [4, 5, 6, 7] and hub["flags"].sum() == 0


@pytest.mark.parametrize(
    ("cell", "reason"),
    [(b'"03/08/2026","03"', "name no interval"), (b'"06/01/2026","02X"', "name no interval"),
     (b'"06/01/2026","25"', "name no interval"), (b'"06/31/2026","01"', "name no interval"),
     (b'"13/06/2026","01"', "name no interval"), (b'"","01"', "name no interval")],
)  # fmt: skip
def test_a_label_that_names_no_hour_is_a_reject_with_its_line(cell: bytes, reason: str) -> None:
    rows = parse(DA, sample("isone", DA_REPORT).replace(b'"11/01/2026","01"', cell, 1))
    assert rows.frame.height == 14
    assert rows.rejects["line"].to_list() == [7] and reason in rows.rejects["reason"][0]
    assert rows.rejects["raw"][0].startswith('"D",')


def test_the_spring_day_has_23_hours() -> None:
    hours = [hour for hour in range(1, 25) if hour != 3]
    data = report([("03/08/2026", f"{hour:02d}") for hour in hours])
    frame = observed(DA, data).frame
    opens, closes = market_day_span(datetime(2026, 3, 8).date(), "America/New_York")
    assert frame.height == 23 and frame["interval_start"].is_sorted()
    assert (frame["interval_start"][0], frame["interval_end"][-1]) == (opens, closes)
    assert frame["interval_start"].diff().drop_nulls().unique().to_list() == [timedelta(hours=1)]


def test_five_minute_times_without_a_day_take_the_reports_or_the_names() -> None:
    data, wanted = sample("isone", FIVE_REPORT), parse(RT, sample("isone", FIVE_REPORT)).frame
    bare = data.replace(b'"C","Report for: 06/01/2026 - 06/01/2026"\n', b"").replace(b"lmp_5min_20260601", b"x")
    assert parse(RT, bare, FIVE_REPORT).frame.drop("line").equals(wanted.drop("line"))
    assert (
        parse(RT, bare.replace(b'"12:', b'"2026-06-01 12:'), "current.csv")
        .frame.drop("line")
        .equals(wanted.drop("line"))
    )
    lost = parse(RT, bare, "current.csv")
    assert lost.frame.is_empty() and lost.rejects.height == 6


def test_five_minute_passes_of_the_hour_that_comes_twice_go_by_the_order_of_a_locations_lines() -> None:
    head = sample("isone", FIVE_REPORT).split(b'"D"')[0].replace(b"06/01/2026", b"11/01/2026")
    times = [f"{hour:02d}:{minute:02d}:00" for hour in (0, 1, 1, 2) for minute in range(0, 60, 5)]
    lines = [f'"D","{time}","4000",".H.INTERNAL_HUB","HUB",1,1,0,0\n'.encode() for time in times]
    frame = observed(RT, head + b"".join(lines) + b'"T",48\n').frame
    assert frame["interval_start"].diff().drop_nulls().unique().to_list() == [timedelta(minutes=5)]
    assert frame["flags"].sum() == 0


def test_what_a_report_says_of_its_making_is_when_it_was_published() -> None:
    assert parse(DA, sample("isone", DA_REPORT)).frame["published_at"].unique().to_list() == [
        datetime(2026, 10, 31, 17, 7, 54, tzinfo=UTC)
    ]
    without = sample("isone", DA_REPORT).replace(b"Report generated: 10/31/2026 13:07:54 EDT", b"")
    assert "published_at" not in parse(DA, without).frame.columns


def test_a_day_without_a_file_is_nothing_yet() -> None:
    with pytest.raises(NothingYet):
        parse(DA, b"No data exists for this period.", DA_REPORT)
    empty = sample("isone", DA_REPORT).split(b'"D"')[0] + b'"T","0 lines"\n'
    with pytest.raises(NothingYet):
        parse(DA, empty, DA_REPORT)


def test_xml_and_json_of_one_answer_are_the_same_rows() -> None:
    answer = orjson.loads(sample("isone", DA_FILE))
    records = answer["HourlyLmps"]["HourlyLmp"]
    parts = []
    for record in records:
        place = record["Location"]
        where = f'<Location LocId="{place["@LocId"]}" LocType="{place["@LocType"]}">{place["$"]}</Location>'
        prices = "".join(
            f"<{name}>{value}</{name}>" for name, value in record.items() if name not in ("BeginDate", "Location")
        )
        parts.append(f"<HourlyLmp><BeginDate>{record['BeginDate']}</BeginDate>{where}{prices}</HourlyLmp>")
    plain = f"<HourlyLmps>{''.join(parts)}</HourlyLmps>"
    named = plain.replace("<HourlyLmps>", '<HourlyLmps xmlns="http://WEBSERV.iso-ne.com">')
    prefixed = re.sub(r"<(/?)(?=\w)", r"<\1n:", plain).replace("<n:HourlyLmps>", '<n:HourlyLmps xmlns:n="http://x">')
    wanted = parse(DA, sample("isone", DA_FILE)).frame
    for text in (plain, named, prefixed, f"<?xml version='1.0'?>\n<!-- x -->\n{named}"):
        assert parse(DA, text.encode(), DA_FILE).frame.equals(wanted)
        assert candidates("da_answer.xml", text.encode()) == [DA]
    (single,) = [f"<HourlyLmp>{parts[0].removeprefix('<HourlyLmp>')}"]
    assert parse(DA, single.encode(), DA_FILE).frame.equals(wanted.head(1))


@pytest.mark.parametrize(
    "data",
    [b"<HourlyLmps/>", b"<HourlyLmps></HourlyLmps>", b'{"HourlyLmps":""}', b'{"HourlyLmps":{"HourlyLmp":[]}}'],
)
def test_an_empty_collection_is_nothing_yet(data: bytes) -> None:
    with pytest.raises(NothingYet):
        parse(DA, data)


@pytest.mark.parametrize(
    "data",
    [b"a,b\n1,2\n", b"plain words", b'{"HourlyDaDemand":[]}', b"<x/>", b'"C","Other"\n"H","Day"\n"D",1\n"T",1\n'],
)
def test_what_is_not_read_names_the_formats_that_are(data: bytes) -> None:
    with pytest.raises(PayloadRefused, match=r"JSON and XML .*HourlyLmps.* and CSV reports of C, H, D and T lines"):
        parse(DA, data)


def test_recorded_settlement_reports_end_with_their_count_and_are_no_prices() -> None:
    for path in sorted((RECORDED / "isone_mis").glob("*.csv")):
        name, data = recorded(f"isone_mis/{path.name}")
        given, announced = express.counted(data)
        assert given == announced, name
        assert express.opened(data) is None and candidates(name, data) == []


def report(hours: list[tuple[str, str]]) -> bytes:
    """A day-ahead report of one place."""
    head = sample("isone", DA_REPORT).split(b'"D"')[0]
    lines = [f'"D","{day}","{hour}","4000",".H.INTERNAL_HUB","HUB",1.5,1.5,0.0,0.0\n'.encode() for day, hour in hours]
    return head + b"".join(lines) + f'"T","{len(lines)} lines"\n'.encode()


def test_seconds_of_a_stamp_are_jitter() -> None:
    assert parse(RT, sample("isone", RT_FILE)).frame["interval_start"][0] == datetime(2026, 6, 1, 16, 5, tzinfo=UTC)
