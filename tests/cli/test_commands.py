"""The commands on a workspace: bringing in, asking, mending, rebuilding, and how each says what is wrong."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import typer
from shell import RT, Said, clean, piped, spp_file, typed

from carbon254.cli.main import app
from carbon254.feeds import feeds
from carbon254.workspace import Workspace

NAME = "RTBM-LMP-SL-202507010705.csv"
BAD = {3: "n/a", 7: "--"}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace of ten places at one interval, for tests that add nothing."""
    folder = tmp_path_factory.mktemp("made")
    said = typed("feeds", "run", "--feed", RT, "--file", spp_file(folder / NAME), "-w", folder / "ws", "--json")
    assert said.code == 0, said
    return folder / "ws"


def run(workspace: Path, *files: Path) -> tuple[int, dict[str, Any]]:
    named = [argument for path in files for argument in ("--file", path)]
    said = typed("feeds", "run", "--feed", RT, *named, "-w", workspace, "--json")
    return said.code, json.loads(said.out)[0]


def asked(workspace: Path, statement: str) -> list[dict[str, str]]:
    said = typed("sql", statement, "-w", workspace, "--format", "csv")
    assert said.code == 0, said
    return pl.read_csv(io.StringIO(said.out), infer_schema=False).to_dicts()


def count(workspace: Path, table: str = "interval_prices") -> int:
    return int(asked(workspace, f"SELECT count() AS n FROM {table}")[0]["n"])


def hashes(workspace: Path) -> dict[str, Any]:
    return json.loads(typed("verify", "--hash", "--json", "-w", workspace).out)


def cells(said: Said) -> list[list[str]]:
    """The rows of a printed table."""
    lines = [line for line in said.out.splitlines() if line.startswith("│")]
    return [[cell.strip() for cell in line.strip("│").split("│")] for line in lines]


def test_list_names_every_feed_with_its_key() -> None:
    rows = {row[0]: row for row in cells(typed("feeds", "list"))}
    assert set(rows) == set(feeds())
    assert rows["iso.da.lmp.pjm"][2:] == ["DAM", "60 min", "interval_prices", "PJM_API_KEY"]
    assert rows[RT][5] == "none"
    assert [row[0] for row in cells(typed("feeds", "list", "--feed", RT))] == [RT]


@pytest.mark.slow
def test_list_by_state_reads_the_ledger(made: Path) -> None:
    (row,) = cells(typed("feeds", "list", "--state", "completed", "-w", made))
    assert row == [RT, "2025-07-01", "completed", "1", "1", "10", "2025-07-01T12:05:00Z", ""]
    assert cells(typed("feeds", "list", "--state", "failed", "-w", made)) == []


def test_status_and_watermark(made: Path) -> None:
    said = typed("feeds", "status", "--feed", RT, "-w", made)
    assert cells(said)[0] == [RT, "1", "10", "2025-07-01T12:05:00Z", "0"]
    assert "normalise 0, project 0, lake 0" in said.out
    for partition in ([], ["--partition", "2025-07-01"]):
        mark = typed("feeds", "watermark", "--feed", RT, *partition, "-w", made)
        assert (mark.code, mark.out.strip()) == (0, "2025-07-01T12:05:00Z")
    clean(typed("feeds", "watermark", "--feed", "iso.da.lmp.pjm", "-w", made), 1, "nothing of iso.da.lmp.pjm")


@pytest.mark.slow
def test_a_file_taken_twice_is_repeated_and_adds_no_row(tmp_path: Path) -> None:
    path, workspace = spp_file(tmp_path / NAME), tmp_path / "ws"
    code, first = run(workspace, path)
    before = hashes(workspace)
    assert (code, first["new"], first["repeated"], first["rows"], first["rejected"]) == (0, 1, 0, 10, 0)
    code, again = run(workspace, path)
    assert (code, again["new"], again["repeated"], again["rows"]) == (0, 0, 1, 0)
    assert hashes(workspace) == before
    assert before["interval_prices"]["rows"] == 10 and before["ohlc_bars"]["rows"] == 40


@pytest.mark.slow
def test_sql_in_every_format(made: Path) -> None:
    statement = "SELECT location, lmp, interval_start FROM current_prices WHERE lmp < 22 ORDER BY location"
    table = typed("sql", statement, "-w", made)
    assert cells(table) == [["LOC_0", "20.5", "2025-07-01T12:00:00Z"], ["LOC_1", "21.5", "2025-07-01T12:00:00Z"]]
    assert table.words == "2 rows"
    assert typed("sql", statement, "-w", made, "--format", "csv").out.splitlines() == [
        "location,lmp,interval_start",
        "LOC_0,20.5,2025-07-01T12:00:00Z",
        "LOC_1,21.5,2025-07-01T12:00:00Z",
    ]
    lines = typed("sql", statement, "-w", made, "--format", "json", "--tz", "America/Chicago").out.splitlines()
    assert json.loads(lines[1]) == {"location": "LOC_1", "lmp": 21.5, "interval_start": "2025-07-01T07:00:00-05:00"}


@pytest.mark.slow
def test_sql_as_an_arrow_stream(made: Path) -> None:
    done = piped("sql", "SELECT location, lmp FROM current_prices", "-w", made, "--format", "arrow")
    found = pl.read_ipc_stream(done.stdout)
    assert found.columns == ["location", "lmp"] and found["lmp"].sum() == 250.0


def test_sql_from_a_file(made: Path, tmp_path: Path) -> None:
    (tmp_path / "q.sql").write_text("SELECT sum(lmp) AS total FROM current_prices\n", "utf-8")
    said = typed("sql", "--file", tmp_path / "q.sql", "-w", made, "--format", "csv")
    assert said.out.split() == ["total", "250.0"]


@pytest.mark.slow
def test_verify_counts_payloads_and_finds_a_changed_one(tmp_path: Path) -> None:
    workspace = tmp_path / "ws"
    run(workspace, spp_file(tmp_path / NAME))
    said = typed("verify", "-w", workspace)
    assert (said.code, said.out.strip()) == (0, "1 payloads, the log, the hot store and the lake are sound")
    (kept,) = [path for path in (workspace / "raw").rglob("*.zst") if path.stat().st_size]
    kept.chmod(0o644)
    kept.write_bytes(kept.read_bytes()[:-7] + b"changed")
    clean(typed("verify", "-w", workspace), 1, "1 problems", kept.name.split(".")[0][:12])


@pytest.mark.slow
def test_hashes_do_not_depend_on_batches_but_on_what_is_stored(made: Path) -> None:
    first, again = hashes(made), hashes(made)
    assert first == again
    assert first["interval_prices"]["hash"] != first["market_ticks"]["hash"]
    table = cells(typed("verify", "--hash", "-w", made))
    assert ["interval_prices", "10", first["interval_prices"]["hash"]] in table


@pytest.mark.slow
def test_an_edited_copy_stores_the_bad_rows_once(tmp_path: Path) -> None:
    workspace = tmp_path / "ws"
    code, result = run(workspace, spp_file(tmp_path / NAME, BAD))
    assert (code, result["rows"], result["rejected"]) == (3, 8, 2)
    letters = cells(typed("dlq", "list", "--feed", RT, "-w", workspace))
    assert [(row[0], row[3], row[4], row[5]) for row in letters] == [
        ("1", "5", "LMP: 'n/a' is not a number", "open"),
        ("2", "9", "LMP: '--' is not a number", "open"),
    ]
    shown = typed("dlq", "show", "2", "-w", workspace).out
    assert "LOC_7,LOC_7_P,--,0,7,20.5" in shown and NAME in shown and "LMP: '--' is not a number" in shown
    unchanged = typed("dlq", "reprocess", "--all", "-w", workspace)
    assert unchanged.words == "0 letters resolved, 2 still open" and count(workspace) == 8
    edited = spp_file(tmp_path / "edited.csv")
    copied = typed("dlq", "reprocess", "--id", "1", "--id", "2", "--with", edited, "-w", workspace)
    assert copied.words == "2 letters resolved, 0 still open"
    assert (count(workspace), count(workspace, "current_prices")) == (10, 10)
    before = hashes(workspace)
    assert typed("dlq", "reprocess", "--id", "1", "--id", "2", "--with", edited, "-w", workspace).code == 0
    assert hashes(workspace) == before
    assert cells(typed("dlq", "list", "-w", workspace)) == []
    assert [row[5] for row in cells(typed("dlq", "list", "--status", "resolved", "-w", workspace))] == ["resolved"] * 2
    assert asked(workspace, "SELECT lmp FROM current_prices WHERE location = 'LOC_7'") == [{"lmp": "27.5"}]


@pytest.mark.slow
def test_an_edited_copy_that_cannot_be_read_resolves_nothing(tmp_path: Path) -> None:
    workspace = tmp_path / "ws"
    run(workspace, spp_file(tmp_path / NAME, BAD))
    (tmp_path / "edited.csv").write_text("<html>oops</html>", "utf-8")
    said = typed("dlq", "reprocess", "--feed", RT, "--with", tmp_path / "edited.csv", "-w", workspace)
    assert said.words == "0 letters resolved, 2 still open"
    assert [row[3] for row in cells(typed("dlq", "list", "-w", workspace))] == ["5", "9", ""]
    assert count(workspace) == 8


@pytest.mark.slow
def test_replay_rebuilds_the_same_rows(tmp_path: Path) -> None:
    workspace = tmp_path / "ws"
    run(workspace, spp_file(tmp_path / NAME))
    before = hashes(workspace)
    for span in (["--partition", "2025-07-01"], ["--from", "2025-07-01T00:00Z", "--to", "now"]):
        said = typed("feeds", "replay", "--feed", RT, *span, "-w", workspace)
        assert said.words == f"rebuilt 10 rows of {RT} from 1 payloads; market days: 2025-07-01 … 2025-07-01"
    arrived = typed("feeds", "replay", "--feed", RT, "--arrived-from", "2025-07-01", "-w", workspace)
    assert arrived.words.startswith("rebuilt 10 rows")
    outside = typed("feeds", "replay", "--feed", RT, "--from", "2020-01-01", "--to", "2020-01-02", "-w", workspace)
    assert outside.words.startswith("rebuilt 0 rows")
    assert hashes(workspace) == before
    assert cells(typed("feeds", "list", "--state", "completed", "-w", workspace))[0][3] == "4"


NEEDS_WORKSPACE = [
    ["sql", "SELECT 1"],
    ["status"],
    ["verify"],
    ["verify", "--hash"],
    ["dlq", "list"],
    ["dlq", "show", "1"],
    ["dlq", "reprocess", "--all"],
    ["feeds", "status"],
    ["feeds", "watermark", "--feed", RT],
    ["feeds", "list", "--state", "failed"],
    ["feeds", "replay", "--feed", RT, "--from", "2025-07-01"],
]


@pytest.mark.parametrize("command", NEEDS_WORKSPACE, ids=" ".join)
def test_no_workspace_is_said_and_none_is_made(tmp_path: Path, command: list[str]) -> None:
    clean(typed(*command, "-w", tmp_path / "gone"), 2, "there is no workspace at", "c254 demo")
    assert not (tmp_path / "gone").exists()


@pytest.mark.sampled(1)
@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("SELEC 1", "Syntax error"),
        ("DROP TABLE interval_prices", "not a reading statement"),
        ("SELECT 1; SELECT 2", "one"),
        ("SELECT nothing FROM interval_prices", "nothing"),
        ("SELECT * FROM no_such_table", "no_such_table"),
    ],
)
def test_bad_sql_is_one_clean_error(made: Path, statement: str, words: str) -> None:
    clean(typed("sql", statement, "-w", made), 1, "error:", words)


def test_a_folder_of_another_format_or_of_something_else_is_left_alone(tmp_path: Path) -> None:
    newer, other = tmp_path / "newer", tmp_path / "other"
    newer.mkdir()
    (newer / "workspace.json").write_text('{"format": 99}', "utf-8")
    clean(typed("sql", "SELECT 1", "-w", newer), 1, "has format 99", "reads format 2")
    other.mkdir()
    (other / "letters.txt").write_text("mine", "utf-8")
    said = typed("feeds", "run", "--feed", RT, "--file", spp_file(tmp_path / NAME), "-w", other)
    clean(said, 1, "is not empty and not a workspace")
    assert [path.name for path in other.iterdir()] == ["letters.txt"]


@pytest.mark.slow
def test_a_workspace_in_use_names_the_way_out(tmp_path: Path) -> None:
    owner = Workspace(tmp_path / "ws")
    owner.claim()
    try:
        for command in (["sql", "SELECT 1"], ["verify"], ["feeds", "replay", "--feed", RT, "--from", "2025-07-01"]):
            clean(typed(*command, "-w", tmp_path / "ws"), 1, "is in use by another process", "c254 stop")
    finally:
        owner.release()
    assert typed("sql", "SELECT 1", "-w", tmp_path / "ws").code == 0


def test_what_is_not_known_is_named(made: Path, tmp_path: Path) -> None:
    path = spp_file(tmp_path / NAME)
    clean(typed("feeds", "run", "--feed", "iso.rt.lmp.xx", "--file", path), 2, "no feed 'iso.rt.lmp.xx'", RT)
    clean(typed("feeds", "replay", "--feed", "x", "--from", "now", "-w", made), 2, "no feed 'x'")
    clean(typed("dlq", "show", "9", "-w", made), 2, "there is no letter 9")
    clean(typed("dlq", "reprocess", "--id", "9", "-w", made), 2, "there is no letter 9")
    clean(typed("dlq", "reprocess", "-w", made), 2, "--id, --feed or --all")
    clean(typed("feeds", "run", "--feed", RT, "-w", made), 2, "--from and --to")
    clean(typed("feeds", "run", "--feed", RT, "--file", tmp_path, "-w", made), 2, "is a directory")


@pytest.mark.slow
def test_a_bad_time_comes_with_a_good_one(made: Path) -> None:
    clean(typed("feeds", "run", "--feed", RT, "--from", "soon", "-w", made), 2, "'soon' is not a time", "2025-07-01")
    replay = ("feeds", "replay", "--feed", RT, "-w", made)
    clean(typed(*replay, "--from", "2025-13-01"), 2, "'2025-13-01' is not a time")
    clean(typed(*replay, "--partition", "July"), 2, "'July' is not a market day", "2025-07-01")
    clean(typed("sql", "SELECT 1", "--tz", "Mars/Olympus", "-w", made), 2, "no time zone", "America/Chicago")
    clean(typed("sql", "SELECT 1", "--tz", "market", "-w", made), 2, "name a zone")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("2025-11-02T01:30", ("comes twice", "2025-11-02T06:30:00Z (CDT)", "2025-11-02T07:30:00Z (CST)", "-05:00")),
        ("2025-03-09T02:30", ("does not exist", "from 02:00 to 03:00", "2025-03-09T08:00:00Z")),
    ],
)
def test_a_naive_time_that_comes_twice_or_never_is_refused_by_every_command(
    made: Path, written: str, told: tuple[str, ...]
) -> None:
    run, replay = ("feeds", "run", "--feed", RT, "-w", made), ("feeds", "replay", "--feed", RT, "-w", made)
    prices = ("prices", "SPP", "-w", made, "--tz", "market")
    commands = [
        (*run, "--from", written),
        (*run, "--from", "2025-01-01", "--to", written),
        (*replay, "--from", written),
        (*replay, "--from", "2025-01-01", "--to", written),
        (*replay, "--arrived-from", written),
        (*replay, "--arrived-from", "2025-01-01", "--arrived-to", written),
        (*prices, written, "2025-12-01"),
        (*prices, "2025-01-01", written),
        (*prices, "2025-01-01", "2025-12-01", "--as-of", written),
        ("places", "list", "--market", "SPP", "--as-of", written, "-w", made),
        ("calendar", "label", "SPP", written),
        ("calendar", "blocks", "ERCOT", "--at", written),
    ]
    for command in commands:
        clean(typed(*command), 2, *told)


@pytest.mark.slow
def test_settings_that_cannot_work_name_their_variable(made: Path) -> None:
    for command in (["sql", "SELECT 1"], ["up", "--no-poll"], ["verify"]):
        clean(typed(*command, "-w", made, C254_HOST="0.0.0.0"), 2, "C254_HOST=0.0.0.0", "set C254_HOST=127.0.0.1")
        clean(typed(*command, "-w", made, C254_PORT="many"), 2, "C254_PORT", "integer")
    clean(typed("verify", "-w", made, C254_REDIS_URL="http://x"), 2, "C254_REDIS_URL starts with", "write redis://")
    refused = ["feeds", "run", "--feed", RT, "--from", "2025-07-01", "-w", made]
    clean(typed(*refused, C254_REDIS_URL="redis://u:hidden@127.0.0.1:9"), 2, "C254_REDIS_URL", "does not answer")
    clean(typed(*refused, C254_RAW_URL="gs://x/y"), 2, "C254_RAW_URL", "write s3://bucket/prefix")
    clean(typed(*refused, C254_LAKE_URL="http://127.0.0.1:9"), 2, "C254_LAKE_URL", "does not answer")


def test_the_lake_is_told_and_trinos_views_are_printed(made: Path) -> None:
    told = json.loads(typed("lake", "stats", "--json", "-w", made).out)
    assert {row["table"] for row in told} >= {"interval_prices"} and all(row["files"] for row in told if row["rows"])
    printed = typed("lake", "views", "--tables", "ice", "--place", "s3://desk/x").out
    assert "CREATE OR REPLACE VIEW desk.commodity_data.energy_prices AS" in printed and "FROM ice." in printed
    clean(typed("lake", "views", "--views", "lake"), 2, "another catalog than --tables")
    clean(typed("lake", "views", "--views", "x; DROP"), 2, "not a catalog's name")


def commands() -> list[list[str]]:
    def walk(command: Any, path: list[str]) -> list[list[str]]:
        children = getattr(command, "commands", {})
        return [found for name in children for found in walk(children[name], [*path, name])] if children else [path]

    return walk(typer.main.get_command(app), [])


def test_help_says_how_to_start() -> None:
    said = typed("--help")
    assert said.code == 0 and "c254 demo" in said.out
    assert all(f" {path[0]} " in said.out for path in commands())


@pytest.mark.sampled(15)
@pytest.mark.parametrize("path", commands(), ids=" ".join)
def test_help_of_each_command_shows_an_example(path: list[str]) -> None:
    said = typed(*path, "--help")
    shown = " ".join(said.out.split())
    assert said.code == 0 and "Example" in shown
    assert f"c254 {' '.join(path)}" in shown.split("Example", 1)[1]
