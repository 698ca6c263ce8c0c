"""The same rows in another spelling are the same rows, at every provider of CSV; what is ambiguous is refused."""

from __future__ import annotations

import random
from dataclasses import dataclass

import polars as pl
import pytest
from payloads import parse, sample
from spellings import isostamped, restamped, rewritten

from carbon254.errors import PayloadRefused
from carbon254.feeds import candidates


@dataclass(frozen=True)
class Case:
    """A sample: its provider, name and topic, and how many lines precede its header."""

    provider: str
    name: str
    topic: str
    skip: int = 0

    @property
    def data(self) -> bytes:
        return sample(self.provider, self.name)


CASES = [
    Case("spp", "DA-LMP-SL-202511020100.csv", "iso.da.lmp.spp"),
    Case("spp", "RTBM-LMP-SL-202604121205.csv", "iso.rt.lmp.spp"),
    Case("pjm", "rt_hrl_lmps_20251102.csv", "iso.rt.lmp.pjm"),
    Case("pjm", "rt_fivemin_hrl_lmps_20260601.csv", "iso.rt5.lmp.pjm"),
    Case("miso", "20251102_da_expost_lmp.csv", "iso.da.lmp.miso", 4),
    Case("nyiso", "20251102damlbmp_zone.csv", "iso.da.lmp.nyiso"),
    Case("nyiso", "20251102realtime_zone.csv", "iso.rt.lmp.nyiso"),
    Case("nyiso", "OASIS_Day_Ahead_Market_Zonal_LBMP.csv", "iso.da.lmp.nyiso"),
    Case(
        "ercot", "cdr.00012301.0000000000000000.20261101.021701001.SPPHLZNP6905_20261101_0215.csv", "iso.rt.lmp.ercot"
    ),
    Case("ercot", "cdr.00012331.0000000000000000.20261031.123222001.DAMSPNP4190.csv", "iso.da.lmp.ercot"),
    Case("caiso", "20251102_20251102_PRC_LMP_DAM_20251101_20_04_11_v12.csv", "iso.da.lmp.caiso"),
]


def rows(case: Case, data: bytes) -> pl.DataFrame:
    found = parse(case.topic, data, case.name)
    assert found.rejects.is_empty(), found.rejects.to_dicts()[:3]
    return found.frame.select(sorted(set(found.frame.columns) - {"line"}))


@pytest.mark.sampled(1)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_rows_do_not_depend_on_how_a_file_is_spelt(case: Case) -> None:
    expected = rows(case, case.data)
    assert expected.height
    for seed in range(25):
        dice = random.Random(seed)
        stamp = isostamped if case.provider == "caiso" else restamped
        data = rewritten(case.data, dice, case.skip, stamp)
        assert rows(case, data).equals(expected), (seed, data[:300])
        assert case.topic in candidates(case.name, data), (seed, data[:300])


def test_headers_and_stamps_of_real_files_that_were_lost() -> None:
    spp = (
        b"INTERVAL,GMTINTERVALEND,BAA,SETTLEMENT_LOCATION,PNODE,LMP,MLC,MCC,MEC\n"
        b"4/1/2026 1:00,4/1/2026 6:00,SPP,A_HUB,A,1.5,0.5,0,1\n06/01/2026 01:00,06/01/2026 06:00,SPP,B_HUB,B,2,0,1,1\n"
    )
    found = parse("iso.da.lmp.spp", spp)
    assert found.rejects.is_empty()
    assert found.frame["interval_end"].dt.strftime("%m-%d %H:%M").to_list() == ["04-01 06:00", "06-01 06:00"]
    assert set(candidates("lmp.csv", spp)) == {"iso.da.lmp.spp", "iso.rt.lmp.spp"}
    header, _, rest = sample("pjm", "rt_hrl_lmps_20251102.csv").partition(b"\n")
    expected = parse("iso.rt.lmp.pjm", header + b"\n" + rest).frame
    assert parse("iso.rt.lmp.pjm", header.upper() + b"\n" + rest).frame.equals(expected)
    miso = sample("miso", "20251102_da_expost_lmp.csv")
    told = miso.replace(b"Node,Type,Value", b"NODE,TYPE,VALUE").replace(b"HE ", b"HE")
    assert parse("iso.da.lmp.miso", told).frame.equals(parse("iso.da.lmp.miso", miso).frame)


@pytest.mark.parametrize("stamp", ["31/12/2025 06:00", "2/30/2026 06:00", "4/1/2026", "4/1/2026 13:00 PM", "45748.25"])
def test_a_stamp_that_the_order_of_the_provider_cannot_mean_is_a_reject(stamp: str) -> None:
    head = b"Interval,GMTIntervalEnd,Settlement Location,Pnode,LMP,MLC,MCC,MEC\n"
    line = f"x,{stamp},A_HUB,A,1,0,0,1".encode()
    found = parse("iso.da.lmp.spp", head + line + b"\nx,4/1/2026 6:00,B_HUB,B,1,0,0,1\n")
    assert found.frame["location"].to_list() == ["B_HUB"]
    assert found.rejects.rows() == [(2, found.rejects["reason"][0], line.decode())]
    assert "month/day/year" in found.rejects["reason"][0]


@pytest.mark.parametrize(
    ("cell", "price"),
    [
        ('" 23.94"', 23.94), (" 23.94 ", 23.94), ('"1,234.50"', 1234.5), ('"-1,234.50"', -1234.5), ("+5", 5.0),
        ('"12,345,678"', 12_345_678.0), ("1e3", 1000.0), ("", None),
        ('"1,234"', "bad"), ('"23,94"', "bad"), ('"1.234,50"', "bad"), ("$5", "bad"), ("(5)", "bad"), ("1 234", "bad"),
        ("--", "bad"), ("1_000", "bad"), ("0x10", "bad"),
    ],
)  # fmt: skip
def test_a_number_is_read_rightly_or_rejected_and_never_read_wrongly(cell: str, price: float | str | None) -> None:
    head = "Interval,GMTIntervalEnd,Settlement Location,Pnode,LMP,MLC,MCC,MEC\n"
    data = f"{head}x,4/1/2026 6:00,A,A,{cell},0,0,1\nx,4/1/2026 6:00,B,B,1,0,0,1\n".encode()
    found = parse("iso.da.lmp.spp", data)
    assert found.frame.filter(location="A")["lmp"].to_list() == ([] if price == "bad" else [price])
    assert found.frame.filter(location="B").height == 1
    assert found.rejects["line"].to_list() == ([2] if price == "bad" else [])


@pytest.mark.parametrize(("mark", "said"), [(b";", "semicolons"), (b"\t", "tabs"), (b"|", "bars")])
def test_other_separators_are_refused_by_name(mark: bytes, said: str) -> None:
    data = sample("spp", "DA-LMP-SL-202511020100.csv").replace(b",", mark)
    for copy in (data, b"sep=" + mark + b"\n" + data):
        with pytest.raises(PayloadRefused, match=f"parted by {said}; export it with commas"):
            parse("iso.da.lmp.spp", copy)


def test_a_column_that_comes_twice_in_two_spellings_is_refused() -> None:
    data = sample("spp", "DA-LMP-SL-202511020100.csv").replace(b"Pnode", b"lmp ", 1)
    with pytest.raises(PayloadRefused, match="comes twice"):
        parse("iso.da.lmp.spp", data)


def test_a_short_and_a_long_line_do_not_make_up_for_each_other() -> None:
    head = b"Interval,GMTIntervalEnd,Settlement Location,Pnode,LMP,MLC,MCC,MEC\n"
    lines = [b"x,4/1/2026 6:00,A,A,1,0,0,1", b"x,4/1/2026 6:00,B,B,1,0,0", b"x,4/1/2026 6:00,C,C,1,0,0,1,7"]
    assert parse("iso.da.lmp.spp", head + b"\n".join(lines)).rejects["line"].to_list() == [3, 4]
    quoted = [b'x,4/1/2026 6:00,"A,B",A,1,0,0', b"x,4/1/2026 6:00,C,C,1,0,0,1"]
    assert parse("iso.da.lmp.spp", head + b"\n".join(quoted)).rejects["line"].to_list() == [2]


def test_a_file_of_nothing_but_bad_lines_is_refused_whole_rather_than_line_by_line() -> None:
    head = b"Interval,GMTIntervalEnd,Settlement Location,Pnode,LMP,MLC,MCC,MEC\n"
    for line in (b"x\n", b"x,yesterday,A,A,1,0,0,1\n", b"x,4/1/2026 6:00,A,A,one,0,0,1\n"):
        with pytest.raises(PayloadRefused, match=r"most of its (lines|rows) cannot be read; line 2"):
            parse("iso.da.lmp.spp", head + line * 10_001)
