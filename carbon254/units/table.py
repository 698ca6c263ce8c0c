"""The units this package knows, read once from `units.toml`: exact factors, and every spelling that names one.

Factors are fractions until the very last step, so that a factor between two units is rounded once.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from importlib.resources import files
from typing import Any

Dims = tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class UnitDef:
    """One named unit: value in base units = factor × number + offset. `kind` is the quantity it measures."""

    symbol: str
    kind: str
    dims: Dims
    factor: Fraction
    offset: Fraction = Fraction(0)
    liquid: bool = False
    spellings: tuple[str, ...] = ()
    note: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """Every unit, its spellings as written and in any case, and what is refused because it reads two ways."""

    units: dict[str, UnitDef]
    exactly: dict[str, UnitDef]
    folded: dict[str, UnitDef]
    ambiguous: dict[str, str]
    ambiguous_exactly: dict[str, str]
    phrases: tuple[tuple[str, str], ...]
    currencies: frozenset[str]


@cache
def table() -> Table:
    """The table, read on first use."""
    raw = tomllib.loads(files("carbon254.units").joinpath("units.toml").read_text("utf-8"))
    units: dict[str, UnitDef] = {}
    for found in (*_measures(raw), *_currencies(raw["currencies"])):
        units[found.symbol] = found
    exactly = {spelling: unit for unit in units.values() for spelling in (unit.symbol, *unit.spellings)}
    case_matters = set(raw["spelling"]["exactly"])
    folded = {
        spelling.casefold(): unit
        for spelling, unit in exactly.items()
        if len(spelling) > 1 and spelling not in case_matters
    }
    return Table(
        units,
        exactly,
        folded,
        raw["ambiguous"],
        raw["ambiguous_exactly"],
        tuple(sorted(raw["phrases"].items(), key=lambda pair: -len(pair[0]))),
        frozenset(raw["currencies"]["codes"]),
    )


def kinds() -> dict[str, Dims]:
    """The dimensions of each named kind of quantity."""
    return {unit.kind: unit.dims for unit in table().units.values()}


def _measures(raw: dict[str, Any]) -> Iterator[UnitDef]:
    for kind, group in raw.items():
        if not isinstance(group, dict) or "dims" not in group:
            continue
        factors: dict[str, Fraction] = {}
        for symbol, entry in group["units"].items():
            factors[symbol] = _factor(entry["factor"], factors)
            yield UnitDef(
                symbol,
                kind,
                tuple(sorted(group["dims"].items())),
                factors[symbol],
                Fraction(entry.get("offset", "0")),
                entry.get("liquid", False),
                tuple(entry.get("spellings", ())),
                entry.get("note", ""),
            )


def _currencies(raw: dict[str, Any]) -> Iterator[UnitDef]:
    for code in raw["codes"]:
        yield UnitDef(code, "currency", ((code, 1),), Fraction(1), spellings=tuple(raw["units"].get(code, ())))
    for symbol, entry in raw["parts"].items():
        dims = ((entry["of"], 1),)
        yield UnitDef(symbol, "currency", dims, Fraction(entry["factor"]), spellings=tuple(entry["spellings"]))


def _factor(text: str, known: dict[str, Fraction]) -> Fraction:
    number, _, unit = text.partition(" ")
    return Fraction(number) * (known[unit] if unit else 1)
