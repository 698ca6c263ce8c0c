"""`c254 units` and the guide's examples."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path

import pytest
from cli.shell import Said, c254
from typer.testing import CliRunner

from carbon254.cli.main import app
from carbon254.units import constants_table

GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "units.md"


def typed(*words: str) -> Said:
    done = CliRunner().invoke(app, ["units", *words])
    return Said(done.exit_code, done.stdout, done.stderr)


def test_the_issues_question_in_a_process_of_its_own() -> None:
    said = c254("units", "10 Mcf at 1037 Btu/cf in MWh")
    assert said.code == 0, said
    for part in (
        "10,370,000 Btu",
        "10.37 MMBtu",
        "3.03914699769 MWh",
        "as stated",
        "HHV (US convention)",
        "taken as the same",
    ):
        assert part in said.out


def test_options_say_the_same_as_words() -> None:
    words = typed("10 Mcf at 1037 Btu/cf in MWh", "--json")
    options = typed("10", "Mcf", "--to", "MWh", "--heat-content", "1037 Btu/cf", "--json")
    assert json.loads(words.out) == json.loads(options.out)
    assert json.loads(words.out)["value"] == pytest.approx(3.039146997685944)


def test_stated_bases_and_dates_are_told() -> None:
    said = typed(
        "10", "Mcf", "--to", "MMBtu", "--heat-content", "1037 Btu/cf", "--basis", "HHV", "--date", "2021-06",
        "--base", "us_60F_14.65psia", "--heat-base", "us_60F_14.73psia",
    )  # fmt: skip
    assert said.code == 0
    assert "10.3136795655 MMBtu" in said.out and "ideal gas law" in said.out and "of 2021-06" in said.out


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (("10 Mcf in MWh",), ("missing the heat content", "date", "base", "1037 Btu/cf in MWh")),
        (("10 mcf at 1037 Btu/cf in MWh",), ("two ways", "Mcf", "MMcf")),
        (("10", "MWhh", "--to", "MJ"), ("did you mean MWh",)),
        (("10", "MWh", "--to", "MMBtuu"), ("did you mean MMBtu",)),
        (("100 MW in MWh",), ("length", "for 15 min")),
        (("10 MWh",), ("into which unit",)),
        (("10 Mcf", "--to", "MWh", "--heat-content", "high"), ("no number",)),
    ],
)
def test_errors_are_one_line_and_exit_2(words: tuple[str, ...], parts: tuple[str, ...]) -> None:
    said = typed(*words)
    assert said.code == 2 and said.out == ""
    assert len(said.err.strip().splitlines()) == 1
    assert all(part in said.err for part in parts), said.err


def test_negative_numbers_and_wrong_options() -> None:
    assert "-40 degC" in typed("-40", "degF", "--to", "degC").out
    assert typed("10", "MWh", "--tp", "MJ").code == 2
    assert typed().code == 2
    assert typed("10 Mcf at 1037 Btu/cf in MWh", "--to", "GJ").code == 2


def test_the_list() -> None:
    assert all(part in typed("--list").out for part in ("MMBtu", "us_60F_14.73psia", "natural_gas_us_2007"))
    assert {"unit": "MMBtu", "kind": "energy"}.items() <= {
        entry["unit"]: entry for entry in json.loads(typed("--list", "--json").out)
    }["MMBtu"].items()


def test_the_guides_examples_run() -> None:
    blocks = re.findall(r"```python\n(.*?)```", GUIDE.read_text("utf-8"), re.DOTALL)
    assert len(blocks) >= 6
    scope: dict[str, object] = {}
    checked = 0
    for block in blocks:
        for node in ast.parse(block).body:
            code = ast.get_source_segment(block, node) or ""
            _, mark, expected = block.splitlines()[node.end_lineno - 1 if node.end_lineno else 0].partition("  # → ")
            if mark:
                assert repr(eval(code, scope)) == expected, code
                checked += 1
            else:
                exec(code, scope)
    assert checked >= 10


def test_the_guides_constants_are_the_packages() -> None:
    assert constants_table() in GUIDE.read_text("utf-8"), "paste constants_table() into the guide"
