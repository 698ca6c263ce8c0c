"""MISO: the wide daily reports told in standard time all year, and the five-minute tables of the public API."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import orjson
import polars as pl
import pytest
from payloads import RECORDED, assert_expected, assert_survives, observed, parse, recorded, sample, samples

from carbon254.calendars import market_day_span
from carbon254.errors import PayloadRefused
from carbon254.feeds.catalogue import candidates, feed, feeds
from carbon254.model import Flag

DA, RTH, RT = "iso.da.lmp.miso", "iso.rth.lmp.miso", "iso.rt.lmp.miso"
EX_POST, EX_ANTE, FINAL = "20251102_da_expost_lmp.csv", "20250309_da_exante_lmp.csv", "20250701_rt_lmp_final.csv"
TABLE, ROLLING = "lmp_consolidated_20250702T0000Z.json", "five_min_ex_post_rolling.json"
OURS = [(DA, EX_POST), (DA, EX_ANTE), (RTH, FINAL), (RT, TABLE), (RT, ROLLING)]
NUMBERS = ("lmp", "congestion", "loss")
FALL, TRIMMED = "miso/20251102_da_expost_lmp_reduced.csv", "miso/macrogauge_miso_da_expost.csv"


@pytest.mark.parametrize(("topic", "name"), OURS)
def test_samples(topic: str, name: str) -> None:
    assert_expected("miso", topic, name)


@pytest.mark.parametrize("name", [EX_POST, EX_ANTE])
def test_days_the_clocks_change_have_24_hours_each_of_its_own(name: str) -> None:
    frame = observed(DA, sample("miso", name), name).frame
    day = frame.filter(pl.col("location_id") == frame["location_id"][0])["interval_start"]
    first = datetime.strptime(name[:8], "%Y%m%d").replace(tzinfo=UTC) + timedelta(hours=5)
    assert day.to_list() == [first + timedelta(hours=hour) for hour in range(24)]


def test_energy_is_derived_only_where_all_parts_are_published() -> None:
    frame = observed(DA, sample("miso", EX_POST), EX_POST).frame
    alone = frame.filter(pl.col("location_id") == "AECI")
    assert alone["energy"].null_count() == 24 and alone["flags"].sum() == 0
    rest = frame.filter(pl.col("location_id") != "AECI")
    assert rest["flags"].unique().to_list() == [Flag.DERIVED_ENERGY.value]
    assert (
        rest.select((pl.col("lmp") - pl.col("energy") - pl.col("congestion") - pl.col("loss")).abs().max()).item()
        < 1e-6
    )


def test_recorded_fall_day() -> None:
    name, data = recorded(FALL)
    rows = parse(DA, data, name)
    frame = rows.frame
    assert (rows.rejects.height, frame.height, frame["location_id"].n_unique()) == (0, 264, 11)
    assert (frame["label"][0], frame["label"][-1]) == (datetime(2025, 11, 2, 1), datetime(2025, 11, 3))
    minn = frame.filter(pl.col("location_id") == "MINN.HUB")
    assert minn["lmp"][:16].to_list()[12:14] == [0.15, -0.37] and (minn["lmp"] < 0).sum() == 1
    assert frame.group_by("location_id").len()["len"].unique().to_list() == [24]


def test_recorded_trimmed_day_has_one_energy_price_an_hour() -> None:
    name, data = recorded(TRIMMED)
    frame = observed(DA, data, name).frame
    assert (frame.height, frame["lmp"].max(), (frame["lmp"] < 0).sum()) == (72, 655.19, 0)
    spread = frame.group_by("interval_start").agg((pl.col("energy").max() - pl.col("energy").min()).alias("d"))["d"]
    assert spread.len() == 24 and float(spread.max()) <= 0.021  # type: ignore[arg-type]


@pytest.mark.parametrize("file", ["getfuelmix.json", "DataBrokerServices_getSolarForecast.json", "20250310_df_al.xls"])
def test_recorded_answers_that_are_no_prices_are_refused(file: str) -> None:
    name, data = recorded(f"miso/{file}")
    assert candidates(name, data) == []
    with pytest.raises(PayloadRefused):
        parse(RT, data, name)


def with_cell(name: str, line: int, column: int, text: str) -> bytes:
    lines = sample("miso", name).decode().split("\r\n")
    cells = lines[line - 1].split(",")
    cells[column] = text
    lines[line - 1] = ",".join(cells)
    return "\r\n".join(lines).encode()


@pytest.mark.parametrize("line", [6, 9], ids=["LMP", "MCC"])
@pytest.mark.parametrize("text", ["abc", "NaN", "inf", "1x"])
def test_a_bad_cell_costs_one_node_one_hour(line: int, text: str) -> None:
    rows = parse(DA, with_cell(EX_POST, line, 7, text), EX_POST)
    assert rows.frame.height == 71
    assert rows.rejects["line"].to_list() == [line] and rows.rejects["reason"][0].startswith(f"HE 5: '{text}'")
    minn = rows.frame.filter(pl.col("location_id") == "MINN.HUB")["label"].dt.hour().to_list()
    assert minn == [1, 2, 3, 4, *range(6, 24), 0]


def test_an_empty_cell_is_missing_not_zero() -> None:
    rows = parse(DA, with_cell(EX_POST, 6, 7, ""), EX_POST)
    assert (rows.frame.height, rows.rejects.height, rows.frame["lmp"][4]) == (72, 0, None)


@pytest.mark.parametrize(
    ("edit", "reason"),
    [
        (lambda lines: [*lines[:6], lines[6] + ",1", *lines[7:]], "28 cells"),
        (lambda lines: [*lines[:6], ",".join(lines[6].split(",")[:9]), *lines[7:]], "9 cells"),
        (lambda lines: [*lines[:6], lines[6].replace("LMP", "LPM"), *lines[7:]], "Value is none"),
        (lambda lines: [*lines[:6], lines[6].replace("AECI", ""), *lines[7:]], "node is empty"),
    ],
)
def test_a_bad_line_is_a_reject_with_its_number(edit: object, reason: str) -> None:
    lines = sample("miso", EX_POST).decode().split("\r\n")
    rows = parse(DA, "\r\n".join(edit(lines)).encode(), EX_POST)  # type: ignore[operator]
    assert rows.rejects["line"].to_list() == [7] and reason in rows.rejects["reason"][0]
    assert rows.frame["location_id"].unique(maintain_order=True).to_list() == ["MINN.HUB", "ALTW.ALTW"]


def test_a_repeated_line_is_ignored_when_equal_and_its_differing_hours_are_rejected_whatever_the_order() -> None:
    lines = sample("miso", EX_POST).split(b"\r\n")
    again = lines[6].replace(b"Interface,LMP,", b"Interface,LMP,9")
    first, last = ([*lines[:6], again, *lines[6:]], [*lines[:7], lines[6], *lines[7:-1], again, b""])
    for given in (first, last):
        rows = parse(DA, b"\r\n".join(given), EX_POST)
        assert rows.frame.height == 71 and rows.rejects.height == 1
        assert rows.rejects["reason"][0].startswith("HE 1: ") and " or 9" in rows.rejects["reason"][0]


def test_components_without_a_price_are_rejected() -> None:
    lines = sample("miso", EX_POST).decode().split("\r\n")
    rows = parse(DA, "\r\n".join([*lines[:5], *lines[6:]]).encode(), EX_POST)
    assert rows.rejects["reason"].to_list() == ["no LMP line for this node"] * 2
    assert "MINN.HUB" not in rows.frame["location_id"].to_list()


def table(**changes: object) -> bytes:
    answer = orjson.loads(sample("miso", TABLE))
    data = answer["LMPData"]
    data["RefId"] = changes.pop("ref", data["RefId"])
    data["FiveMinLMP"].update(changes)
    return orjson.dumps(answer)


@pytest.mark.parametrize(
    ("ref", "clock", "end"),
    [
        ("01-Jul-2025 - Interval 19:00 EST", "19:00", "2025-07-02T00:00"),
        ("01-Jul-2025 - Interval 00:00 EST", "23:55", "2025-07-01T04:55"),
        ("01-Jul-2025 - Interval 00:00 EST", "00:00", "2025-07-01T05:00"),
        ("01-Jul-2025 - Interval 23:55 EST", "24:00", "2025-07-02T05:00"),
        ("02-Nov-2025 - Interval 01:30 EST", "01:30", "2025-11-02T06:30"),
    ],
)
def test_five_minute_stamps_are_ends_in_standard_time(ref: str, clock: str, end: str) -> None:
    frame = observed(RT, table(ref=ref, HourAndMin=clock)).frame
    closes = datetime.fromisoformat(end).replace(tzinfo=UTC)
    assert frame["interval_end"].unique().to_list() == [closes]
    assert frame["interval_start"].unique().to_list() == [closes - timedelta(minutes=5)]


def test_bad_records_of_the_tables_are_rejects() -> None:
    nodes = [
        {"name": "A", "LMP": "x"},
        {"name": "", "LMP": "1"},
        {"name": "B", "LMP": "NaN"},
        7,
        {"name": "C", "LMP": 5},
    ]
    rows = parse(RT, table(PricingNode=nodes))
    assert rows.frame.select("location", "lmp", "line").rows() == [("C", 5.0, 5)]
    assert rows.rejects["line"].to_list() == [1, 2, 3, 4]
    answer = orjson.loads(sample("miso", ROLLING))
    answer["data"] += [["2025-07-01T00:10:00", "X"], ["yesterday", "X", "1", "1", "1"], None]
    rows = parse(RT, orjson.dumps(answer))
    assert (rows.frame.height, rows.rejects["line"].to_list()) == (3, [4, 5, 6])


@pytest.mark.parametrize(
    ("topic", "name", "said"),
    [(RT, EX_POST, DA), (DA, FINAL, RTH), (RTH, EX_ANTE, DA), (DA, TABLE, RT), (RTH, ROLLING, RT)],
)
def test_prices_of_another_stream_are_refused_with_its_name(topic: str, name: str, said: str) -> None:
    with pytest.raises(PayloadRefused, match=f"to {said}"):
        parse(topic, sample("miso", name), name)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "empty"),
        (b"<html><body>busy</body></html>", "web page"),
        (b'\xef\xbb\xbf<?xml version="1.0"?><Error><Code>BlobNotFound</Code></Error>', "not published this report yet"),
        (b"[]", "neither"),
        (b'{"LMPData":{}}', "no five-minute prices"),
        (b'{"LMPData":{"RefId":"?","FiveMinLMP":{"HourAndMin":"HE 1","PricingNode":[{}]}}}', "time cannot be read"),
        (b'{"headers":["A"],"data":[]}', "missing"),
        (b"{", "not JSON"),
        (b"a,b\n1,2\n", "Node,Type,Value"),
    ],
)
def test_what_is_no_price_answer_is_refused(data: bytes, said: str) -> None:
    with pytest.raises(PayloadRefused, match=said):
        parse(RT, data)


@pytest.mark.sampled(1)
@pytest.mark.parametrize(("topic", "name"), OURS)
def test_damaged_bytes_never_raise_anything_else(topic: str, name: str) -> None:
    assert_survives("miso", topic, name, NUMBERS)


def test_recognise() -> None:
    for topic, name in OURS:
        assert candidates(name, sample("miso", name)) == [topic]
    assert candidates("noname", sample("miso", EX_ANTE)) == [DA]
    for path in (FALL, TRIMMED):
        if (RECORDED / path).is_file():
            assert candidates(*recorded(path)) == [DA]


def test_files_of_others_are_not_ours() -> None:
    for provider in sorted({found.stream.provider.id for found in feeds().values()} - {"miso"}):
        for name in samples(provider):
            found = candidates(name, sample(provider, name))
            assert not [topic for topic in found if topic.endswith(".miso")], name


@pytest.mark.parametrize("day", [date(2025, 3, 9), date(2025, 7, 1), date(2025, 11, 2)])
def test_requests_are_one_report_a_day_of_standard_time(day: date) -> None:
    span = market_day_span(day, feed(DA).stream.clock)
    assert span[1] - span[0] == timedelta(hours=24)
    (ahead,), (final,) = feed(DA).requests(*span), feed(RTH).requests(*span)
    assert ahead.path == f"/marketreports/{day:%Y%m%d}_da_expost_lmp.csv" and ahead.params == {}
    assert final.path == f"/marketreports/{day:%Y%m%d}_rt_lmp_final.csv"
    assert len(list(feed(DA).requests(span[0], span[1] + timedelta(hours=1)))) == 2


def test_five_minute_prices_are_asked_once_from_their_own_host() -> None:
    start = datetime(2025, 7, 1, 12, tzinfo=UTC)
    (request,) = feed(RT).requests(start, start + timedelta(minutes=5))
    assert request.path == "https://public-api.misoenergy.org/api/MarketPricing/GetLmpConsolidatedTable"
    assert request.subject == "latest at 2025-07-01T12:05Z"
