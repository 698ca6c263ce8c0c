"""The named places of the commit recipe, read out of the source, so that a new one cannot go untested."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).parents[2] / "carbon254"


@cache
def points() -> dict[str, str]:
    """Name → file, of every `reach("…")` in the package."""
    found: dict[str, str] = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        text = path.read_text("utf-8")
        for node in ast.walk(ast.parse(text)) if "reach(" in text else ():
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "reach":
                (name,) = node.args
                assert isinstance(name, ast.Constant), f"{path}: a name is a plain text"
                assert name.value not in found, f"{name.value} is there twice"
                found[str(name.value)] = str(path.relative_to(PACKAGE))
    return found


# Reached only where a workspace is opened whose days are not told: tests/flow/test_older_bars.py dies at each.
OLDER = ("hot.days_begun", "hot.days_told")
# Reached only where a market day is over and judged: tests/flow/test_bars.py dies at each.
SEALS = ("seal.begun", "seal.stored", "seal.done")
# Reached only where what was read again differs, or an older workspace is brought over: tests/flow/test_identity.py
# and tests/flow/test_upgrade.py die at each.
SELDOM = ("settle.rebuilt", "settle.done", "upgrade.begun", "upgrade.step", "upgrade.noted", "upgrade.ended")
LIGHT = ("raw.", "inbox.", "log.", "ledger.", "budget.", "decisions.")


def light() -> list[str]:
    """Points that a fork may die at: stores that start no threads."""
    return [name for name in points() if name.startswith(LIGHT)]


def heavy() -> list[str]:
    """Points around the engines: normaliser, hot store, bars, lake, rebuild."""
    return [name for name in points() if not name.startswith(LIGHT) and name not in (*OLDER, *SEALS, *SELDOM)]
