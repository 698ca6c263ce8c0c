"""ERCOT: hour-ending labels, the repeated hour told by flag, by order and by hour 25, and positional JSON at speed."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import orjson
import polars as pl
import pytest
from payloads import assert_expected, assert_survives, observed, parse, recorded, sample

from carbon254.calendars import market_day_span
from carbon254.errors import PayloadRefused
from carbon254.feeds.catalogue import candidates, feed
from carbon254.feeds.contract import Payload
from carbon254.model import Flag
from carbon254.wire import csv

DA, RT = "iso.da.lmp.ercot", "iso.rt.lmp.ercot"
JSON_FILE = "dam_stlmnt_pnt_prices_2026-11-01.json"
RT_FILE = "cdr.00012301.0000000000000000.20261101.021701001.SPPHLZNP6905_20261101_0215.csv"
DENSE_FILE = "cdr.00012331.0000000000000000.20261031.123222001.DAMSPNP4190.csv"
OURS = [(DA, JSON_FILE), (RT, RT_FILE), (DA, DENSE_FILE)]
DA_FIELDS = ["deliveryDate", "hourEnding", "settlementPoint", "settlementPointPrice", "DSTFlag"]


def answer(rows: list[object], fields: list[str] | None = None, **more: object) -> bytes:
    named = [{"name": name} for name in fields or DA_FIELDS]
    return orjson.dumps({"_meta": {"totalPages": 1}, "fields": named, "data": rows, **more})


@pytest.mark.parametrize(("topic", "name"), OURS)
def test_samples(topic: str, name: str) -> None:
    assert_expected("ercot", topic, name)


def test_recorded_autumn_day() -> None:
    name, data = recorded("ercot/ercot_np4-190-cd_dam_spp_20251102_api.json")
    frame = observed(DA, data, name).frame
    assert (frame.height, frame["lmp"].min(), frame["lmp"].max()) == (25, 6.08, 76.42)
    opens, _ = market_day_span(datetime(2025, 11, 2).date(), "America/Chicago")
    hours = ((frame["interval_start"] - opens).dt.total_hours()).to_list()
    assert hours == [0, 2, 1, *range(3, 25)], "25 hours, each once; the second pass is printed first"
    assert frame["lmp"][:4].to_list() == [56.16, 48.25, 46.44, 52.27]
    assert frame["lmp"][-1] == 22.32
    assert frame["flags"].sum() == 0


def test_spring_day_skips_hour_ending_three() -> None:
    rows = [["2026-03-08", f"{h:02d}:00", "HB_NORTH", float(h), False] for h in range(1, 25) if h != 3]
    normal = observed(DA, answer(rows))
    starts = normal.frame["interval_start"]
    assert normal.rejects.is_empty()
    assert (
        starts.to_list()
        == pl.datetime_range(
            datetime(2026, 3, 8, 6), datetime(2026, 3, 9, 4), "1h", time_zone="UTC", eager=True
        ).to_list()
    )


def test_an_hour_the_clock_skips_names_no_instant() -> None:
    rows = parse(DA, answer([["2026-03-08", "03:00", "HB_NORTH", 1.0, False]]))
    assert rows.rejects["line"].to_list() == [1]
    assert "the clock skips" in rows.rejects["reason"][0]


def passes(frame: pl.DataFrame) -> list[int]:
    """Which pass of the hour that began at 06:00 and again at 07:00 UTC."""
    return [start.hour - 6 for start in frame["interval_start"]]


def autumn(flags: list[object], form: str = "json") -> list[int]:
    """Passes of rows that share the repeated hour of one point."""
    rows: list[list[object]] = [["2026-11-01", "02:00", "HB_NORTH", 1.0, flag] for flag in flags]
    if form == "json":
        return passes(parse(DA, answer([*rows])).frame)
    head = "DeliveryDate,HourEnding,SettlementPoint,SettlementPointPrice,DSTFlag"
    lines = [f"11/01/2026,02:00,HB_NORTH,1.0,{row[-1]}" for row in rows]
    return passes(parse(DA, "\n".join([head, *lines]).encode()).frame)


@pytest.mark.parametrize(
    ("flags", "form"),
    [([False, True], "json"), (["N", "Y"], "csv"), (["false", "TRUE"], "csv"), ([" N", "Y "], "csv")],
)
def test_the_repeated_hour_goes_by_the_flag_and_never_by_the_order_of_rows(flags: list[object], form: str) -> None:
    assert autumn(flags, form) == [0, 1]
    assert autumn(flags[::-1], form) == [1, 0]
    assert autumn(flags[:1], form) == [0] and autumn(flags[1:], form) == [1], "a pair split over two pages"


def test_the_recorded_repeated_hour_stands_at_its_own_two_instants() -> None:
    name, data = recorded("ercot/ercot_np4-190-cd_dam_spp_20251102_api.json")
    prices = dict(observed(DA, data, name).frame.select("interval_start", "lmp").iter_rows())
    assert prices[datetime(2025, 11, 2, 6, tzinfo=UTC)] == 46.44
    assert prices[datetime(2025, 11, 2, 7, tzinfo=UTC)] == 48.25


def test_order_decides_only_where_both_rows_carry_the_same_flag_and_then_the_rows_say_so() -> None:
    ambiguous = Flag.AMBIGUOUS_TIME.value
    for flag in (True, False, None):
        rows: list[object] = [["2026-11-01", "02:00", "HB_NORTH", price, flag] for price in (1.0, 2.0)]
        frame = observed(DA, answer(rows)).frame
        assert (passes(frame), frame["flags"].to_list()) == ([0, 1], [ambiguous, ambiguous])
    rows = [["2026-11-01", "02:00", "HB_NORTH", 1.0, flag] for flag in (None, False)]
    for given in (rows, rows[::-1]):
        found = observed(DA, answer([*given])).frame.sort("interval_start")
        assert (passes(found), found["flags"].to_list()) == ([0, 1], [0, ambiguous]), "the other row's pass is known"


def test_a_day_numbered_to_twenty_five_is_so_in_every_block_of_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    data = sample("ercot", DENSE_FILE)
    whole = parse(DA, data, DENSE_FILE).frame.drop("line")
    monkeypatch.setattr(csv, "BLOCK_BYTES", 64)
    assert len(list(feed(DA).parse(Payload(data, DENSE_FILE, feed(DA).stream)))) > 2
    assert parse(DA, data, DENSE_FILE).frame.drop("line").equals(whole)


def test_a_row_alone_without_a_flag_is_ambiguous() -> None:
    frame = observed(DA, answer([["2026-11-01", "02:00", "HB_NORTH", 1.0, None]])).frame
    assert frame["flags"].to_list() == [Flag.AMBIGUOUS_TIME.value]


def test_fifteen_minute_autumn_day_has_a_hundred_intervals() -> None:
    fields = ["deliveryDate", "deliveryHour", "deliveryInterval", "settlementPoint", "settlementPointPrice", "DSTFlag"]
    labels = [(1, False), (2, False), (2, True), *((hour, False) for hour in range(3, 25))]
    rows = [["2026-11-01", hour, i, "HB_NORTH", 1.0, flag] for hour, flag in labels for i in range(1, 5)]
    starts = observed(RT, answer([*rows], fields)).frame["interval_start"]
    assert (
        starts.to_list()
        == pl.datetime_range(
            datetime(2026, 11, 1, 5), datetime(2026, 11, 2, 5, 45), "15m", time_zone="UTC", eager=True
        ).to_list()
    )


def test_hour_twenty_five_of_an_ordinary_day_is_a_reject() -> None:
    rows = parse(DA, answer([["2026-07-01", h, "HB_NORTH", 1.0, False] for h in (1, 24, 25)]))
    assert (rows.frame["line"].to_list(), rows.rejects["line"].to_list()) == ([1, 2], [3])


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (["2026-13-01", "02:00", "HB_NORTH", 1.0, False], "date"),
        (["2026-07-01", "26:00", "HB_NORTH", 1.0, False], "hour"),
        (["2026-07-01", "x", "HB_NORTH", 1.0, False], "hour"),
        (["2026-07-01", "02:00", "", 1.0, False], "settlement point"),
        (["2026-07-01", "02:00", "HB_NORTH", "N/A", False], "not a number"),
        (["2026-07-01", "02:00", "HB_NORTH", "NaN", False], "finite"),
        (["2026-07-01", "02:00", "HB_NORTH", [1], False], "plain"),
        (["2026-07-01", "02:00", "HB_NORTH", 1.0], "plain"),
        (["2026-07-01", "02:00", "HB_NORTH", 1.0, False, 7], "plain"),
        ({"deliveryDate": "2026-07-01"}, "plain"),
    ],
)
def test_a_bad_row_is_a_reject(row: object, reason: str) -> None:
    good = ["2026-07-01", "01:00", "HB_NORTH", 1.5, False]
    rows = parse(DA, answer([good, row, good]))
    assert rows.frame["line"].to_list() == [1, 3]
    assert rows.rejects["line"].to_list() == [2]
    assert reason in rows.rejects["reason"][0]
    assert orjson.loads(rows.rejects["raw"][0]) == row


def test_bad_lines_of_csv_are_rejects() -> None:
    lines = sample("ercot", RT_FILE).decode().splitlines()
    bad = ["11/01/2026,2,5,HB_NORTH,HU, 1.0,N", "11/01/2026,2,1,HB_NORTH,HU,x,N", "11/01/2026,2,1"]
    rows = parse(RT, "\n".join([*lines, *bad]).encode())
    first = len(lines) + 1
    assert rows.rejects["line"].to_list() == [first, first + 1, first + 2]
    assert rows.rejects["raw"].to_list() == bad
    assert rows.frame.height == len(lines) - 1


def test_the_quick_and_the_careful_way_agree() -> None:
    compact = sample("ercot", JSON_FILE)
    spaced = orjson.dumps(orjson.loads(compact), option=orjson.OPT_INDENT_2)
    assert parse(DA, compact).frame.equals(parse(DA, spaced).frame)
    escaped = compact.replace(b'"HB_NORTH",30.25', b'"HB\\u005fNORTH",30.25')
    assert parse(DA, escaped).frame.equals(parse(DA, compact).frame)
    comma = parse(DA, answer([["2026-07-01", "01:00", "A,B", 1.0, False], ["2026-07-01", "01:00", "],[", 1.0, False]]))
    assert comma.frame["location"].to_list() == ["A,B", "],["]


def test_fields_name_the_columns() -> None:
    turned = list(reversed(DA_FIELDS))
    frame = parse(DA, answer([[False, 5.5, "HB_NORTH", "01:00", "2026-07-01"]], turned)).frame
    assert frame.select("location", "lmp").row(0) == ("HB_NORTH", 5.5)


def test_positional_rows_by_the_hundred_thousand() -> None:
    rows = [["2026-07-01", f"{h:02d}:00", f"POINT_{p}", p / 8, False] for h in range(1, 25) for p in range(5_000)]
    data = answer([*rows])
    parse(DA, answer([*rows[:10]]))
    began = time.perf_counter()
    frame = parse(DA, data).frame
    assert frame.height == 120_000
    assert time.perf_counter() - began < 1.2, "120,000 positional rows are a matter of tenths of a second"


@pytest.mark.parametrize(("topic", "name", "home"), [(RT, JSON_FILE, DA), (DA, RT_FILE, RT), (RT, DENSE_FILE, DA)])
def test_the_wrong_stream_is_refused_and_the_right_one_named(topic: str, name: str, home: str) -> None:
    with pytest.raises(PayloadRefused, match=home.replace(".", r"\.")):
        parse(topic, sample("ercot", name), name)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"<html></html>",
        b'{"statusCode":401,"message":"Access denied due to missing subscription key."}',
        b'{"data":[["a"]],"fields":[]}',
        b'{"data":[["a"]]}',
        answer([]),
        b"a,b\n1,2\n",
        b"[]",
    ],
)
def test_refused(data: bytes) -> None:
    with pytest.raises(PayloadRefused):
        parse(DA, data)


def test_an_error_answer_says_what_ercot_said() -> None:
    with pytest.raises(PayloadRefused, match="missing subscription key"):
        parse(DA, b'{"statusCode":401,"message":"missing subscription key"}')


@pytest.mark.sampled(1)
@pytest.mark.parametrize(("topic", "name"), OURS)
def test_damaged_files(topic: str, name: str) -> None:
    assert_survives("ercot", topic, name, ("lmp",))


def test_recognise() -> None:
    for topic, name in OURS:
        assert candidates(name, sample("ercot", name)) == [topic]
    name, data = recorded("ercot/ercot_np4-190-cd_dam_spp_20251102_api.json")
    assert candidates(name, data) == [DA]
    for other in ("dashboard_fuel-mix.json", "load_forecast_by_forecast_zone.json"):
        assert candidates(other, recorded(f"ercot/{other}")[1]) == []
    assert not [t for t in candidates("x.csv", sample("spp", "DA-LMP-SL-202511020100.csv")) if t.endswith("ercot")]


@pytest.mark.parametrize("day", [(2026, 3, 8), (2026, 7, 1), (2026, 11, 1)])
def test_requests(day: tuple[int, int, int]) -> None:
    start, end = market_day_span(datetime(*day).date(), "America/Chicago")
    text = f"{day[0]}-{day[1]:02d}-{day[2]:02d}"
    (request,) = feed(DA).requests(start, end)
    assert request.path == "/np4-190-cd/dam_stlmnt_pnt_prices"
    assert request.params == {"deliveryDateFrom": text, "deliveryDateTo": text, "page": 1, "size": 100_000}
    two = list(feed(RT).requests(start, end, ["HB_NORTH", "LZ_WEST"]))
    assert [r.params["settlementPoint"] for r in two] == ["HB_NORTH", "LZ_WEST"]
    assert {r.path for r in two} == {"/np6-905-cd/spp_node_zone_hub"}
    assert not any("deliveryHourFrom" in r.params for r in two)


def test_an_hour_is_asked_by_its_hour_ending_number() -> None:
    start = datetime(2026, 7, 1, 18, tzinfo=UTC)
    (request,) = feed(RT).requests(start, start.replace(hour=19))
    assert (request.params["deliveryHourFrom"], request.params["deliveryHourTo"]) == (14, 14)
    assert request.subject == "2026-07-01 HE14 HE14"


def test_pages_end_with_the_last() -> None:
    start, end = market_day_span(datetime(2026, 7, 1).date(), "America/Chicago")
    (first,) = feed(DA).requests(start, end)
    second = feed(DA).next_page(first, b'{"_meta":{"totalPages":2}}')
    assert second and (second.params["page"], second.subject) == (2, "2026-07-01 page 2")
    assert feed(DA).next_page(second, b'{"_meta":{"totalPages":2}}') is None
    assert feed(DA).next_page(first, b"no json") is None
