"""Figures with their source, basis, date and exactness, from `constants.toml`."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files


@dataclass(frozen=True, slots=True)
class Constant:
    """One figure. `date` is the year it is of, None where it is of none; `exact` where it is so by definition."""

    name: str
    value: float
    unit: str
    source: str
    exact: bool = False
    basis: str | None = None
    date: str | None = None
    note: str = ""


@cache
def constants() -> dict[str, Constant]:
    """Every constant by its name."""
    raw = tomllib.loads(files("carbon254.units").joinpath("constants.toml").read_text("utf-8"))
    return {name: Constant(name, **entry) for name, entry in raw.items()}


def constants_table() -> str:
    """The constants as a Markdown table, as the guide shows it."""
    lines = ["| constant | value | basis | of | exact | source |", "|---|---|---|---|---|---|"]
    for one in constants().values():
        told = f"{one.value:,.10g} {one.unit}"
        note = f"{one.source}. {one.note}" if one.note else one.source
        exact = "yes" if one.exact else ""
        lines.append(f"| {one.name} | {told} | {one.basis or ''} | {one.date or ''} | {exact} | {note} |")
    return "\n".join(lines)
