"""NYISO: day files whose repeated hour only row order parts, the OASIS export with its marks, and the turned sign."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import polars as pl
import pytest
from payloads import RECORDED, assert_expected, assert_survives, observed, parse, recorded, sample, samples

from carbon254.calendars import market_day_span
from carbon254.cli.printing import choose
from carbon254.errors import PayloadRefused
from carbon254.feeds.catalogue import candidates, feed, feeds
from carbon254.feeds.nyiso.fetch import requests
from carbon254.model import Flag

DA, RT, RTH = "iso.da.lmp.nyiso", "iso.rt.lmp.nyiso", "iso.rth.lmp.nyiso"
DA_FILE, RT_FILE, GEN_FILE = "20251102damlbmp_zone.csv", "20251102realtime_zone.csv", "20160301realtime_gen.csv"
EXPORT = "OASIS_Day_Ahead_Market_Zonal_LBMP.csv"
OURS = [(DA, DA_FILE), (RT, RT_FILE), (RT, GEN_FILE), (DA, EXPORT)]
NUMBERS = ("lmp", "congestion", "loss")
TWO_ZONES, WINDOW = "nyiso/20251102damlbmp_zone_2zones.csv", "nyiso/20251102realtime_zone_CAPITL_dst_window.csv"
SUMMER, LMP = "nyiso/OASIS_Day-Ahead_Market_Zonal_LBMP_NYC_2024JJA.csv", "nyiso/lmp.csv"


@pytest.mark.parametrize(("topic", "name"), OURS)
def test_samples(topic: str, name: str) -> None:
    assert_expected("nyiso", topic, name)


def instants(frame: pl.DataFrame, column: str, place: str = "61757") -> list[str]:
    return frame.filter(pl.col("location_id") == place)[column].dt.strftime("%H:%M:%S").to_list()


def test_the_two_passes_of_the_repeated_hour() -> None:
    ahead = observed(DA, sample("nyiso", DA_FILE), DA_FILE).frame
    assert instants(ahead, "interval_start") == ["04:00:00", "05:00:00", "06:00:00", "07:00:00"]
    live = observed(RT, sample("nyiso", RT_FILE), RT_FILE).frame
    ends = ["04:55:00", "05:00:00", "05:05:00", "05:55:00", "06:00:00", "06:05:00", "06:55:00", "06:57:48", "07:00:00"]
    assert instants(live, "interval_end") == ends
    off = live.filter(pl.col("flags") & Flag.OFF_GRID.value != 0)
    assert off["interval_end"].unique().to_list() == [datetime(2025, 11, 2, 6, 57, 48, tzinfo=UTC)]
    told = observed(DA, sample("nyiso", EXPORT), EXPORT).frame
    assert instants(told, "interval_start", "61761") == ["04:00:00", "05:00:00", "06:00:00", "07:00:00", "08:00:00"]


def test_congestion_is_turned_and_energy_is_what_is_left() -> None:
    frame = observed(DA, sample("nyiso", EXPORT), EXPORT).frame
    row = frame.row(1, named=True)
    assert (row["congestion"], row["energy"], row["revision"]) == (2.5, pytest.approx(20.66 - 2.5 - 1.04), 1)
    assert frame["flags"].unique().to_list() == [Flag.DERIVED_ENERGY.value]


def test_recorded_day_ahead_fall_day() -> None:
    frame = observed(DA, *reversed(recorded(TWO_ZONES))).frame
    assert frame.group_by("location_id").len().sort("location_id").rows() == [("61752", 25), ("61757", 25)]
    assert (frame["lmp"].min(), frame["lmp"].max(), frame["interval_start"].n_unique()) == (31.7, 75.25, 25)
    assert frame["interval_start"].min() == datetime(2025, 11, 2, 4, tzinfo=UTC)
    assert frame["interval_end"].max() == datetime(2025, 11, 3, 5, tzinfo=UTC)
    twice = parse(DA, *reversed(recorded(TWO_ZONES))).frame.filter(pl.col("label") == datetime(2025, 11, 2, 1))
    assert twice.filter(pl.col("location") == "WEST")["lmp"].to_list() == [50.72, 48.63]
    spread = frame.group_by("interval_start").agg((pl.col("energy").max() - pl.col("energy").min()).alias("d"))["d"]
    assert float(spread.max()) <= 0.0101  # type: ignore[arg-type]


def test_recorded_real_time_window() -> None:
    data = recorded(WINDOW)
    frame = observed(RT, *reversed(data)).frame
    assert frame.height == 27 and frame["interval_end"].is_sorted() and frame["interval_end"].n_unique() == 27
    assert frame["interval_end"].diff().drop_nulls().unique().to_list() == [timedelta(minutes=5)]
    labels = parse(RT, *reversed(data)).frame["label"]
    assert (labels[0], labels[12], labels[13]) == tuple(
        datetime(2025, 11, 2, *clock) for clock in ((0, 55), (1, 55), (1, 0))
    )


def test_recorded_excerpt_after_an_empty_line() -> None:
    rows = parse(RT, *reversed(recorded(LMP)))
    frame = rows.frame
    assert (frame.height, rows.rejects.height, frame["location_id"].n_unique(), frame["line"][0]) == (45, 0, 15, 3)
    assert (frame["label"][0], frame["label"][-1]) == (datetime(2016, 2, 18, 0, 15), datetime(2016, 2, 18, 0, 45))
    assert (frame["lmp"].min(), frame["lmp"].max(), frame["loss"].min()) == (18.6, 21.97, -1.15)


def test_recorded_export_of_a_summer() -> None:
    frame = parse(DA, *reversed(recorded(SUMMER))).frame
    assert (frame.height, frame["label"].n_unique(), frame["mark"].unique().to_list()) == (2_208, 2_208, [0])
    assert (frame["label"][0], frame["label"][-1]) == (datetime(2024, 6, 1), datetime(2024, 8, 31, 23))
    assert (frame["lmp"].min(), frame["lmp"].max(), frame["congestion"].min()) == (15.2, 215.7, -64.37)
    assert frame["revision"].unique().to_list() == [1]


@pytest.mark.parametrize(
    "file", ["20171122isolf.csv", "20171122pal.csv", "20171122rtfuelmix.csv", "20251102pal_CAPITL_dst_window.csv"]
)
def test_recorded_files_that_are_no_prices_are_refused(file: str) -> None:
    name, data = recorded(f"nyiso/{file}")
    assert candidates(name, data) == []
    with pytest.raises(PayloadRefused, match="not a NYISO price file"):
        parse(RT, data, name)


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("11/02/2025 01:00", "11/02/2025 25:00", "not a time"),
        ("11/02/2025 01:00", "31/12/2025 01:00", "not a time"),
        ("31.10", "n/a", "LBMP ($/MWHr): 'n/a' is not a number"),
        ("31.10", "NaN", "not a finite number"),
        ("61757", "", "PTID is empty"),
        (",-0.05", ",-0.05,7", "7 cells"),
        (",-0.05", "", "5 cells"),
    ],
)
def test_a_bad_line_is_a_reject_and_the_rest_stands(old: str, new: str, reason: str) -> None:
    lines = sample("nyiso", DA_FILE).decode().split("\r\n")
    assert old in lines[4]
    lines[4] = lines[4].replace(old, new, 1)
    rows = parse(DA, "\r\n".join(lines).encode(), DA_FILE)
    assert (rows.frame.height, rows.rejects["line"].to_list()) == (11, [5])
    assert reason in rows.rejects["reason"][0]


@pytest.mark.parametrize(
    ("old", "new", "reason"), [(",EST,", ",CST,", "neither EDT nor EST"), (",2\r", ",x\r", "version")]
)
def test_a_bad_line_of_the_export_is_a_reject(old: str, new: str, reason: str) -> None:
    rows = parse(DA, sample("nyiso", EXPORT).decode().replace(old, new, 1).encode(), EXPORT)
    assert (rows.frame.height, rows.rejects["line"].to_list()) == (4, [4])
    assert reason in rows.rejects["reason"][0]


def test_an_empty_price_is_missing_not_zero() -> None:
    rows = parse(DA, sample("nyiso", DA_FILE).replace(b",31.10,", b",,"), DA_FILE)
    assert (rows.rejects.height, rows.frame["lmp"][3]) == (0, None)


@pytest.mark.parametrize(("topic", "name", "said"), [(RT, DA_FILE, DA), (DA, RT_FILE, RT), (RT, EXPORT, DA)])
def test_prices_of_another_stream_are_refused_with_its_name(topic: str, name: str, said: str) -> None:
    for called in (name, "realtime.csv" if topic == DA else "damlbmp.csv"):
        with pytest.raises(PayloadRefused, match=f"prices of {said}"):
            parse(topic, sample("nyiso", name), called)


@pytest.mark.parametrize(
    ("data", "name", "said"),
    [
        (b"", "x", "empty"),
        (b"<html>404</html>", "x", "web page"),
        (b"Time Stamp,Name,PTID\n", "x", "no column for lmp"),
        (b'"Time Stamp","Name","PTID","LBMP","Marginal Cost Losses","Marginal Cost Congestion"\n', DA_FILE, "no lines"),
    ],
)
def test_what_is_no_price_file_is_refused(data: bytes, name: str, said: str) -> None:
    with pytest.raises(PayloadRefused, match=said):
        parse(DA, data, name)


def test_hourly_real_time_prices_are_a_feed_of_their_own_and_never_taken_for_day_ahead_ones() -> None:
    name, data = "20251102rtlbmp_zone.csv", sample("nyiso", DA_FILE)
    assert candidates(name, data) == [RTH]
    with pytest.raises(PayloadRefused, match=f"prices of {RTH}"):
        parse(DA, data, name)
    frame = observed(RTH, data, name).frame
    assert frame["market_run"].unique().to_list() == ["RT_HOURLY"]
    assert frame.select((pl.col("interval_end") - pl.col("interval_start")).unique()).item() == timedelta(hours=1)
    assert instants(frame, "interval_start") == ["04:00:00", "05:00:00", "06:00:00", "07:00:00"]


def test_an_hourly_file_of_a_lost_name_may_be_of_two_feeds() -> None:
    for name in ("renamed.csv", "prices.csv", "payload"):
        assert candidates(name, sample("nyiso", DA_FILE)) == [DA, RTH]
    with pytest.raises(PayloadRefused, match=f"{DA}, {RTH}; name one with --feed"):
        choose("renamed.csv", sample("nyiso", DA_FILE), None)
    assert choose("renamed.csv", sample("nyiso", DA_FILE), RTH).topic == RTH
    assert parse(DA, sample("nyiso", DA_FILE), "renamed.csv").rejects.is_empty(), "the feed that was named takes it"


def test_what_a_file_says_in_its_stamps_weighs_more_than_its_name() -> None:
    assert candidates("20251102damlbmp_zone.csv", sample("nyiso", RT_FILE)) == [RT]
    single = real_time(["10:00:00"])
    assert candidates("realtime_zone_lbmp.csv", single) == candidates("payload.csv", single) == [RT]


def real_time(clocks: list[str], places: tuple[str, ...] = ("CAPITL", "WEST"), day: str = "07/01/2025") -> bytes:
    """A real-time file with these stamps, a price for every place and stamp."""
    lines = ["Time Stamp,Name,PTID,LBMP ($/MWHr),Marginal Cost Losses ($/MWHr),Marginal Cost Congestion ($/MWHr)"]
    ptids = {"CAPITL": 61757, "WEST": 61752, "NORTH": 61755}
    for number, clock in enumerate(clocks):
        lines += [f"{day} {clock},{place},{ptids[place]},{20 + number}.00,1.00,0.00" for place in places]
    return ("\n".join(lines) + "\n").encode()


def runs_of(data: bytes, name: str = "20250701realtime_zone.csv") -> dict[str, str]:
    """Run by the local clock of the interval's end."""
    frame = observed(RT, data, name).frame.with_columns(pl.col("interval_end").dt.convert_time_zone("America/New_York"))
    assert frame.group_by("interval_end").agg(pl.col("market_run").n_unique())["market_run"].max() == 1
    return dict(
        frame.sort("interval_end").select(pl.col("interval_end").dt.strftime("%H:%M:%S"), "market_run").iter_rows()
    )


DISPATCHED = ["10:00:00", "10:05:00", "10:10:00", "10:15:00", "10:20:00"]


def test_rows_of_the_look_ahead_are_fifteen_minute_prices_of_their_own_run() -> None:
    ahead = ["10:30:00", "10:45:00", "11:00:00"]
    data = real_time([*DISPATCHED, *ahead])
    assert runs_of(data) == dict.fromkeys(DISPATCHED, "RTD") | dict.fromkeys(ahead, "RTC")
    frame = observed(RT, data, "20250701realtime_zone.csv").frame
    length = frame.with_columns((pl.col("interval_end") - pl.col("interval_start")).alias("length"))
    lengths = dict(length.select("market_run", "length").unique().iter_rows())
    assert lengths == {"RTD": timedelta(minutes=5), "RTC": timedelta(minutes=15)}
    assert frame.filter(pl.col("flags") & Flag.OFF_GRID.value != 0).is_empty()


@pytest.mark.parametrize(
    ("clocks", "ahead"),
    [
        ([*DISPATCHED, "10:25:00", "10:30:00", "10:45:00", "11:00:00"], 2),  # dispatch ends at a quarter hour
        ([*DISPATCHED, "10:25:00", "10:30:00"], 0),
        (["00:05:00", "00:15:00", "00:30:00"], 2),  # one dispatch row
        (["00:15:00", "00:30:00", "00:45:00"], 3),  # the day has none yet
        (["10:15:00"], 0),
        ([*DISPATCHED, "10:22:48", "10:30:00", "10:45:00"], 2),  # a run off the grid is dispatch
        (["01:50:00", "01:57:48", "02:00:00", "02:05:00"], 0),
        (["10:00:00", "10:05:00", "10:15:00", "10:20:00"], 0),  # a missing dispatch row is no look ahead
        (["10:05:00", "10:10:00", "10:30:00", "10:45:00"], 2),
        ([*DISPATCHED, "10:32:00"], 0),
    ],
)
def test_spacing_and_place_behind_the_last_dispatch_row_tell_the_look_ahead(clocks: list[str], ahead: int) -> None:
    told = list(runs_of(real_time(clocks)).values())
    assert told == ["RTD"] * (len(clocks) - ahead) + ["RTC"] * ahead


def test_the_look_ahead_is_told_for_every_place_alike_and_whatever_the_order_of_rows() -> None:
    data = real_time([*DISPATCHED, "10:30:00", "10:45:00"], ("CAPITL", "WEST", "NORTH"))
    whole = runs_of(data)
    lines = data.decode().splitlines()
    # One place lacks the last dispatch rows; it has no run of its own for that.
    fewer = [line for line in lines if not ("WEST" in line and ("10:20" in line or "10:15" in line))]
    assert runs_of("\n".join(fewer).encode()) == whole
    turned = [lines[0], *reversed(lines[1:])]
    assert runs_of("\n".join(turned).encode()) == whole


def test_the_look_ahead_crosses_the_night_the_clock_goes_back() -> None:
    first = ["00:55:00", "01:00:00", "01:05:00"]
    data = real_time([*first, "01:15:00", "01:30:00", "01:45:00", "01:00:00", "01:15:00"], day="11/02/2025")
    frame = observed(RT, data, "20251102realtime_zone.csv").frame.filter(pl.col("location") == "WEST")
    assert frame["market_run"].to_list() == ["RTD"] * 3 + ["RTC"] * 5
    assert frame["interval_end"].is_sorted() and frame["interval_end"][-1] == datetime(2025, 11, 2, 6, 15, tzinfo=UTC)
    second = [
        *first,
        *(f"01:{minute:02}:00" for minute in range(10, 60, 5)),
        "01:00:00",
        "01:05:00",
        "01:15:00",
        "01:30:00",
    ]
    frame = observed(RT, real_time(second, day="11/02/2025"), "20251102realtime_zone.csv").frame
    assert frame["market_run"].to_list()[-4:] == ["RTC"] * 4 and frame["market_run"].to_list()[:-4] == ["RTD"] * 30


def test_a_report_that_names_dispatch_in_its_column_has_no_look_ahead() -> None:
    head = "RTD End Time Stamp,RTD End Time Stamp Time Zone,Zone Name,Zone PTID,RTD Zonal LBMP,RTD Zonal Losses,"
    lines = [head + "RTD Zonal Congestion"]
    lines += [f"07/01/2025 {clock},EDT,WEST,61752,20,1,0" for clock in ("10:15:00", "10:30:00", "10:45:00")]
    assert parse(RT, "\n".join(lines).encode(), "export.csv").frame.get_column("market_run", default=None) is None


@pytest.mark.slow
@pytest.mark.parametrize(("topic", "name"), OURS)
def test_damaged_bytes_never_raise_anything_else(topic: str, name: str) -> None:
    assert_survives("nyiso", topic, name, NUMBERS)


def test_recognise() -> None:
    for topic, name in OURS:
        assert candidates(name, sample("nyiso", name)) == [topic]
        assert candidates("renamed.csv", sample("nyiso", name)) == ([DA, RTH] if name == DA_FILE else [topic])
    for topic, path in ((DA, TWO_ZONES), (RT, WINDOW), (DA, SUMMER), (RT, LMP)):
        if (RECORDED / path).is_file():
            assert candidates(*recorded(path)) == [topic]


def test_files_of_others_are_not_ours() -> None:
    for provider in sorted({found.stream.provider.id for found in feeds().values()} - {"nyiso"}):
        for name in samples(provider):
            found = candidates(name, sample(provider, name))
            assert not [topic for topic in found if topic.endswith(".nyiso")], name


@pytest.mark.parametrize(("day", "hours"), [(date(2025, 3, 9), 23), (date(2025, 7, 1), 24), (date(2025, 11, 2), 25)])
def test_requests_are_one_file_a_market_day(day: date, hours: int) -> None:
    start, end = market_day_span(day, "America/New_York")
    assert end - start == timedelta(hours=hours)
    (ahead,), (live,) = feed(DA).requests(start, end), feed(RT).requests(end - timedelta(minutes=5), end)
    assert ahead.path == f"/public/csv/damlbmp/{day:%Y%m%d}damlbmp_zone.csv"
    assert live.path == f"/public/csv/realtime/{day:%Y%m%d}realtime_zone.csv"
    assert (ahead.subject, live.name) == (f"{day} zone", f"{day:%Y%m%d}realtime_zone.csv")


def test_generators_are_in_a_file_of_their_own() -> None:
    span = market_day_span(date(2025, 7, 1), "America/New_York")
    asked = {
        places: [each.name[8:] for each in feed(DA).requests(*span, places)] for places in ((), ("61752",), ("1",))
    }
    assert asked == {(): ["damlbmp_zone.csv"], ("61752",): ["damlbmp_zone.csv"], ("1",): ["damlbmp_gen.csv"]}
    both = [each.name[8:] for each in feed(DA).requests(*span, ("WEST", "23999"))]
    assert both == ["damlbmp_zone.csv", "damlbmp_gen.csv"]


def test_history_comes_from_the_monthly_archive() -> None:
    stream = replace(feed(RT).stream, options={"report": "realtime", "archive": "monthly"})
    start, end = datetime(2024, 1, 31, 5, tzinfo=UTC), datetime(2024, 2, 3, 5, tzinfo=UTC)
    asked = [(each.path, each.subject) for each in requests(stream, start, end)]
    assert asked == [
        ("/public/csv/realtime/20240101realtime_zone_csv.zip", "2024-01 zone"),
        ("/public/csv/realtime/20240201realtime_zone_csv.zip", "2024-02 zone"),
    ]
