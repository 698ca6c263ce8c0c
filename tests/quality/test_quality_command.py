"""`c254 quality` as it is typed: on a workspace, on a file, as a page, and when asked for what is not there."""

from __future__ import annotations

import json
import re
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from cli.shell import Said, clean, typed
from quality.days import market_day

TOPIC = "iso.rt.lmp.spp"
DAY = date(2025, 7, 1)


def run(*arguments: str | Path) -> Said:
    return typed("quality", "run", *arguments)


def told(said: Said, code: int = 0) -> dict[str, Any]:
    assert said.code == code, said
    return json.loads(said.out)


def payload(folder: Path, minute: int) -> Path:
    """An SPP file of one five-minute interval."""
    lines = ["Interval,GMTIntervalEnd,Settlement Location,Pnode,LMP,MLC,MCC,MEC"]
    for number in range(4):
        congestion = -5.25 - number - minute
        place = f"LOC_{number},LOC_{number}_P"
        lines.append(
            f"07/01/2025 07:{minute:02d}:00,07/01/2025 12:{minute:02d}:00,{place},{30 + congestion},0,{congestion},30"
        )
    path = folder / f"RTBM-LMP-SL-2025070107{minute:02d}.csv"
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return path


def bring(workspace: Path, *files: Path) -> None:
    named = [argument for path in files for argument in ("--file", path)]
    said = typed("feeds", "run", "--feed", TOPIC, *named, "-w", workspace, "--json")
    assert said.code == 0, said


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("judged")
    bring(folder / "ws", *[payload(folder, minute) for minute in (5, 10, 15)])
    return folder / "ws"


@pytest.mark.slow
def test_a_workspace_is_judged_once_and_read_again_only_where_it_changed(workspace: Path) -> None:
    at = ("--at", "2025-07-01T12:25Z", "--json", "-w", workspace)
    first = told(run(*at, "--again"))
    (day,) = first["feeds"][0]["days"]
    assert (first["score"], day["partition"], day["read"]) == (1.0, "2025-07-01", True)
    assert first["feeds"][0]["services"]["completeness"] == {"value": 1.0, "target": 0.95, "met": True}
    assert told(run(*at))["feeds"][0]["days"][0] == {**day, "read": False}

    late = told(run("--at", "2025-07-01T13:00Z", "--json", "-w", workspace), 1)
    (day,) = late["feeds"][0]["days"]
    failed = {one["check"]: one["why"] for one in day["findings"] if one["verdict"] == "failed"}
    assert not day["read"] and set(failed) == {"intervals", "complete", "fresh"}
    assert "7 of 10 due intervals are missing: 2025-07-01T12:15Z" in failed["intervals"]

    bring(workspace, payload(workspace.parent, 20))
    (day,) = told(run(*at, "--again"))["feeds"][0]["days"]
    assert day["read"] and day["metrics"]["rows"] == 16.0

    table = run("--at", "2025-07-01T13:00Z", "-w", workspace)
    assert table.code == 1 and "complete, fresh, intervals" in table.out and "overall score" in table.out
    assert "completeness" in table.words and "c254 quality explain FEED DAY" in table.words
    said = typed("quality", "explain", TOPIC, "2025-07-01", "--at", "2025-07-01T13:00Z", "-w", workspace)
    assert said.code == 0 and "6 of 10 due intervals are missing" in said.out
    assert "→ fetch the span again" in said.out and "are unknown and count neither way" in said.out


def test_the_page_needs_nothing_from_outside(workspace: Path, tmp_path: Path) -> None:
    said = typed("quality", "report", "-w", workspace, "--out", tmp_path / "page.html")
    assert said.code == 0, said
    page = (tmp_path / "page.html").read_text("utf-8")
    assert page.count("<svg") >= 2 and TOPIC in page and "Completeness" in page
    outside = re.findall(r"""(?:src|href)\s*=|@import|url\(|<script|<link""", page)
    assert not outside
    assert set(re.findall(r"https?://[^\s\"<]+", page)) == {"http://www.w3.org/2000/svg"}


def test_a_file_of_two_days_is_judged_by_the_feeds_rules(tmp_path: Path) -> None:
    days = [market_day(TOPIC, DAY), market_day(TOPIC, date(2025, 7, 2)).with_columns(pl.col("lmp") * 1000)]
    for form in ("parquet", "csv"):
        path = tmp_path / f"prices.{form}"
        frame = pl.concat(days)
        frame.write_parquet(path) if form == "parquet" else frame.write_csv(path)
        found = told(run("--file", path, "--feed", TOPIC, "--json"), 1)
        good, bad = found["feeds"][0]["days"]
        assert [day["partition"] for day in (good, bad)] == ["2025-07-01", "2025-07-02"]
        assert good["score"] == 1.0 and not good["missed"]
        assert {"range.lmp", "identity"} <= {one["check"] for one in bad["findings"] if one["verdict"] == "failed"}


def test_what_is_wrong_is_said_in_a_line(workspace: Path, tmp_path: Path) -> None:
    clean(run("-w", tmp_path / "none"), 2, "there is no workspace", "c254 demo")
    clean(run("--feed", "iso.rt.lmp.sp", "-w", workspace), 2, "no feed 'iso.rt.lmp.sp'", "iso.rt.lmp.spp")
    clean(typed("quality", "explain", TOPIC, "2025-01-01", "-w", workspace), 1, "nothing of", "c254 feeds run")
    clean(typed("quality", "explain", TOPIC, "1 July", "-w", workspace), 2, "is not a market day")
    (tmp_path / "prices.parquet").write_bytes(b"not parquet")
    clean(run("--file", tmp_path / "prices.parquet"), 2, "--feed")
    clean(run("--file", tmp_path / "prices.parquet", "--feed", TOPIC), 1, "cannot be read as parquet")
