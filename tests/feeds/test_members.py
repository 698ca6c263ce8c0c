"""All members of an archive are one statement: their order, their names and a stray file among them change nothing."""

from __future__ import annotations

import io
import itertools
import zipfile
from collections.abc import Mapping

import polars as pl
import pytest
from payloads import recorded, sample

from carbon254.errors import NothingYet, PayloadRefused
from carbon254.feeds import candidates, feed
from carbon254.feeds.contract import Rows

DA_CAISO, RT_CAISO = "iso.da.lmp.caiso", "iso.rt.lmp.caiso"
DAM_FILE = "20251102_20251102_PRC_LMP_DAM_20251101_20_04_11_v12.csv"
RTM_FILE = "20250701_20250701_PRC_INTVL_LMP_RTM_20250701_01_02_03_v3.csv"
INVALID = (
    b'<?xml version="1.0"?><m:OASISReport xmlns:m="http://www.caiso.com/soa/OASISReport_v1.xsd"><m:MessagePayload>'
    b"<m:RTO><m:ERROR><m:ERR_CODE>1001</m:ERR_CODE><m:ERR_DESC>Invalid Parameters</m:ERR_DESC></m:ERROR></m:RTO>"
    b"</m:MessagePayload></m:OASISReport>"
)


def zipped(members: Mapping[str, bytes]) -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in members.items():
            file.writestr(name, content)
    return sink.getvalue()


def read(topic: str, data: bytes, name: str = "payload.zip") -> Rows:
    batches = list(feed(topic).read(name, data))
    frames = [one.frame for one in batches if one.frame.width]
    return Rows(pl.concat(frames), pl.concat([one.rejects for one in batches]))


def by_component() -> dict[str, bytes]:
    """The day-ahead sample, one file a component."""
    head, *lines = sample("caiso", DAM_FILE).splitlines()
    kinds = {
        kind: [line for line in lines if f",{kind},".encode() in line] for kind in ("LMP", "MCC", "MCE", "MCL", "MGHG")
    }
    assert sum(map(len, kinds.values())) == len(lines)
    return {f"20251102_PRC_LMP_DAM_{kind}_v12.csv": b"\n".join([head, *found]) for kind, found in kinds.items()}


def prices(rows: Rows) -> pl.DataFrame:
    return rows.frame.drop("line").sort("location_id", "interval_start")


def test_an_archive_of_one_file_a_component_gives_whole_rows_in_any_order() -> None:
    whole = prices(read(DA_CAISO, sample("caiso", DAM_FILE), DAM_FILE))
    members = by_component()
    for order in itertools.islice(itertools.permutations(members), 0, 120, 7):
        rows = read(DA_CAISO, zipped({name: members[name] for name in order}))
        assert rows.rejects.is_empty()
        assert prices(rows).select(whole.columns).equals(whole)
        assert candidates("x.zip", zipped({name: members[name] for name in order})) == [DA_CAISO]


def test_a_bad_line_of_a_member_is_told_by_its_member_and_line() -> None:
    members = by_component()
    name = next(name for name in members if "MCC" in name)
    lines = members[name].splitlines()
    members[name] = b"\n".join([lines[0], lines[1], lines[2].replace(b",MCC,", b",MXX,"), *lines[3:]])
    rows = read(DA_CAISO, zipped(members))
    assert rows.rejects.height == 1
    assert rows.rejects["reason"][0].startswith(f"{name} line 3: ")
    assert rows.rejects["raw"][0] == lines[2].replace(b",MCC,", b",MXX,").decode()
    assert rows.frame.height == 8


@pytest.mark.parametrize(
    ("stray", "content", "said"),
    [("readme.txt", b"Please read the terms of use.\n", "readme.txt: "), ("INVALID_REQUEST.xml", INVALID, "1001")],
)
def test_a_member_that_does_not_belong_is_named_and_the_rest_goes_on(stray: str, content: bytes, said: str) -> None:
    members = {**by_component(), stray: content}
    rows = read(DA_CAISO, zipped(members))
    assert rows.frame.height == 8 and rows.rejects.height == 1
    assert rows.rejects["line"].to_list() == [None]
    assert stray in rows.rejects["reason"][0] and said in rows.rejects["reason"][0]
    assert candidates("x.zip", zipped(members)) == [DA_CAISO]


def test_the_days_of_a_monthly_archive_are_all_read_and_a_stray_file_is_named() -> None:
    day = sample("nyiso", "20251102damlbmp_zone.csv")
    members = {
        "20251102damlbmp_zone.csv": day,
        "20251103damlbmp_zone.csv": day.replace(b"11/02/2025", b"11/03/2025"),
        "readme.txt": b"see the site\n",
    }
    alone = read("iso.da.lmp.nyiso", day, "20251102damlbmp_zone.csv").frame.height
    rows = read("iso.da.lmp.nyiso", zipped(members))
    assert (rows.frame.height, rows.frame["label"].dt.date().n_unique()) == (2 * alone, 2)
    assert rows.rejects["reason"][0].startswith("readme.txt: ")
    assert candidates("201101damlbmp_zone_csv.zip", zipped(members)) == ["iso.da.lmp.nyiso"]


def test_a_rejected_line_of_one_of_several_files_says_which() -> None:
    good = sample("spp", "DA-LMP-SL-202511020100.csv")
    bad = good.replace(b"11/02/2025 06:00:00", b"yesterday", 1)
    rows = read("iso.da.lmp.spp", zipped({"DA-LMP-SL-1.csv": good, "DA-LMP-SL-2.csv": bad}))
    assert rows.rejects["reason"].to_list() == [
        "DA-LMP-SL-2.csv: GMTIntervalEnd is not a time (month/day/year hour:minute)"
    ]


def test_the_recorded_monthly_archive_is_of_no_price_feed() -> None:
    name, _ = recorded("nyiso/20250201rtfuelmix_csv.zip")
    assert candidates(name, zipped({"20250201rtfuelmix.csv": b"Time Stamp,Time Zone,Fuel Category,Gen MW\n"})) == []


def test_an_archive_of_two_feeds_may_belong_to_either_whatever_comes_first() -> None:
    members = {DAM_FILE: sample("caiso", DAM_FILE), RTM_FILE: sample("caiso", RTM_FILE)}
    for order in (list(members), list(reversed(members))):
        found = candidates("x.zip", zipped({name: members[name] for name in order}))
        assert {DA_CAISO, RT_CAISO} <= set(found)
    rows = read(DA_CAISO, zipped(members))
    assert set(rows.frame["market_run"]) == {"DAM"}
    assert any(RTM_FILE in reason and f"belong to {RT_CAISO}" in reason for reason in rows.rejects["reason"])


def test_an_archive_of_which_nothing_can_be_read_is_refused_once() -> None:
    strays = {"a.txt": b"nothing", "b.txt": b"nothing either"}
    for topic in (DA_CAISO, "iso.da.lmp.spp"):
        with pytest.raises(PayloadRefused, match=r"a\.txt: .*b\.txt: ") as refusal:
            read(topic, zipped(strays))
        assert not isinstance(refusal.value, NothingYet)
    head = sample("caiso", DAM_FILE).splitlines()[0] + b"\n"
    with pytest.raises(NothingYet):
        read(DA_CAISO, zipped({"a.csv": head, "b.csv": head}))
