"""Quantities as a desk writes them: `10 Mcf`, `$25/MWh`, `1,037 Btu/cf HHV`, `1.2e3 MMBtu/d`.

Units of our own table are read by its grammar. One word that it lacks (erg, PWh, hogshead, …) is asked of pint, which
is imported only then, and told in our base unit; expressions and units of the trade are never left to it.
"""

from __future__ import annotations

import math
import re
from typing import Any

from carbon254.errors import AmbiguousUnit, UnitError, UnknownUnit

from .expression import unit
from .quantity import Quantity

_LONGEST = 60
_NUMBER = r"[-+−]?(?:\d{1,3}(?:[,_]\d{3})+|\d+)(?:\.\d*)?(?:[eE][-+]?\d+)?|[-+−]?\.\d+(?:[eE][-+]?\d+)?"
_SIGNED = re.compile(
    rf"^(?P<sign>[-+−]?)\s*(?P<money>(?:US|CA|AU|C|A|Cdn)?\$|€|£)\s*(?P<number>{_NUMBER})\s*(?P<rest>.*)$"
)
_PLAIN = re.compile(rf"^(?P<number>{_NUMBER})\s*(?P<unit>.*)$")
_BASIS = re.compile(r"\s*\(?\b(HHV|LHV|GCV|NCV|gross|net)\)?$", re.IGNORECASE)
_ONE_WORD = re.compile(r"[A-Za-z_]{3,40}")
# Prefixes of these mean thousand or million by custom, which pint does not know.
_OF_THE_TRADE = re.compile(r"btu|therm|dth|cf|bbl|barrel|ton|cal", re.IGNORECASE)
# pint dimension → our unit that stands for it.
_THROUGH_PINT = {
    "joule": "J", "watt": "W", "meter ** 3": "m3", "kilogram": "kg", "second": "s", "pascal": "Pa",
}  # fmt: skip


def parse(text: str) -> Quantity:
    """The quantity that `text` writes, with its heating basis where it says one.

    Raises UnitError with an example where there is no number, UnknownUnit with the nearest unit, AmbiguousUnit.
    """
    if not isinstance(text, str):
        raise UnitError(f"a quantity is text like '10 Mcf', not {type(text).__name__}")
    given = " ".join(text.split())
    if len(given) > 4 * _LONGEST:
        raise UnitError(f"{given[:20]!r}… is too long for a number and its unit")
    basis = _BASIS.search(given)
    if basis:
        given = given[: basis.start()]
    number, name = _parts(given, text)
    try:
        return Quantity(number, unit(name).text, basis[1] if basis else None)
    except AmbiguousUnit:
        raise
    except UnknownUnit as error:
        value, ours = _through_pint(number, name, error)
        return Quantity(value, ours, basis[1] if basis else None)


def number_of(text: str) -> float:
    """A number as people type it: 10,370,000 or 1_000 or 1e3. Whole numbers stay whole. Raises UnitError."""
    if len(text) > _LONGEST:
        raise UnitError(f"a number of {len(text)} characters ({text[:20]}…) is none")
    plain = text.replace(",", "").replace("_", "").replace("−", "-")
    number = int(plain) if re.fullmatch(r"[-+]?\d+", plain) else float(plain)
    if not math.isfinite(number):
        raise UnitError(f"{text} is too large to count with")
    return number


def _parts(given: str, whole: str) -> tuple[float, str]:
    money = _SIGNED.match(given)
    if money:
        number = number_of(money["number"])
        return (-number if money["sign"] in ("-", "−") else number), money["money"] + money["rest"]
    plain = _PLAIN.match(given)
    if not plain:
        raise UnitError(f"{whole!r} has no number; write a number and its unit, like '10 Mcf' or '25 USD/MWh'")
    if not plain["unit"]:
        raise UnitError(f"{whole!r} has no unit; write a number and its unit, like '10 Mcf' or '25 USD/MWh'")
    if plain["unit"][0].isdigit():
        raise UnitError(f"{whole!r} has two numbers in a row; write one number and its unit")
    return number_of(plain["number"]), plain["unit"]


def _through_pint(number: float, name: str, error: UnknownUnit) -> tuple[float, str]:
    """Number and unit by pint, in our base unit. Raises the given error where pint does not know it either."""
    if not _ONE_WORD.fullmatch(name) or _OF_THE_TRADE.search(name):
        raise error
    from .notebook import registry

    pint: Any = registry()
    try:
        found = pint.Quantity(number, name)
        for theirs, ours in _THROUGH_PINT.items():
            if found.is_compatible_with(theirs):
                return float(found.to(theirs).magnitude), ours
    except AmbiguousUnit:
        raise
    except Exception:
        raise error from None
    raise error
