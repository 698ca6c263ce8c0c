"""`feeds parse`: a file's normalised rows without a workspace, for every market and every form."""

# ruff: noqa: E501
from __future__ import annotations

import io
import json
from pathlib import Path

import polars as pl
import pytest
from shell import RT, c254, clean, piped, sample, samples, spp_file, typed

from carbon254.feeds import feed

HEADER = (
    "market,market_run,location,interval_start,interval_end,lmp,energy,congestion,loss,ghg,known_at,flags,"
    "location_id,revision"
)
# Provider, start of the sample's name, and its first row: one golden line a market.
GOLDEN = [
    ("caiso", "20250701_20250701_PRC_INTVL", "CAISO,RTM,TH_SP15_GEN-APND,2025-07-01T07:00:00Z,2025-07-01T07:05:00Z,42.375,31.5,-1.25,2.0,10.125,,0,TH_SP15_GEN-APND,0"),
    ("miso", "20251102_da_expost", "MISO,DA_EXPOST,MINN.HUB,2025-11-02T05:00:00Z,2025-11-02T06:00:00Z,18.9,19.42,-0.37,-0.15,,,8,MINN.HUB,0"),
    ("spp", "RTBM-LMP-SL-202604121205", "SPP,RTBM,SPPNORTH_HUB,2026-04-12T17:00:00Z,2026-04-12T17:05:00Z,2250.125,210.0,2000.0,40.125,,,0,SPPNORTH_HUB,0"),
    ("nyiso", "20251102damlbmp", "NYISO,DAM,CAPITL,2025-11-02T04:00:00Z,2025-11-02T05:00:00Z,30.0,30.0,0.0,0.0,,,8,61757,0"),
    ("pjm", "rt_hrl_lmps_20251102", "PJM,RT,WESTERN HUB,2025-11-02T04:00:00Z,2025-11-02T05:00:00Z,25.001234,24.13,0.75,0.121234,,,0,51288,1"),
    ("ercot", "cdr.00012301", "ERCOT,RTM,HB_NORTH,2026-11-01T05:45:00Z,2026-11-01T06:00:00Z,23.94,,,,,,0,HB_NORTH,0"),
    ("isone", "da_hourlylmp_20261101", "ISONE,DAM,.H.INTERNAL_HUB,2026-11-01T05:00:00Z,2026-11-01T06:00:00Z,26.0,25.5,0.0,0.5,,,0,4000,0"),
]  # fmt: skip
MARKETS = [case[0] for case in GOLDEN]
# What every sample is recognised as, by the market run of its first row.
RUN_TOPIC = {
    "RTM": "iso.rt", "HASP": "iso.hasp", "RTBM": "iso.rt", "RTD": "iso.rt", "RT": "iso.rt", "RT_HOURLY": "iso.rt",
    "RT_5MIN": "iso.rt", "RT_5MIN_EXPOST": "iso.rt", "RT_FINAL": "iso.rth", "RT5": "iso.rt5", "DAM": "iso.da",
    "DA_EXPOST": "iso.da", "DA_EXANTE": "iso.da",
}  # fmt: skip
UNRECOGNISED = ("20250701_20250701_PRC_RTPD", "RTBM-LMP-SL-202604121210")


def golden(provider: str) -> Path:
    return sample(provider, next(start for name, start, _ in GOLDEN if name == provider))


def frame(text: str) -> pl.DataFrame:
    return pl.read_csv(io.StringIO(text), infer_schema=False)


@pytest.mark.sampled(1)
@pytest.mark.parametrize(("provider", "start", "line"), GOLDEN, ids=MARKETS)
def test_header_and_golden_line(provider: str, start: str, line: str) -> None:
    said = c254("feeds", "parse", sample(provider, start))
    assert (said.code, said.err) == (0, "")
    assert said.out.splitlines()[:2] == [HEADER, line]


@pytest.mark.sampled(5)
@pytest.mark.parametrize("provider", MARKETS)
def test_json_tells_what_csv_tells(provider: str) -> None:
    plain, lines = (
        typed("feeds", "parse", golden(provider)),
        typed("feeds", "parse", golden(provider), "--format", "json"),
    )
    assert plain.code == lines.code == 0
    told = [json.loads(line) for line in lines.out.splitlines()]
    assert list(told[0]) == HEADER.split(",")
    texts = [{name: None if value is None else str(value) for name, value in row.items()} for row in told]
    assert texts == frame(plain.out).to_dicts()
    assert all(isinstance(row["lmp"], float | None) and isinstance(row["flags"], int) for row in told)


@pytest.mark.slow
def test_arrow_tells_what_csv_tells_for_all_markets_in_one_stream() -> None:
    files = [str(golden(provider)) for provider in MARKETS]
    table = pl.read_ipc_stream(piped("feeds", "parse", *files, "--format", "arrow").stdout)
    plain = frame(typed("feeds", "parse", *files).out)
    assert table.columns == plain.columns and table.height == plain.height > 50
    stamps = {name: pl.col(name).dt.strftime("%Y-%m-%dT%H:%M:%SZ") for name in ("interval_start", "interval_end")}
    assert table.select("market", "location", **stamps).equals(plain.select("market", "location", *stamps))
    numbers = ("lmp", "energy", "congestion", "loss", "ghg")
    assert table.select(numbers).equals(plain.select(pl.col(numbers).cast(pl.Float64)))
    assert table["flags"].cast(pl.Int64).to_list() == plain["flags"].cast(pl.Int64).to_list()


def test_the_market_clock_shows_the_repeated_hour_apart() -> None:
    said = typed("feeds", "parse", sample("spp", "DA-LMP"), "--tz", "market")
    starts = frame(said.out).unique("interval_start", maintain_order=True)["interval_start"].to_list()
    assert starts[:3] == ["2025-11-02T00:00:00-05:00", "2025-11-02T01:00:00-05:00", "2025-11-02T01:00:00-06:00"]


def test_each_file_is_told_in_the_clock_of_its_own_market() -> None:
    said = typed("feeds", "parse", golden("pjm"), golden("caiso"), golden("miso"), "--tz", "market")
    first = frame(said.out).unique("market", keep="first", maintain_order=True)
    assert first["interval_start"].to_list() == [
        "2025-11-02T00:00:00-04:00",
        "2025-07-01T00:00:00-07:00",
        "2025-11-02T00:00:00-05:00",
    ]


def test_a_zone_by_name() -> None:
    said = typed("feeds", "parse", golden("isone"), "--tz", "Asia/Kolkata")
    assert frame(said.out)["interval_start"][0] == "2026-11-01T10:30:00+05:30"
    clean(typed("feeds", "parse", golden("isone"), "--tz", "Mars/Olympus"), 2, "no time zone")


@pytest.mark.sampled(1)
@pytest.mark.parametrize("provider", MARKETS)
def test_every_sample_is_recognised_without_being_named(provider: str) -> None:
    for path in samples(provider):
        if path.name.startswith(UNRECOGNISED):
            continue
        said = typed("feeds", "parse", path)
        assert (said.code, said.err) == (0, ""), (path.name, said.err)
        found = frame(said.out)
        run = found["market_run"][0]
        named = typed("feeds", "parse", path, "--feed", f"{RUN_TOPIC[run]}.lmp.{provider}")
        assert named.out == said.out
        assert set(found["market"]) == {feed(f"{RUN_TOPIC[run]}.lmp.{provider}").stream.market}


@pytest.mark.parametrize(("provider", "column"), [("eia", "benchmark"), ("nws", "temperature")])
def test_samples_that_are_not_prices_have_the_columns_of_their_dataset(provider: str, column: str) -> None:
    for path in samples(provider):
        said = typed("feeds", "parse", path)
        assert (said.code, said.err) == (0, "")
        assert column in frame(said.out).columns


def test_several_files_come_one_after_another_under_one_header(tmp_path: Path) -> None:
    files = [golden("spp"), golden("nyiso"), spp_file(tmp_path / "RTBM-LMP-SL-202507010705.csv")]
    together = c254("feeds", "parse", *files)
    alone = [typed("feeds", "parse", path).out.splitlines() for path in files]
    assert together.code == 0
    assert together.out.splitlines() == [HEADER, *(line for lines in alone for line in lines[1:])]


def test_files_of_different_datasets_are_not_mixed() -> None:
    for form in ("csv", "json"):
        said = typed("feeds", "parse", golden("spp"), sample("eia", "eia_petroleum"), "--format", form)
        clean(said, 2, "eia_petroleum", "by itself")
        assert "crude_oil" not in said.out


def test_a_bad_row_goes_to_standard_error_and_the_others_are_printed(tmp_path: Path) -> None:
    path = spp_file(tmp_path / "RTBM-LMP-SL-202507010705.csv", bad={3: "n/a", 7: "--"})
    said = c254("feeds", "parse", path)
    assert said.code == 3
    assert frame(said.out)["location"].to_list() == [f"LOC_{i}" for i in range(10) if i not in (3, 7)]
    first, second, counts = said.err.splitlines()
    assert counts == f"{path.name}: 10 records: 8 read, 2 rejected"
    assert first.startswith(f"{path.name}: line 5: LMP: 'n/a' is not a number | 07/01/2025")
    assert second.startswith(f"{path.name}: line 9: LMP: '--' is not a number | 07/01/2025")


def test_a_page_of_an_answer_says_which_and_of_how_much(tmp_path: Path) -> None:
    answer = json.loads(sample("pjm", "da_hrl_lmps_20260308").read_text("utf-8"))
    count = len(answer["items"])
    answer |= {"totalRows": 2 * count, "searchSpecification": {"startRow": 1, "rowCount": count}}
    path = tmp_path / "page.json"
    path.write_text(json.dumps(answer), "utf-8")
    said = typed("feeds", "parse", path)
    assert said.code == 0
    assert f"page.json: {count} records: {count} read; page 1 of 2: {count} of {2 * count} rows" in said.words


def test_a_record_that_a_file_lists_twice_is_told_as_a_duplicate(tmp_path: Path) -> None:
    path = spp_file(tmp_path / "RTBM-LMP-SL-202507010705.csv")
    lines = path.read_text("utf-8").splitlines()
    path.write_text("\n".join([*lines, lines[3]]) + "\n", "utf-8")
    assert f"{path.name}: 11 records: 10 read, 1 duplicate" in typed("feeds", "parse", path).words


def test_a_file_of_two_feeds_lists_them() -> None:
    path = sample("caiso", "20250701_20250701_PRC_RTPD")
    clean(c254("feeds", "parse", path), 2, path.name, "iso.hasp.lmp.caiso", "iso.rt.lmp.caiso", "--feed")
    said = typed("feeds", "parse", path, "--feed", "iso.rt.lmp.caiso")
    assert said.code == 0 and said.out.splitlines()[1].startswith("CAISO,RTPD,TH_ZP26_GEN-APND,2025-07-01T07:00:00Z")


def test_a_file_nobody_knows_says_where_the_feeds_are_listed(tmp_path: Path) -> None:
    path = tmp_path / "letter.txt"
    path.write_text("Dear desk,\nprices rose.\n", "utf-8")
    said = c254("feeds", "parse", path)
    clean(said, 2, "letter.txt: no feed knows this file", "c254 feeds list")
    assert said.out == ""


def test_an_empty_file_and_an_empty_interval(tmp_path: Path) -> None:
    (tmp_path / "nothing.csv").write_bytes(b"")
    clean(c254("feeds", "parse", tmp_path / "nothing.csv"), 2, "nothing.csv")
    clean(typed("feeds", "parse", tmp_path / "nothing.csv", "--feed", RT), 2, "empty")
    clean(typed("feeds", "parse", sample("spp", "RTBM-LMP-SL-202604121210")), 2, "the file is empty")


def test_a_file_of_another_feed_is_not_understood() -> None:
    clean(typed("feeds", "parse", golden("spp"), "--feed", "iso.da.lmp.nyiso"), 2, golden("spp").name)


def test_arguments_that_cannot_be(tmp_path: Path) -> None:
    clean(typed("feeds", "parse", golden("spp"), "--feed", "iso.rt.lmp.xx"), 2, "no feed 'iso.rt.lmp.xx'", RT)
    clean(typed("feeds", "parse", golden("spp"), "--format", "xls"), 2, "csv, json, arrow")
    clean(typed("feeds", "parse", tmp_path), 2, "is a directory")
    clean(typed("feeds", "parse", tmp_path / "gone.csv"), 2, "does not exist")
