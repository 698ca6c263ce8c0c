"""House habits. Each finding says what to do instead."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "carbon254"
LONGEST_FILE = 330
LONGEST_FUNCTION = 70


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def tracked() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False)
    if listed.returncode:
        pytest.skip("not a git checkout")
    return [ROOT / name for name in listed.stdout.decode().split("\0") if name and (ROOT / name).is_file()]


@pytest.mark.sampled(263)
@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_file_is_a_room(path: Path) -> None:
    text = path.read_text("utf-8")
    tree = ast.parse(text)
    assert path.stem not in ("utils", "common", "helpers", "misc"), "a helper lives with its noun"
    assert text.count("\n") <= LONGEST_FILE, "give the second reason to change a file of its own"
    if text.strip():
        assert ast.get_docstring(tree), "say in the first line what the room is for"
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            size = (node.end_lineno or 0) - node.lineno + 1
            assert size <= LONGEST_FUNCTION, f"{node.name} is {size} lines: name its parts"


def test_no_year_is_written_in_code_that_tells_time() -> None:
    for folder in ("calendars", "feeds", "emulator", "stages"):
        for path in (PACKAGE / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                if isinstance(node, ast.Constant) and type(node.value) is int:
                    assert not 1990 <= node.value <= 2100, f"{path.name}:{node.lineno} writes the year {node.value}"


def strings(tree: ast.AST) -> Iterator[ast.Constant]:
    """Text in code, without docstrings and lone strings."""
    lone = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in lone:
            yield node


def test_no_date_is_written_in_the_calendars() -> None:
    for path in (PACKAGE / "calendars").rglob("*.py"):
        for node in strings(ast.parse(path.read_text("utf-8"))):
            found = re.search(r"\b(19|20)\d\d\b", str(node.value))
            assert not found, f"{path.name}:{node.lineno} writes {node.value!r}; dates are facts, for the .toml files"


# Columns are told in a reader's zone for showing only; what depends on the hour goes by the calendars' own clock.
SHOWING = {"cells.py", "printing.py", "vintages.py", "arrow.py"}


@pytest.mark.slow
def test_one_zone_database_tells_the_time() -> None:
    """Polars and the system have zone files of their own age; market days must not depend on them."""
    for path in modules():
        if path.parent.name == "calendars" or path.name in SHOWING:
            continue
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            called = node.func if isinstance(node, ast.Call) else None
            name = (
                called.id if isinstance(called, ast.Name) else called.attr if isinstance(called, ast.Attribute) else ""
            )
            assert name != "ZoneInfo", f"{path.name}:{node.lineno}: use calendars.zone"
            zoned = name in ("convert_time_zone", "replace_time_zone") and [ast.unparse(part) for part in node.args]
            assert zoned in (False, ["'UTC'"]), (
                f"{path.name}:{node.lineno}: use calendars.day_of, day_start or wall_to_utc"
            )


FORBIDDEN = {
    r"verify\s*=\s*False": "a bad certificate must fail",
    r"\bimport pickle\b|\bjoblib\b": "no pickles",
    r"(?<![\w.])print\(": "use the console of the command line, or a log",
    r"\biter_rows\([^)]*\):\s*$": None,
}


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_forbidden_words(path: Path) -> None:
    text = path.read_text("utf-8")
    for pattern, instead in FORBIDDEN.items():
        if instead:
            assert not re.search(pattern, text), f"{path.name}: {instead}"


def test_nothing_tracked_names_a_registry_or_this_machine() -> None:
    secret = re.compile(
        r"(https?://[^\s\"']*(pypi\.org/simple|files\.pythonhosted)|/root/|/work/|--index-url|/opt/c254)"
    )
    for path in tracked():
        if path.name == Path(__file__).name or path.suffix in (".png", ".svg", ".zip", ".gz", ".js"):
            continue
        found = secret.search(path.read_text("utf-8", "replace"))
        assert not found, f"{path.relative_to(ROOT)} names {found and found[0]}"


def test_every_dependency_is_locked_with_hashes() -> None:
    for name in ("requirements.txt", "requirements-dev.txt"):
        text = (ROOT / name).read_text("utf-8")
        pinned = re.findall(r"^([A-Za-z0-9_.\-\[\]]+)==", text, re.MULTILINE)
        assert len(pinned) > 20
        assert text.count("--hash=sha256:") >= len(pinned), f"{name}: write it with scripts/lock"
