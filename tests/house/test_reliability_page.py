"""docs/reliability.md is what its runner wrote: every test of the programme by its number, every sync, every fault."""

from __future__ import annotations

import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
PROGRAMME = ROOT / "tests" / "reliability"


def test_the_page_names_every_test_of_the_programme() -> None:
    page = (ROOT / "docs" / "reliability.md").read_text("utf-8")
    for number, one in tomllib.loads((PROGRAMME / "programme.toml").read_text()).items():
        assert f"| {number} | {one['title']} |" in page, f"test {number} is not told of: make test-reliability"


def test_every_fault_that_was_found_is_kept_out_by_a_test_that_is_there() -> None:
    for one in tomllib.loads((PROGRAMME / "found.toml").read_text())["found"]:
        file, test = one["kept_by"].split("::")
        assert f"def {test.split('[')[0]}(" in (PROGRAMME / file).read_text("utf-8"), one["kept_by"]
