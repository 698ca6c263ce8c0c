"""Names on the command line: a typo of any argument ends with exit 2 and the nearest name, never with an empty answer.

The commands come from the tree itself, so that a new argument must be entered here."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from shell import RT, clean, spp_file, typed

from carbon254.cli.main import app

NAME = "RTBM-LMP-SL-202507010705.csv"
NO_FEED = "iso.rt.lmp.sp"
DAYS = ("2025-07-01", "2025-07-02")
# (command, argument) → (what is typed, what the refusal must say). WS stands for the workspace, FILE for a price file.
REFUSED: dict[tuple[str, str], tuple[tuple[str, ...], str]] = {
    ("calendar blocks", "region"): (("PJMM",), "PJM"),
    ("calendar blocks", "day"): (("PJM", "--day", "2025-13-01"), "2025-07-01"),
    ("calendar blocks", "at"): (("PJM", "--at", "soon"), "2025-07-01"),
    ("calendar changes", "market_name"): (("PJMM",), "PJM"),
    ("calendar contract", "code"): (("CLZZ",), "CL"),
    ("calendar contract", "reference"): (("CLZ5", "--reference", "soon"), "2025-07-01"),
    ("calendar conventions", "market_name"): (("PJMM",), "PJM"),
    ("calendar day", "market_name"): (("PJMM", DAYS[0]), "PJM"),
    ("calendar day", "on"): (("PJM", "soon"), "2025-07-01"),
    ("calendar gas", "when"): (("soon",), "2025-07-01"),
    ("calendar gas", "kind"): (("2025-07-01", "--kind", "USA"), "US"),
    ("calendar holidays", "calendar"): (("2025", "-c", "NERCC"), "NERC"),
    ("calendar label", "market_name"): (("PJMM", "now"), "PJM"),
    ("calendar label", "start"): (("PJM", "soon"), "2025-07-01"),
    ("calendar label", "resolution"): (("PJM", "now", "-r", "7m"), "5m"),
    ("calendar strip", "name"): (("Jann-26",), "Jan-26"),
    ("calendar strip", "region"): (("Jan-26", "PJMM"), "PJM"),
    ("calendar strip", "reference"): (("BalMo", "--reference", "soon"), "2025-07-01"),
    ("calendar utc", "market_name"): (("PJMM", DAYS[0], "HE01"), "PJM"),
    ("calendar utc", "day"): (("PJM", "soon", "HE01"), "YYYY-MM-DD"),
    ("calendar utc", "label"): (("PJM", DAYS[0], "HX01"), "HX01"),
    ("calendar utc", "resolution"): (("PJM", DAYS[0], "HE01", "-r", "7m"), "5m"),
    ("calendar ask", "question"): (("HE01 on 2025-07-01 at PJMM",), "names no market"),
    ("dlq list", "feed"): (("--feed", NO_FEED, "-w", "WS"), RT),
    ("dlq list", "status"): (("--status", "opened", "-w", "WS"), "open"),
    ("dlq reprocess", "feed"): (("--feed", NO_FEED, "-w", "WS"), RT),
    ("dlq reprocess", "number"): (("--id", "99", "-w", "WS"), "c254 dlq list"),
    ("dlq show", "number"): (("99", "-w", "WS"), "c254 dlq list"),
    ("feeds history", "feed"): (("--feed", NO_FEED, "-w", "WS"), RT),
    ("feeds history", "partition"): (("--feed", RT, "--partition", "July", "-w", "WS"), "2025-07-01"),
    ("feeds history", "backend"): (("--feed", RT, "--backend", "sqlit", "-w", "WS"), "sqlite"),
    ("feeds lineage", "feed"): ((NO_FEED, DAYS[0], "-w", "WS"), RT),
    ("feeds lineage", "day"): ((RT, "July", "-w", "WS"), "2025-07-01"),
    ("feeds list", "feed"): (("--feed", NO_FEED, "-w", "WS"), RT),
    ("feeds list", "partition"): (("--partition", "July", "-w", "WS"), "2025-07-01"),
    ("feeds list", "state"): (("--state", "complete", "-w", "WS"), "completed"),
    ("feeds list", "backend"): (("--backend", "sqlit", "-w", "WS"), "sqlite"),
    ("feeds parse", "feed"): (("FILE", "--feed", NO_FEED), RT),
    ("feeds parse", "form"): (("FILE", "--format", "cvs"), "csv"),
    ("feeds parse", "tz"): (("FILE", "--tz", "America/Chcago"), "America/Chicago"),
    ("feeds replay", "feed"): (("--feed", NO_FEED, "--from", DAYS[0], "-w", "WS"), RT),
    ("feeds replay", "start"): (("--feed", RT, "--from", "soon", "-w", "WS"), "2025-07-01"),
    ("feeds replay", "end"): (("--feed", RT, "--from", DAYS[1], "--to", DAYS[0], "-w", "WS"), "is not before end"),
    ("feeds replay", "partition"): (("--feed", RT, "--partition", "July", "-w", "WS"), "2025-07-01"),
    ("feeds replay", "arrived_from"): (("--feed", RT, "--arrived-from", "soon", "-w", "WS"), "2025-07-01"),
    ("feeds replay", "arrived_to"): (
        ("--feed", RT, "--arrived-from", DAYS[1], "--arrived-to", DAYS[0], "-w", "WS"), "is not before end",
    ),
    ("feeds run", "feed"): (("--feed", NO_FEED, "--file", "FILE", "-w", "WS"), RT),
    ("feeds run", "start"): (("--feed", RT, "--from", "soon", "-w", "WS"), "2025-07-01"),
    ("feeds run", "end"): (("--feed", RT, "--from", DAYS[1], "--to", DAYS[0], "-w", "WS"), "is not before end"),
    ("feeds status", "feed"): (("--feed", NO_FEED, "-w", "WS"), RT),
    ("feeds status", "backend"): (("--backend", "sqlit", "-w", "WS"), "sqlite"),
    ("feeds unlock", "feed"): (("--feed", NO_FEED, "-w", "WS"), RT),
    ("feeds watermark", "feed"): (("--feed", NO_FEED, "-w", "WS"), RT),
    ("feeds watermark", "partition"): (("--feed", RT, "--partition", "July", "-w", "WS"), "2025-07-01"),
    ("feeds watermark", "backend"): (("--feed", RT, "--backend", "sqlit", "-w", "WS"), "sqlite"),
    ("generate", "mode"): (("--mode", "historic", "-w", "NEW"), "historical"),
    ("generate", "feed"): (("--feed", NO_FEED, "-w", "NEW"), RT),
    ("instruments list", "market"): (("-m", "PJMM", "-w", "WS"), "PJM"),
    ("instruments list", "commodity"): (("--commodity", "natural_gass", "-w", "WS"), "natural_gas"),
    ("instruments show", "instrument"): (("POWER_SP15_REALTIME", "-w", "WS"), "POWER_SP15_REAL_TIME"),
    ("ladder", "market"): (("MIS0",), "MISO"),
    ("ladder", "day"): (("MISO", "--day", "July"), "2025-07-01"),
    ("lake compact", "dataset"): (("--dataset", "interval_price", "-w", "WS"), "interval_prices"),
    ("lake compact", "older_than"): (("--older-than", "week", "-w", "WS"), "7d"),
    ("lake expire", "dataset"): (("--dataset", "interval_price", "-w", "WS"), "interval_prices"),
    ("lake export", "dataset"): (("NEW", "--dataset", "interval_price", "-w", "WS"), "interval_prices"),
    ("lake orphans", "dataset"): (("--dataset", "interval_price", "-w", "WS"), "interval_prices"),
    ("lake orphans", "older_than"): (("--older-than", "week", "-w", "WS"), "7d"),
    ("lake stats", "dataset"): (("--dataset", "interval_price", "-w", "WS"), "interval_prices"),
    ("places history", "name"): (("WESTRN HUB", "-m", "PJM", "-w", "WS"), "WESTERN HUB"),
    ("places history", "market"): (("WESTERN HUB", "-m", "PJMM", "-w", "WS"), "PJM"),
    ("places list", "market"): (("-m", "PJMM", "-w", "WS"), "PJM"),
    ("places list", "kind"): (("--kind", "hub", "-w", "WS"), "hubs"),
    ("places list", "as_of"): (("--as-of", "soon", "-w", "WS"), "2025-07-01"),
    ("places load", "market"): (("FILE", "-m", "PJMM", "-w", "WS"), "PJM"),
    ("places load", "kind"): (("FILE", "-m", "PJM", "--kind", "hub", "-w", "WS"), "hubs"),
    ("places load", "effective"): (("FILE", "-m", "PJM", "--effective", "soon", "-w", "WS"), "2025-07-01"),
    ("places merge", "olds"): (("5128", "--into", "51288", "-m", "PJM", "--at", DAYS[0], "-w", "WS"), "51288"),
    ("places merge", "market"): (("51287", "--into", "51288", "-m", "PJMM", "--at", DAYS[0], "-w", "WS"), "PJM"),
    ("places merge", "at"): (("51287", "--into", "51288", "-m", "PJM", "--at", "soon", "-w", "WS"), "2025-07-01"),
    ("places rename", "old"): (("5128", "9", "-m", "PJM", "--at", DAYS[0], "-w", "WS"), "51288"),
    ("places rename", "market"): (("51288", "9", "-m", "PJMM", "--at", DAYS[0], "-w", "WS"), "PJM"),
    ("places rename", "at"): (("51288", "9", "-m", "PJM", "--at", "soon", "-w", "WS"), "2025-07-01"),
    ("places resolve", "name"): (("WESTRN HUB", "-m", "PJM", "-w", "WS"), "WESTERN HUB"),
    ("places resolve", "market"): (("WESTERN HUB", "-m", "PJMM", "-w", "WS"), "PJM"),
    ("places resolve", "as_of"): (("WESTERN HUB", "-m", "PJM", "--as-of", "soon", "-w", "WS"), "2025-07-01"),
    ("places split", "old"): (("5128", "--into", "9", "-m", "PJM", "--at", DAYS[0], "-w", "WS"), "51288"),
    ("places split", "market"): (("51288", "--into", "9", "-m", "PJMM", "--at", DAYS[0], "-w", "WS"), "PJM"),
    ("places split", "at"): (("51288", "--into", "9", "-m", "PJM", "--at", "soon", "-w", "WS"), "2025-07-01"),
    ("rebuild", "store"): (("lak", "-w", "WS"), "lake"),
    ("prices", "market"): (("SPPP", *DAYS, "-w", "WS"), "SPP"),
    ("prices", "start"): (("SPP", "soon", DAYS[1], "-w", "WS"), "2025-07-01"),
    ("prices", "end"): (("SPP", DAYS[1], DAYS[0], "-w", "WS"), "is not before end"),
    ("prices", "location"): (("SPP", *DAYS, "LCO_1", "-w", "WS"), "LOC_1"),
    ("prices", "run"): (("SPP", *DAYS, "--run", "RTB", "-w", "WS"), "RTBM"),
    ("prices", "as_of"): (("SPP", *DAYS, "--as-of", "soon", "-w", "WS"), "2025-07-01"),
    ("prices", "rung"): (("SPP", *DAYS, "--rung", "S77", "-w", "WS"), "S7"),
    ("prices", "against"): (("SPP", *DAYS, "--rung", "S7", "--against", "S533", "-w", "WS"), "S53"),
    ("prices", "basis"): (("SPP", *DAYS, "--basis", "recieved", "-w", "WS"), "received"),
    ("prices", "form"): (("SPP", *DAYS, "--format", "cvs", "-w", "WS"), "csv"),
    ("prices", "tz"): (("SPP", *DAYS, "--tz", "America/Chcago", "-w", "WS"), "America/Chicago"),
    ("quality explain", "feed"): ((NO_FEED, DAYS[0], "-w", "WS"), RT),
    ("quality explain", "day"): ((RT, "July", "-w", "WS"), "2025-07-01"),
    ("quality explain", "at"): ((RT, DAYS[0], "--at", "soon", "-w", "WS"), "2025-07-01"),
    ("quality held", "feed"): (("--feed", NO_FEED, "-w", "WS"), RT),
    ("quality release", "feed"): ((NO_FEED, DAYS[0], "--reason", "x", "-w", "WS"), RT),
    ("quality release", "day"): ((RT, "July", "--reason", "x", "-w", "WS"), "2025-07-01"),
    ("quality report", "feed"): (("--feed", NO_FEED, "-w", "WS"), RT),
    ("quality report", "first"): (("--from", "July", "-w", "WS"), "2025-07-01"),
    ("quality report", "last"): (("--from", DAYS[1], "--to", DAYS[0], "-w", "WS"), "is before --from"),
    ("quality report", "at"): (("--at", "soon", "-w", "WS"), "2025-07-01"),
    ("quality run", "feed"): (("--feed", NO_FEED, "-w", "WS"), RT),
    ("quality run", "first"): (("--from", "July", "-w", "WS"), "2025-07-01"),
    ("quality run", "last"): (("--from", DAYS[1], "--to", DAYS[0], "-w", "WS"), "is before --from"),
    ("quality run", "at"): (("--at", "soon", "-w", "WS"), "2025-07-01"),
    ("serve", "stage"): (("normalize", "-w", "NEW"), "normalise"),
    ("serve", "feed"): (("normalise", "--feed", NO_FEED, "-w", "NEW"), RT),
    ("sql", "form"): (("SELECT 1", "--format", "cvs", "-w", "WS"), "csv"),
    ("sql", "tz"): (("SELECT 1", "--tz", "America/Chcago", "-w", "WS"), "America/Chicago"),
    ("units", "words"): (("10 Mfc in MWh",), "Mcf"),
    ("units", "to"): (("10 MWh", "--to", "Mfc"), "Mcf"),
    ("units", "basis"): (("10 Mcf at 1037 Btu/cf in MWh", "--basis", "HHVV"), "HHV"),
    ("units", "base"): (("10 Mcf at 1037 Btu/cf in MWh", "--base", "us_60F_14.73psi"), "us_60F_14.73psia"),
    ("up", "feed"): (("--feed", NO_FEED, "-w", "NEW"), RT),
    ("up", "only"): (("--only", "normalize", "-w", "NEW"), "normalise"),
}  # fmt: skip
# Numbers, switches, files, addresses and words of the caller's own: they name nothing that could be looked up.
FREE = {
    "workspace", "as_json", "limit", "count", "seed", "days", "port", "nodes", "lines", "workers", "year", "years",
    "keep_days", "file", "files", "to_file", "corrected", "receipt", "emulator_url", "why", "reason", "source", "query",
    "version",
}  # fmt: skip
OWN_WORDS = {
    ("feeds run", "location"): "the provider knows places that are not listed here, and refuses what it does not know",
    ("lake views", "tables"): "a catalog of another engine",
    ("lake views", "views"): "a catalog of another engine",
    ("lake views", "place"): "an address",
    ("places merge", "into"): "listed at the moment, else refused by the store: see test_places",
    ("places rename", "new"): "a new id",
    ("places rename", "name"): "a new name",
    ("places split", "into"): "new ids",
    ("quality release", "row"): "a hash; see test_a_row_that_is_not_held",
    ("lake export", "target"): "a new folder",
    ("units", "heat_content"): "a figure with a unit", ("units", "heat_base"): "as base", ("units", "date"): "a label",
    ("units", "length"): "a figure with a unit", ("units", "density"): "a figure with a unit",
    ("units", "fx"): "a figure with a unit",
}  # fmt: skip


def commands(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, list[Any]]]:
    """(command, its parameters) of the whole tree."""
    inner = getattr(command, "commands", None)
    if inner is None:
        yield " ".join(path), command.params
        return
    for name, found in inner.items():
        yield from commands(found, (*path, name))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace of ten places at one interval."""
    folder = tmp_path_factory.mktemp("names")
    said = typed("feeds", "run", "--feed", RT, "--file", spp_file(folder / NAME), "-w", folder / "ws", "--json")
    assert said.code == 0, said
    return folder / "ws"


def test_every_argument_is_checked_or_free() -> None:
    for command, parameters in commands(typer.main.get_command(app)):
        for parameter in parameters:
            key = command, parameter.name
            if getattr(parameter, "is_flag", False) or parameter.name in FREE:
                continue
            assert key in REFUSED or key in OWN_WORDS, f"c254 {command}: say which typo of {parameter.name} is refused"


def test_the_table_names_arguments_that_are_there() -> None:
    there = {
        (command, parameter.name)
        for command, parameters in commands(typer.main.get_command(app))
        for parameter in parameters
    }
    assert set(REFUSED) | set(OWN_WORDS) <= there


@pytest.mark.sampled(6)
@pytest.mark.parametrize("key", REFUSED, ids=" ".join)
def test_a_typo_of_any_argument_ends_with_the_nearest_name(made: Path, tmp_path: Path, key: tuple[str, str]) -> None:
    arguments, says = REFUSED[key]
    stand_ins = {"WS": made, "NEW": tmp_path / "new", "FILE": spp_file(tmp_path / NAME)}
    said = typed(*key[0].split(), *(stand_ins.get(one, one) for one in arguments))
    clean(said, 2, says)
    assert not (tmp_path / "new").exists(), "a refused command made a workspace"


def test_names_are_taken_in_any_case(made: Path) -> None:
    said = typed(
        "prices", "spp", *DAYS, "loc_1", "--run", "rtbm", "--format", "CSV", "--tz", "america/chicago", "-w", made
    )
    assert said.code == 0 and said.out.splitlines()[1].startswith("SPP,RTBM,LOC_1,")
    assert RT in typed("feeds", "list", "--feed", RT.upper()).out
    assert typed("dlq", "list", "--feed", RT.upper(), "--status", "Open", "-w", made).code == 0
    assert typed("lake", "stats", "--dataset", "Interval_Prices", "-w", made).code == 0


@pytest.mark.slow
def test_a_valid_question_without_rows_says_what_is_stored(made: Path) -> None:
    for arguments, says in (
        (("SPP", "2024-01-01", "2024-01-02"), "SPP: 2025-07-01 … 2025-07-01 (RTBM 2025-07-01 … 2025-07-01)"),
        (("SPP", "2024-01-01", "2024-01-02", "LOC_1"), "SPP LOC_1: 2025-07-01 … 2025-07-01"),
        (("SPP", *DAYS, "--run", "DAM"), "none of DAM"),
        (("PJM", *DAYS, "WESTERN HUB"), "no price of PJM is stored yet"),
    ):
        said = typed("prices", *arguments, "--format", "csv", "-w", made)
        assert said.code == 0 and says in said.words, said
        assert said.out.count("\n") == 1


@pytest.mark.slow
def test_a_row_that_is_not_held_is_not_released(made: Path) -> None:
    said = typed("quality", "release", RT, "--id", "0" * 16, "--reason", "x", "-w", made)
    assert said.code != 0 and "c254 quality held" in said.words


@pytest.mark.slow
def test_market_runs_that_are_mixed_are_told_and_refused_when_strict(made: Path, tmp_path: Path) -> None:
    day_ahead = tmp_path / "DA-LMP-SL-202507010100.csv"
    day_ahead.write_text(
        "Interval,GMTIntervalEnd,Settlement Location,Pnode,LMP,MLC,MCC,MEC\n"
        "07/01/2025 08:00:00,07/01/2025 13:00:00,LOC_1,LOC_1_P,21,0,1,20\n", "utf-8"
    )  # fmt: skip
    workspace = tmp_path / "ws"
    for feed, file in ((RT, spp_file(tmp_path / NAME)), ("iso.da.lmp.spp", day_ahead)):
        assert typed("feeds", "run", "--feed", feed, "--file", file, "-w", workspace).code == 0
    asked = ("prices", "SPP", *DAYS, "LOC_1", "--format", "json", "-w", workspace)
    both = typed(*asked)
    assert both.code == 0 and len(both.out.splitlines()) == 2
    assert "SPP: 2 market runs answer: DAM, RTBM" in both.words and "C254_STRICT=1" in both.words
    clean(typed(*asked, C254_STRICT="1"), 2, "SPP: 2 market runs answer: DAM, RTBM", "--run DAM")
    one = typed(*asked, "--run", "dam", C254_STRICT="1")
    assert one.code == 0 and [json.loads(line)["lmp"] for line in one.out.splitlines()] == [21.0]
