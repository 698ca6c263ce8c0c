"""Keeping the lake up from the command line: what is done is told, again does nothing, and bad input says the fix."""

from __future__ import annotations

import json
import os
import time
from datetime import date, timedelta
from pathlib import Path

import pytest
from contract.given_rows import benchmark, shaped
from shell import c254, typed

from carbon254.proof import rows_hash
from carbon254.stores.lake import open_lake
from carbon254.workspace import Workspace

TABLE = "energy_prices"


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    """A workspace whose lake has twelve small files of two years."""
    Workspace(tmp_path / "ws").create()
    lake = open_lake(tmp_path / "ws" / "lake")
    for number in range(12):
        day = date(2020 + number % 2, 1, 1) + timedelta(days=number)
        lake.append({TABLE: shaped(TABLE, [benchmark("oil", "RWTC", day, float(number))])}, {TABLE: number + 1})
    lake.close()
    return tmp_path / "ws"


def hashed(workspace: Path) -> str:
    lake = open_lake(workspace / "lake")
    found = rows_hash(lake.scan(TABLE)).hash
    lake.close()
    return found


def told(workspace: Path, *arguments: str) -> list[dict[str, object]]:
    said = typed("lake", *arguments, "-w", workspace, "--json")
    assert said.code == 0, said
    return json.loads(said.out)


@pytest.mark.slow
def test_files_are_merged_once_and_again_there_is_nothing_to_do(kept: Path) -> None:
    before = hashed(kept)
    assert told(kept, "stats")[0] | {"oldest": ""} == {
        "table": TABLE, "rows": 12, "files": 12, "bytes": told(kept, "stats")[0]["bytes"],
        "smallest": told(kept, "stats")[0]["smallest"], "to_merge": 12, "partitions": 2, "hot": 0, "warm": 0,
        "cold": 2, "snapshots": 12, "oldest": "", "offset": 12,
    }  # fmt: skip
    said = typed("lake", "compact", "-w", kept)
    assert said.code == 0 and "12 files became 2" in said.err and "2021" in said.out
    again = typed("lake", "compact", "-w", kept)
    assert (again.code, again.err.strip()) == (0, "nothing to merge")
    parts = told(kept, "stats", "--dataset", TABLE)
    assert [(one["partition"], one["tier"], one["files"]) for one in parts] == [
        ("2020", "cold", 1), ("2021", "cold", 1)
    ]  # fmt: skip
    assert hashed(kept) == before


@pytest.mark.slow
def test_snapshots_are_forgotten_and_orphans_found_and_deleted(kept: Path) -> None:
    before = hashed(kept)
    assert typed("lake", "expire", "-w", kept).err.strip() == "no snapshot is older than 5 days"
    told(kept, "compact")
    (gone,) = told(kept, "expire", "--keep-days", "0")
    assert (gone["table"], gone["snapshots"], gone["kept"]) == (TABLE, 12, 1)
    assert told(kept, "orphans") == [] and told(kept, "stats", "--orphans")[0]["orphans"] == 0
    left = next((kept / "lake" / "warehouse").rglob("data")) / "price_date_year=2020" / "left.parquet"
    left.write_bytes(b"a commit that died")
    assert told(kept, "orphans") == []
    long_ago = time.time() - 4 * 86_400
    os.utime(left, (long_ago, long_ago))
    (found,) = told(kept, "orphans")
    assert str(found["path"]).endswith("/left.parquet") and found["bytes"] == 18 and left.exists()
    assert told(kept, "stats", "--orphans")[0]["orphan_bytes"] == 18
    said = typed("lake", "orphans", "--delete", "-w", kept)
    assert "1 files of 0.0 MB deleted" in said.err and not left.exists()
    assert typed("lake", "orphans", "-w", kept).err.strip() == "every file is named by a snapshot"
    assert hashed(kept) == before


@pytest.mark.slow
def test_only_what_is_old_enough_is_merged(kept: Path) -> None:
    years = (date.today() - date(2021, 1, 1)).days
    assert [one["partition"] for one in told(kept, "compact", "--older-than", f"{years}d")] == ["2020"]
    assert [one["partition"] for one in told(kept, "compact", "--dataset", TABLE)] == ["2021"]


def test_bad_input_is_one_line_with_the_fix(kept: Path) -> None:
    for command, said in (
        (("compact", "--older-than", "week"), "'week' is not an age; write 7d for days or 12h for hours"),
        (("compact", "--dataset", "prices"), "no dataset 'prices'; nearest: "),
        (("stats", "--dataset", "prices"), "no dataset 'prices'"),
        (("orphans", "--older-than", "-1d"), "is not an age"),
    ):
        found = typed("lake", *command, "-w", kept)
        assert found.code == 2 and said in found.words, found
    assert typed("lake", "compact", "-w", kept.parent / "none").code == 2
    assert typed("lake", "expire", "--keep-days", "-3", "-w", kept).code == 2


@pytest.mark.parametrize("name", ["stats", "compact", "expire", "orphans"])
def test_help_has_an_example(name: str) -> None:
    said = typed("lake", name, "--help")
    assert said.code == 0 and f"c254 lake {name}" in said.out and "Example" in said.out


@pytest.mark.slow
def test_in_a_process_of_its_own_nothing_but_the_table_is_on_standard_output(kept: Path) -> None:
    said = c254("lake", "compact", "-w", kept, "--json")
    assert said.code == 0 and len(json.loads(said.out)) == 2 and said.err == ""


@pytest.mark.slow
def test_tables_are_exported_and_a_wrong_place_is_one_line(kept: Path, tmp_path: Path) -> None:
    (done,) = told(kept, "export", str(tmp_path / "out"), "--dataset", TABLE)
    assert (done["table"], done["rows"], done["files"]) == (TABLE, 12, 12) and Path(str(done["metadata"])).is_file()
    again = told(kept, "export", str(tmp_path / "out"))
    assert [(one["table"], one["rows"]) for one in again] == [(TABLE, 12)]
    inside = typed("lake", "export", kept / "lake" / "out", "-w", kept)
    assert inside.code == 2 and "in the lake's own folder" in inside.err and "Traceback" not in inside.err
    file = tmp_path / "file"
    file.write_text("mine")
    refused = typed("lake", "export", file, "-w", kept)
    assert refused.code == 2 and "Traceback" not in refused.err and file.read_text() == "mine"
    typo = typed("lake", "export", tmp_path / "out", "--dataset", "energy_price", "-w", kept)
    assert typo.code == 2 and TABLE in typo.err
