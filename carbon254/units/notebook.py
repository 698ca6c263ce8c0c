"""A pint registry that agrees with our table, for notebooks. Pint is imported when it is asked for, not before."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING

from .spelling import look_up
from .table import UnitDef, table

if TYPE_CHECKING:
    import pint

_BASE = {"E": "joule", "T": "second", "V": "meter ** 3", "M": "kilogram", "P": "pascal", "eta": ""}
_WORD = re.compile(r"[A-Za-z][A-Za-z0-9_]*")


@cache
def registry() -> pint.UnitRegistry:
    """A pint registry with our units and factors: `units.registry()("10 MMBtu").to("MWh")`.

    Btu is the International Table one here (pint's own is ISO's, 1.3e-7 larger), barrels are petroleum's, currencies
    are dimensions of their own. What reads two ways raises AmbiguousUnit, as everywhere in this package.
    """
    import pint

    made = pint.UnitRegistry(preprocessors=[_refuse_ambiguous], on_redefinition="ignore")
    for code in sorted(table().currencies):
        made.define(f"{code} = [currency_{code}]")
    for found in table().units.values():
        line = _definition(found)
        if line:
            made.define(line)
    return made


def _definition(found: UnitDef) -> str:
    """Pint's line for one of our units; empty where pint's own definition is the same unit, or it has none."""
    if found.kind in ("temperature", "temperature difference", "time") or found.symbol in table().currencies:
        return ""
    if not _WORD.fullmatch(found.symbol) or found.symbol in ("J", "kg", "m3", "W", "Pa", "g", "L", "p", "efficiency"):
        return ""
    parts = [f"{_BASE.get(name, name)} ** {power}" for name, power in found.dims if _BASE.get(name, name)]
    others = [one for one in found.spellings if _WORD.fullmatch(one) and len(one) > 2]
    factor = f"{found.factor.numerator} / {found.factor.denominator}"
    return " = ".join([found.symbol, " * ".join([factor, *parts]), found.symbol, *others])


def _refuse_ambiguous(text: str) -> str:
    for word in _WORD.findall(text):
        folded = word.casefold()
        two_ways = folded in table().ambiguous or word in table().ambiguous_exactly
        if len(word) > 1 and two_ways and word not in table().exactly:
            look_up(word)
    return text
