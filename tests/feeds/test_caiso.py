"""CAISO: CSV and XML reports, components brought together, runs told by the payload, and errors inside HTTP 200."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from payloads import RECORDED, assert_expected, assert_survives, observed, parse, recorded, sample, samples

from carbon254.calendars import market_day_span
from carbon254.errors import NothingYet, PayloadRefused
from carbon254.feeds.catalogue import candidates, feed
from carbon254.feeds.catalogue import feeds as all_feeds
from carbon254.model import Flag

DA, RT, HASP = "iso.da.lmp.caiso", "iso.rt.lmp.caiso", "iso.hasp.lmp.caiso"
DAM_FILE = "20251102_20251102_PRC_LMP_DAM_20251101_20_04_11_v12.csv"
RTM_FILE = "20250701_20250701_PRC_INTVL_LMP_RTM_20250701_01_02_03_v3.csv"
RTPD_FILE = "20250701_20250701_PRC_RTPD_LMP_RTPD_20250701_01_02_03_v3.csv"
XML_FILE = "20250701_20250701_PRC_HASP_LMP_HASP_20250701_01_02_03_v3.xml"
OURS = [(DA, DAM_FILE), (RT, RTM_FILE), (HASP, RTPD_FILE), (HASP, XML_FILE), (RT, RTPD_FILE), (RT, XML_FILE)]
EXCERPT = "caiso/PRC_HASP_LMP_PALOVRDE_20240101_excerpt.csv"
NUMBERS = ("lmp", "energy", "congestion", "loss", "ghg")


@pytest.mark.parametrize(("topic", "name"), OURS)
def test_samples(topic: str, name: str) -> None:
    assert_expected("caiso", topic, name)


@pytest.mark.parametrize(("topic", "name"), OURS)
def test_four_or_five_components_add_up(topic: str, name: str) -> None:
    assert observed(topic, sample("caiso", name), name).frame["flags"].sum() == 0


def test_autumn_day_runs_on_through_the_repeated_hour() -> None:
    frame = observed(DA, sample("caiso", DAM_FILE)).frame.filter(pl.col("location_type") == "hub")
    steps = frame["interval_start"].diff().drop_nulls().unique().to_list()
    assert (frame.height, steps) == (4, [timedelta(hours=1)])


def test_recorded_excerpt_without_the_greenhouse_component() -> None:
    rows = parse(HASP, recorded(EXCERPT)[1])
    frame, lacking = rows.frame, rows.frame.filter(pl.col("energy").is_not_null())
    assert (rows.rejects.height, frame.height, "ghg" in frame.columns, lacking.height) == (0, 81, False, 4)
    assert frame["interval_start"][0] == datetime(2024, 1, 1, 7, tzinfo=UTC)
    assert frame["line"].to_list() == [2, 3, 4, 5, *range(18, 95)]
    day = frame.filter(pl.col("line") >= 18)
    assert (day["lmp"].min(), day["lmp"].max(), (frame["lmp"] < 0).sum()) == (0.49533, 51.91197, 0)
    parts = lacking.select(pl.sum_horizontal("energy", "congestion", "loss")).to_series()[0]
    assert (frame["lmp"][0], parts) == (36.57843, pytest.approx(42.59755))
    flagged = observed(HASP, recorded(EXCERPT)[1]).frame["flags"].to_list()
    assert flagged == [Flag.INCOMPLETE_COMPONENTS.value] * 4 + [0] * 77


@pytest.mark.parametrize(
    ("file", "said"),
    [
        ("INVALID_REQUEST_SLD_RTO.zip", "1001 Invalid Parameters of the given report name"),
        ("http429_acceptable_use.html", "HTTP 429.*retry your request after 5 seconds"),
        ("ene_slrs.xml", "report ENE_SLRS"),
        ("sld_forecast.xml", "report SLD_FCST"),
        ("20221231_20230102_ENE_SLRS_RTM.zip", "LMP_TYPE is missing"),
        ("20250204_20250211_SLD_REN_FCST_DAM_20250214_04_52_10_v1.zip", "is missing"),
        ("outlook_rtm_forecast_7day_20260311.csv", "is missing"),
        ("20171104_DailyRenewablesWatch.txt", "is missing"),
    ],
)
def test_recorded_answers_that_are_no_prices_are_refused(file: str, said: str) -> None:
    name, data = recorded(f"caiso/{file}")
    assert candidates(name, data) == []
    with pytest.raises(PayloadRefused, match=said):
        parse(RT, data, name)


def edited(number: int, old: str, new: str, name: str = DAM_FILE) -> bytes:
    lines = sample("caiso", name).decode().split("\n")
    assert old in lines[number - 1]
    lines[number - 1] = lines[number - 1].replace(old, new, 1)
    return "\n".join(lines).encode()


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("2025-11-02T07:00:00-00:00", "02-11-2025 07:00", "stamp cannot be read"),
        ("LMP_CONG_PRC,TH_NP15_GEN-APND,ALL_APNODES,0,-1.25", "LMP_CONG_PRC,TH_NP15_GEN-APND,ALL_APNODES,0,N/A", "MW"),
        ("-1.25", "NaN", "not a finite number"),
        ("-1.25", "-inf", "not a finite number"),
        (",DAM,MCC,", ",DAM,MXX,", "none of the components"),
        (",DAM,MCC,", ",RTM,MCC,", "not of this feed"),
    ],
)
def test_a_bad_component_is_a_reject_and_the_rest_stands(old: str, new: str, reason: str) -> None:
    rows = parse(DA, edited(2, old, new))
    assert rows.frame.height == 8
    assert rows.rejects.select("line").to_series().to_list() == [2] and reason in rows.rejects["reason"][0]
    first = rows.frame.filter(pl.col("line") == 10)
    assert first["congestion"].to_list() == [None] and first["lmp"].to_list() == [42.375]


def test_a_price_that_is_lost_loses_its_row_and_says_so() -> None:
    rows = parse(DA, edited(10, "42.375", "4x.375"))
    assert rows.frame.height == 7
    assert rows.rejects.select("line", "reason").rows() == [(10, "MW: '4x.375' is not a number")]


def test_an_empty_price_is_missing_not_zero_and_not_a_reject() -> None:
    rows = parse(DA, edited(10, "42.375", ""))
    assert (rows.frame.height, rows.rejects.height, rows.frame["lmp"][0]) == (8, 0, None)


def test_a_repeated_component_is_ignored_when_equal_and_rejected_when_not() -> None:
    data = sample("caiso", DAM_FILE)
    line = data.split(b"\n")[9]
    rows = parse(DA, data + line + b"\n")
    assert (rows.frame.height, rows.frame["lmp"][0], rows.rejects.height) == (8, 42.375, 0)
    rows = parse(DA, data + line.replace(b"42.375", b"43.5") + b"\n")
    assert rows.rejects["reason"].to_list() == ["duplicate component with another price"] * 2
    assert "42.375" in rows.rejects["raw"][0] and "43.5" in rows.rejects["raw"][1]
    assert rows.frame.height == 7, "nothing says which of two prices is right"


def test_a_file_of_one_component_alone_is_refused() -> None:
    lines = sample("caiso", DAM_FILE).split(b"\n")
    with pytest.raises(PayloadRefused, match="only MCC and no LMP"):
        parse(DA, b"\n".join(lines[:9]))


@pytest.mark.parametrize(
    ("topic", "name", "said"),
    [(RT, DAM_FILE, f"belong to {DA}"), (DA, RTM_FILE, f"belong to {RT}"), (HASP, RTM_FILE, f"belong to {RT}")],
)
def test_prices_of_another_stream_are_refused_with_its_name(topic: str, name: str, said: str) -> None:
    with pytest.raises(PayloadRefused, match=said):
        parse(topic, sample("caiso", name), name)


@pytest.mark.parametrize(
    "prolog",
    [
        '<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]>',
        '<!DOCTYPE x SYSTEM "file:///etc/passwd">',
    ],
)
def test_a_document_type_is_refused_before_parsing(prolog: str) -> None:
    text = sample("caiso", XML_FILE).decode().replace("?>\n", f"?>\n{prolog}\n", 1)
    with pytest.raises(PayloadRefused, match="document type"):
        parse(HASP, text.encode())


def test_xml_under_a_foreign_encoding_is_refused() -> None:
    with pytest.raises(PayloadRefused, match="foreign encoding"):
        parse(HASP, sample("caiso", XML_FILE).replace(b'encoding="UTF-8"', b'encoding="cp037"'))


def test_xml_without_a_prefix_reads_the_same() -> None:
    plain = sample("caiso", XML_FILE).replace(b"<m:", b"<").replace(b"</m:", b"</").replace(b"xmlns:m=", b"xmlns=")
    assert parse(HASP, plain).frame.equals(parse(HASP, sample("caiso", XML_FILE)).frame)


@pytest.mark.parametrize(("value", "reason"), [("one", "finite"), ("NaN", "finite")])
def test_a_bad_record_of_an_xml_report_is_a_reject_with_its_number(value: str, reason: str) -> None:
    data = sample("caiso", XML_FILE).replace(b"<m:VALUE>40.1<", f"<m:VALUE>{value}<".encode())
    rows = parse(HASP, data)
    assert rows.rejects["line"].to_list() == [5] and reason in rows.rejects["reason"][0]
    assert rows.frame["energy"].to_list() == [None, -3.25]


@pytest.mark.parametrize("data", [b"", b"  \r\n", b"<html>busy</html>", b"{}", b"\x00\x01", b"a,b\n1,2\n"])
def test_what_is_no_report_is_refused(data: bytes) -> None:
    with pytest.raises(PayloadRefused):
        parse(RT, data)


@pytest.mark.slow
@pytest.mark.parametrize(("topic", "name"), OURS[:4])
def test_damaged_bytes_never_raise_anything_else(topic: str, name: str) -> None:
    assert_survives("caiso", topic, name, NUMBERS)


def test_no_data_is_not_yet_published_and_other_errors_are_refusals() -> None:
    body = (
        "<OASISReport><MessagePayload><RTO><ERROR><ERR_CODE>{}</ERR_CODE></ERROR></RTO></MessagePayload></OASISReport>"
    )
    with pytest.raises(NothingYet, match="asked again"):
        parse(DA, body.format(1000).encode(), "INVALID_REQUEST.xml")
    with pytest.raises(PayloadRefused, match="1002") as refusal:
        parse(DA, body.format(1002).encode(), "INVALID_REQUEST.xml")
    assert not isinstance(refusal.value, NothingYet)


def test_recognise() -> None:
    assert [candidates(name, sample("caiso", name)) for name in samples("caiso")] == [
        [HASP, RT],  # HASP in XML
        [RT],
        [HASP, RT],  # RTPD
        [DA],
    ]
    assert candidates("some.csv", sample("caiso", DAM_FILE)) == [DA]
    if (RECORDED / EXCERPT).is_file():
        assert candidates(*recorded(EXCERPT)) == [HASP, RT]


def test_files_of_others_are_not_ours() -> None:
    own = {found.stream.provider.id for found in all_feeds().values()} - {"caiso"}
    for provider in sorted(own):
        for name in samples(provider):
            found = candidates(name, sample(provider, name))
            assert not [topic for topic in found if topic.endswith(".caiso")], name


@pytest.mark.parametrize(
    ("day", "opens", "closes"),
    [
        (datetime(2025, 3, 9), "20250309T08:00-0000", "20250310T07:00-0000"),
        (datetime(2025, 7, 1), "20250701T07:00-0000", "20250702T07:00-0000"),
        (datetime(2025, 11, 2), "20251102T07:00-0000", "20251103T08:00-0000"),
    ],
)
def test_requests_of_a_day_of_23_24_and_25_hours(day: datetime, opens: str, closes: str) -> None:
    (request,) = feed(DA).requests(*market_day_span(day.date(), "America/Los_Angeles"))
    assert request.path == "/oasisapi/SingleZip"
    assert dict(request.params) == {
        "resultformat": 6,
        "queryname": "PRC_LMP",
        "version": 12,
        "market_run_id": "DAM",
        "startdatetime": opens,
        "enddatetime": closes,
        "node": "TH_NP15_GEN-APND,TH_SP15_GEN-APND,TH_ZP26_GEN-APND",
    }


def test_requests_are_cut_to_the_span_to_days_and_to_ten_nodes() -> None:
    start = datetime(2025, 7, 1, 6, 30, tzinfo=UTC)
    windows = [dict(each.params) for each in feed(RT).requests(start, start + timedelta(hours=1))]
    assert [each["startdatetime"] for each in windows] == ["20250701T06:30-0000", "20250701T07:00-0000"]
    assert [each["enddatetime"] for each in windows] == ["20250701T07:00-0000", "20250701T07:30-0000"]
    assert {each["queryname"] for each in windows} == {"PRC_INTVL_LMP"}
    nodes = [f"NODE{number}" for number in range(12)]
    asked = list(feed(HASP).requests(start, start + timedelta(minutes=15), ["ALL_APNODES", *nodes]))
    assert [each.params.get("grp_type") for each in asked] == ["ALL_APNODES", None, None]
    assert [len(each.params.get("node", "").split(",")) for each in asked] == [1, 10, 2]
    assert len({each.subject for each in asked}) == 3
