"""A set of rows is one statement: whatever the order of rows, and however they are cut into payloads, the table is one.

Every feed has a case; samples and recorded answers are shuffled and cut by seeded dice. Where only the order of rows
says something, the card says so, and the repeated hour of such files is left alone.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import orjson
import polars as pl
import pytest
from payloads import observed, recorded, sample

from carbon254.feeds.catalogue import feed, feeds

ROUNDS = 6
Groups = list[list[bytes]]


@dataclass(frozen=True)
class Layout:
    """A payload as a head, groups of rows that belong together, and how to write any of them again."""

    head: bytes
    groups: Groups
    write: Callable[[bytes, Sequence[bytes]], bytes]

    def payload(self, groups: Groups) -> bytes:
        return self.write(self.head, [row for group in groups for row in group])


def lines(data: bytes, skip: int = 1, together: Callable[[bytes], object] | None = None) -> Layout:
    """Lines of text after `skip` lines; those for which `together` gives one value stay in one payload."""
    text = data.replace(b"\r\n", b"\n").rstrip(b"\n").split(b"\n")
    found: dict[object, list[bytes]] = {}
    for number, line in enumerate(text[skip:]):
        found.setdefault(together(line) if together else number, []).append(line)
    head = b"".join(line + b"\n" for line in text[:skip])
    return Layout(head, list(found.values()), lambda head, rows: head + b"".join(row + b"\n" for row in rows))


def items(data: bytes, *path: str) -> Layout:
    """Items of the list at `path` of a JSON document."""
    document = orjson.loads(data)
    listed = document
    for key in path:
        listed = listed[key]
    rows = [[orjson.dumps(item)] for item in listed]

    def write(head: bytes, rows: Sequence[bytes]) -> bytes:
        whole = orjson.loads(head)
        place = whole
        for key in path[:-1]:
            place = place[key]
        made = [orjson.loads(row) for row in rows]
        if not path:
            return orjson.dumps(made)
        place[path[-1]] = made
        return orjson.dumps(whole)

    return Layout(orjson.dumps(document), rows, write)


def xml(data: bytes) -> Layout:
    """REPORT_DATA elements of an OASIS document, those of one interval together."""
    head, first, rest = (
        data.partition(b"<REPORT_DATA>") if b"<REPORT_DATA>" in data else data.partition(b"<m:REPORT_DATA>")
    )
    close = first.replace(b"<", b"</")
    body, _, tail = rest.rpartition(close)
    rows = [first + part + close for part in body.replace(b"\n", b"").split(close + first)]
    rows = [first + row.split(first)[-1] for row in rows]
    found: dict[bytes, list[bytes]] = {}
    for row in rows:
        found.setdefault(row[row.find(b"INTERVAL_START_GMT") :][:60], []).append(row)
    return Layout(head + b"\0" + tail, list(found.values()), lambda head, rows: head.replace(b"\0", b"".join(rows)))


def cell(*numbers: int) -> Callable[[bytes], object]:
    return lambda line: tuple(line.split(b",")[number] for number in numbers)


@dataclass(frozen=True)
class Case:
    topic: str
    provider: str
    name: str
    layout: Callable[[bytes], Layout]
    recorded: bool = False
    cut: bool = True
    called: str = ""
    made: bytes = b""

    def data(self) -> bytes:
        if self.made:
            return self.made
        return recorded(f"{self.provider}/{self.name}")[1] if self.recorded else sample(self.provider, self.name)


def nyiso(data: bytes) -> Layout:
    """Day files: after the header, perhaps behind an empty line, less the hour that only order tells."""
    text = data.replace(b"\r\n", b"\n").lstrip(b"\n")
    stays = [line for line in text.split(b"\n") if b"11/02/2025 01:" not in line]
    return lines(b"\n".join(stays), 1)


PART_DAY = (
    b"Time Stamp,Name,PTID,LBMP ($/MWHr),Marginal Cost Losses ($/MWHr),Marginal Cost Congestion ($/MWHr)\n"
    + b"".join(
        f"07/01/2025 {clock}:00,{place},{20 + minute}.00,1.00,0.00\n".encode()
        for minute, clock in enumerate(("10:10", "10:15", "10:20", "10:30", "10:45", "11:00"))
        for place in ("CAPITL,61757", "WEST,61752")
    )
)


CASES = [
    Case("iso.da.lmp.ercot", "ercot", "dam_stlmnt_pnt_prices_2026-11-01.json", lambda data: items(data, "data")),
    Case("iso.da.lmp.ercot", "ercot", "ercot_np4-190-cd_dam_spp_20251102_api.json",
         lambda data: items(data, "data"), recorded=True),
    Case("iso.rt.lmp.ercot", "ercot",
         "cdr.00012301.0000000000000000.20261101.021701001.SPPHLZNP6905_20261101_0215.csv", lines),
    # Hours numbered 1 to 25 are told by the hour 25: such a file is read whole.
    Case("iso.da.lmp.ercot", "ercot", "cdr.00012331.0000000000000000.20261031.123222001.DAMSPNP4190.csv", lines,
         cut=False),
    Case("iso.da.lmp.caiso", "caiso", "20251102_20251102_PRC_LMP_DAM_20251101_20_04_11_v12.csv",
         lambda data: lines(data, 1, cell(0))),
    Case("iso.rt.lmp.caiso", "caiso", "20250701_20250701_PRC_INTVL_LMP_RTM_20250701_01_02_03_v3.csv", lines, cut=False),
    Case("iso.hasp.lmp.caiso", "caiso", "20250701_20250701_PRC_RTPD_LMP_RTPD_20250701_01_02_03_v3.csv", lines,
         cut=False),
    Case("iso.hasp.lmp.caiso", "caiso", "20250701_20250701_PRC_HASP_LMP_HASP_20250701_01_02_03_v3.xml", xml, cut=False),
    Case("iso.da.lmp.miso", "miso", "20251102_da_expost_lmp.csv", lambda data: miso(data)),
    Case("iso.rth.lmp.miso", "miso", "20250701_rt_lmp_final.csv", lambda data: miso(data)),
    Case("iso.rt.lmp.miso", "miso", "five_min_ex_post_rolling.json", lambda data: items(data, "data")),
    Case("iso.rt.lmp.miso", "miso", "lmp_consolidated_20250702T0000Z.json",
         lambda data: items(data, "LMPData", "FiveMinLMP", "PricingNode")),
    Case("iso.rt.lmp.pjm", "pjm", "rt_hrl_lmps_20251102.csv", lines),
    Case("iso.rt5.lmp.pjm", "pjm", "rt_fivemin_hrl_lmps_20260601.csv", lines, cut=False),
    Case("iso.da.lmp.pjm", "pjm", "da_hrl_lmps_20260308.json", lambda data: items(data, "items")),
    Case("iso.rt.lmp.pjm", "pjm", "rt_hrl_lmps_PJM-RTO_2024H1.csv", lines, recorded=True),
    Case("iso.da.lmp.spp", "spp", "DA-LMP-SL-202511020100.csv", lines),
    Case("iso.rt.lmp.spp", "spp", "RTBM-LMP-SL-202604121205.csv", lines),
    Case("iso.da.lmp.spp", "spp", "DA-LMP-SL-202511020100_hubs.csv", lines, recorded=True),
    Case("iso.da.lmp.isone", "isone", "da_hourlylmp_20261101.json",
         lambda data: items(data, "HourlyLmps", "HourlyLmp")),
    Case("iso.rt.lmp.isone", "isone", "da_hourlylmp_20261101.json",
         lambda data: items(data, "HourlyLmps", "HourlyLmp"), called="rt_hourlylmp_final_20261101.json"),
    Case("iso.rt.lmp.isone", "isone", "fiveminutelmp.json",
         lambda data: items(data, "FiveMinLmps", "FiveMinLmp"),
         made=sample("isone", "da_hourlylmp_20261101.json").replace(b"HourlyLmp", b"FiveMinLmp")),
    Case("iso.da.lmp.nyiso", "nyiso", "20251102damlbmp_zone.csv", nyiso),
    Case("iso.rth.lmp.nyiso", "nyiso", "20251102damlbmp_zone.csv", nyiso, called="20251102rtlbmp_zone.csv"),
    # The look ahead is told from the dispatch rows before it: a real-time file is read whole.
    Case("iso.rt.lmp.nyiso", "nyiso", "20251102realtime_zone.csv", nyiso, cut=False),
    Case("iso.rt.lmp.nyiso", "nyiso", "20250701realtime_zone.csv", nyiso, cut=False, made=PART_DAY),
    Case("iso.da.lmp.nyiso", "nyiso", "OASIS_Day_Ahead_Market_Zonal_LBMP.csv", lines),
    Case("energy.spot.eia", "eia", "eia_petroleum_pri_spt_2026-06-01_2026-06-03.json",
         lambda data: items(data, "response", "data")),
    Case("weather.forecast.nws", "nws", "nws_OKX-33-35_hourly.json", lambda data: items(data, "properties", "periods")),
    Case("weather.forecast.nws", "nws", "nws_LOX-154-44_grid.json",
         lambda data: items(data, "properties", "temperature", "values"), cut=False),
    Case("market.ticks", "ticks", "ticks.ndjson", lambda data: lines(data, 0)),
]  # fmt: skip


def miso(data: bytes) -> Layout:
    """The wide report: lines of a node stay together."""
    text = data.replace(b"\r\n", b"\n").split(b"\n")
    skip = next(number for number, line in enumerate(text) if line.startswith(b"Node,")) + 1
    return lines(data, skip, cell(0))


def table(case: Case, payloads: Sequence[bytes]) -> str:
    """A hash of all rows the payloads give, in the order of their own values."""
    name = case.called or case.name
    found = [observed(case.topic, data, name) for data in payloads]
    assert not any(one.rejects.height for one in found)
    frame = pl.concat([one.frame.drop("line", "position", strict=False) for one in found], how="diagonal_relaxed")
    names = sorted(frame.columns)
    text = frame.select(pl.col(names).cast(pl.String)).sort(names, nulls_last=True).write_csv()
    return hashlib.sha256(text.encode()).hexdigest()


def test_every_feed_has_a_case() -> None:
    assert {case.topic for case in CASES} == set(feeds())


@pytest.mark.sampled(17)
@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.topic}-{case.name[:40]}")
def test_the_table_depends_on_no_order_of_rows(case: Case) -> None:
    layout = case.layout(case.data())
    rows = [[row] for group in layout.groups for row in group]
    assert len(rows) > 1
    whole = table(case, [layout.payload(rows)])
    for seed in range(ROUNDS):
        mixed = rows[:]
        random.Random(seed).shuffle(mixed)
        assert table(case, [layout.payload(mixed)]) == whole, f"seed {seed}"
    assert table(case, [layout.payload(rows[::-1])]) == whole


@pytest.mark.sampled(5)
@pytest.mark.parametrize(
    "case", [case for case in CASES if case.cut], ids=lambda case: f"{case.topic}-{case.name[:40]}"
)
def test_the_table_depends_on_no_size_of_pages(case: Case) -> None:
    layout = case.layout(case.data())
    whole = table(case, [layout.payload(layout.groups)])
    for seed in range(ROUNDS):
        dice = random.Random(seed)
        groups = layout.groups[:]
        dice.shuffle(groups)
        size = dice.randint(1, max(1, len(groups) // 2))
        pages = [layout.payload(groups[at : at + size]) for at in range(0, len(groups), size)][:200]
        if len(pages) * size < len(groups):
            continue
        dice.shuffle(pages)
        assert table(case, pages) == whole, f"seed {seed}: pages of {size}"


def test_only_cards_that_say_so_depend_on_the_order_of_rows() -> None:
    assert {topic for topic in feeds() if feed(topic).stream.repeat == "row_order"} == {
        "iso.da.lmp.nyiso", "iso.rt.lmp.nyiso", "iso.rth.lmp.nyiso",
    }  # fmt: skip
