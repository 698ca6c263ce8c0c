"""What others wrote is shown as it is: not read as markup, not obeyed by a terminal."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import pytest
from shell import RT, clean, spp_file, typed

from carbon254.cli.console import cell, plain

NAME = "RTBM-LMP-SL-202507010705.csv"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with a letter about a price that looks like markup and moves a terminal's cursor."""
    folder = tmp_path_factory.mktemp("made")
    path = spp_file(folder / NAME, bad={3: "[red]\x1b[2Jn/a[/red]"})
    assert typed("feeds", "run", "--feed", RT, "--file", path, "-w", folder / "ws").code == 3
    return folder / "ws"


@pytest.mark.slow
def test_a_table_keeps_brackets(made: Path) -> None:
    said = typed("sql", "SELECT '[red]x[/red]' AS \"a[bold]b\", [1, 2] AS c, '\x1b[2J' AS d", "-w", made)
    assert "[red]x[/red]" in said.out and "a[bold]b" in said.out and "[1, 2]" in said.out
    assert "\x1b[2J" not in said.out


@pytest.mark.slow
def test_an_error_keeps_brackets(made: Path) -> None:
    clean(typed("feeds", "watermark", "--feed", "iso[red]", "-w", made), 2, "no feed 'iso[red]'")


def test_letters_show_their_text_and_hide_its_control_characters(made: Path) -> None:
    for said in (typed("dlq", "list", "-w", made), typed("dlq", "show", "1", "-w", made)):
        assert "[red]" in said.out and "[/red]" in said.out
        assert "\x1b" not in said.out


def test_rejects_of_parse_hide_control_characters(tmp_path: Path) -> None:
    said = typed("feeds", "parse", spp_file(tmp_path / NAME, bad={3: "\x1b]0;title\x07"}))
    assert said.code == 3 and "line 5" in said.err
    assert "\x1b" not in said.err and "\x07" not in said.err


def test_an_unknown_feed_is_not_an_empty_one(made: Path) -> None:
    for verb in ("status", "watermark"):
        clean(typed("feeds", verb, "--feed", "iso.rt.lmp.xx", "-w", made), 2, "no feed 'iso.rt.lmp.xx'")


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, ""),
        (True, "yes"),
        (1234567, "1,234,567"),
        (0.1, "0.1"),
        (datetime.fromisoformat("2025-07-01T00:00:00+00:00"), "2025-07-01T00:00:00Z"),
        (
            datetime.fromisoformat("2025-07-01T00:00:00+00:00") + timedelta(microseconds=5),
            "2025-07-01T00:00:00.000005Z",
        ),
    ],
)
def test_cells(value: object, shown: str) -> None:
    assert cell(value) == shown


def test_plain_text_keeps_letters_tabs_and_lines() -> None:
    assert plain("déjà\tvu\n€") == "déjà\tvu\n€"
    assert plain("a\x9b31mb\x7f") == "a\ufffd31mb\ufffd"
