"""SPP: nine-column files, empty intervals, the repeated hour, and what happens to lines that cannot be read."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from payloads import assert_expected, assert_survives, observed, parse, recorded, sample

from carbon254.calendars import market_day_span
from carbon254.errors import PayloadRefused
from carbon254.feeds.catalogue import candidates, feed

DA, RT = "iso.da.lmp.spp", "iso.rt.lmp.spp"
DA_FILE, RT_FILE = "DA-LMP-SL-202511020100.csv", "RTBM-LMP-SL-202604121205.csv"
NUMBERS = ("lmp", "energy", "congestion", "loss")


@pytest.mark.parametrize(("topic", "name"), [(DA, DA_FILE), (RT, RT_FILE)])
def test_samples(topic: str, name: str) -> None:
    assert_expected("spp", topic, name)


def test_rows_of_the_western_area_are_a_market_run_of_their_own() -> None:
    for topic, own, west in ((RT, "RTBM", "RTBM_SWPW"), (DA, "DAM", "DAM_SWPW")):
        rows = observed(topic, sample("spp", RT_FILE))
        runs = dict(rows.frame.select("location", "market_run").iter_rows())
        assert rows.rejects.is_empty()
        assert runs == {"SPPNORTH_HUB": own, "SPPSOUTH_HUB": own, "WEST_SAMPLE": west, "CSWS_HUB": own}
        assert set(rows.frame["market"]) == {"SPP"}


def test_a_file_without_areas_is_of_the_market_itself() -> None:
    assert set(parse(DA, sample("spp", DA_FILE)).frame["market_run"]) == {"DAM"}


@pytest.mark.parametrize(("area", "run"), [(b"swpw", "RTBM_SWPW"), (b" SPP ", "RTBM"), (b"", ""), (b"WAUW", "")])
def test_no_row_of_any_area_is_dropped_without_a_word(area: bytes, run: str) -> None:
    data = sample("spp", RT_FILE).replace(b",SWPW,", b"," + area + b",")
    rows = parse(RT, data)
    assert rows.frame.height + rows.rejects.height == 4
    if run:
        assert rows.frame.filter(rows.frame["location"] == "WEST_SAMPLE")["market_run"].to_list() == [run]
    else:
        assert "those on the card are SPP, SWPW" in rows.rejects["reason"][0]


def test_an_empty_interval_file_is_refused_with_its_reason() -> None:
    with pytest.raises(PayloadRefused, match="asked for again"):
        parse(RT, sample("spp", "RTBM-LMP-SL-202604121210.csv"))


def test_recorded_day_ahead_day() -> None:
    name, data = recorded("spp/DA-LMP-SL-202503190100.csv.gz")
    rows = observed(DA, data, name)
    assert (rows.frame.height, rows.frame["location"].n_unique()) == (29_616, 1_234)
    assert ((rows.frame["lmp"] < 0).sum(), rows.frame["lmp"].min(), rows.frame["lmp"].max()) == (
        11_071,
        -111.8729,
        240.2244,
    )
    assert rows.frame["flags"].sum() == 0


def test_recorded_autumn_day_has_twenty_five_hours() -> None:
    name, data = recorded("spp/DA-LMP-SL-202511020100_hubs.csv")
    frame = observed(DA, data, name).frame
    hub = frame.filter(frame["location"] == "SPPNORTH_HUB")
    assert (frame.height, hub.height, hub["interval_end"].n_unique()) == (56, 25, 25)
    assert hub["interval_end"][1:3].to_list() == [datetime(2025, 11, 2, h, tzinfo=UTC) for h in (7, 8)]
    assert (frame["lmp"].min(), frame["lmp"].max(), frame["flags"].sum()) == (-10.4192, 29.8468, 0)


@pytest.mark.parametrize(
    ("minute", "negative", "low", "high"),
    [("40", 36, -95.4817, 2271.7646), ("50", 0, 26.4091, 37.0394), ("55", 0, 30.9384, 42.542)],
)
def test_recorded_five_minute_files(minute: str, negative: int, low: float, high: float) -> None:
    name, data = recorded(f"spp/RTBM-LMP-SL-2025033108{minute}.csv")
    frame = observed(RT, data, name).frame
    assert (frame.height, (frame["lmp"] < 0).sum(), frame["lmp"].min(), frame["lmp"].max()) == (
        1_234,
        negative,
        low,
        high,
    )
    assert frame["interval_end"].unique().to_list() == [datetime(2025, 3, 31, 13, int(minute), tzinfo=UTC)]
    assert frame["flags"].sum() == 0


def test_recorded_empty_interval() -> None:
    name, data = recorded("spp/RTBM-LMP-SL-202503310845.csv")
    with pytest.raises(PayloadRefused, match="empty"):
        parse(RT, data, name)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"11/02/2025 02:00:00,yesterday,A_HUB,A,1,0,0,1", "is not a time"),
        (b"11/02/2025 02:00:00,11/02/2025 07:00:00,A_HUB,A,N/A,0,0,1", "not a number"),
        (b"11/02/2025 02:00:00,11/02/2025 07:00:00,A_HUB,A,NaN,0,0,1", "not a finite number"),
        (b"11/02/2025 02:00:00,11/02/2025 07:00:00,A_HUB,A,1", "5 cells"),
        (b"11/02/2025 02:00:00,11/02/2025 07:00:00,,A,1,0,0,1", "location is empty"),
    ],
)
def test_a_bad_line_is_a_reject_and_the_others_live(line: bytes, reason: str) -> None:
    lines = sample("spp", DA_FILE).splitlines()
    rows = parse(DA, b"\n".join([*lines[:3], line, *lines[3:]]))
    assert rows.frame.height == len(lines) - 1
    assert rows.rejects["line"].to_list() == [4]
    assert reason in rows.rejects["reason"][0]
    assert rows.rejects["raw"][0] == line.decode()


@pytest.mark.parametrize("data", [b"", b"  \n", b"<html>504</html>", b"{}", b"a,b\n1,2\n", sample("spp", DA_FILE)[:66]])
def test_refused(data: bytes) -> None:
    with pytest.raises(PayloadRefused):
        parse(DA, data)


@pytest.mark.slow
@pytest.mark.parametrize(("topic", "name"), [(DA, DA_FILE), (RT, RT_FILE)])
def test_damaged_files(topic: str, name: str) -> None:
    assert_survives("spp", topic, name, NUMBERS)


def test_recognise() -> None:
    assert candidates(DA_FILE, sample("spp", DA_FILE)) == [DA]
    assert candidates(RT_FILE, sample("spp", RT_FILE)) == [RT]
    assert candidates("unnamed.csv", sample("spp", RT_FILE)) == [RT, DA]
    assert candidates("x.json", sample("isone", "da_hourlylmp_20261101.json"))[0] != RT


@pytest.mark.parametrize(("day", "hours"), [((2026, 3, 8), 23), ((2026, 7, 1), 24), ((2026, 11, 1), 25)])
def test_requests(day: tuple[int, int, int], hours: int) -> None:
    start, end = market_day_span(datetime(*day).date(), "America/Chicago")
    real_time = list(feed(RT).requests(start, end))
    assert len({request.name for request in real_time}) == len(real_time) == hours * 12
    (day_ahead,) = feed(DA).requests(start, end)
    stem = f"{day[0]}{day[1]:02d}{day[2]:02d}"
    assert day_ahead.path == "/file-browser-api/download/da-lmp-by-location"
    folder = f"/{day[0]}/{day[1]:02d}/By_Day"
    assert day_ahead.params == {"path": f"{folder}/DA-LMP-SL-{stem}0100.csv"}


def test_repeated_hour_files_carry_a_suffix() -> None:
    start, end = market_day_span(datetime(2026, 11, 1).date(), "America/Chicago")
    names = [request.name for request in feed(RT).requests(start, end)]
    assert names.index("RTBM-LMP-SL-202611010155.csv") < names.index("RTBM-LMP-SL-202611010155d.csv")
    assert sum(name.endswith("d.csv") for name in names) == 12
