"""Prices as markets publish them → currency per MWh. The currency stays beside the number and is never converted."""

from __future__ import annotations

import difflib
import re
import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from carbon254.errors import UnitMismatch, UnknownUnit

from .arrays import linear
from .conversion import convert
from .expression import unit


@dataclass(frozen=True, slots=True)
class StandardPrice:
    """Prices in `unit` ("USD/MWh", "CAD/MWh", …), in the container they came in."""

    values: Any
    currency: str
    market: str

    @property
    def unit(self) -> str:
        """Currency per MWh."""
        return f"{self.currency}/MWh"


def standardise_price(values: Any, market: str, published: str = "$/MWh") -> StandardPrice:
    """Prices that `market` publishes in `published` as its currency per MWh.

    "$/MWh", "$/MWHr", "$/MWh-h" and their kind are one unit; "$" is the market's own dollar. ¢/kWh and other prices of
    energy convert by their exact factor. Raises UnknownUnit for a market not kept here, UnitMismatch for a price of
    something else or in another currency.
    """
    name, currency = currency_of(market)
    text = " ".join(str(published).split())
    if _squeezed(_dollar(text, currency)) in _per_mwh(currency):
        return StandardPrice(linear(values, 1.0), currency, name)
    text = _dollar(text, currency)
    found = unit(text)
    if found.currency is None or not found.kind.startswith("price of energy"):
        raise UnitMismatch(
            f"{name} {published!r} measures {found.kind}; a price of energy is written like {currency}/MWh"
        )
    if found.currency != currency:
        raise UnitMismatch(
            f"{name} publishes {currency} and {published!r} is {found.currency}; name the unit it publishes, and "
            f'convert after, with fx=FxRate("{currency}", "{found.currency}", rate, date)'
        )
    return StandardPrice(convert(values, text, f"{currency}/MWh"), currency, name)


def currency_of(market: str) -> tuple[str, str]:
    """The market's name here and the currency it publishes. Raises UnknownUnit with the nearest market."""
    found = _names().get(_squeezed(str(market)))
    if found is None:
        close = difflib.get_close_matches(_squeezed(str(market)), _names(), n=1, cutoff=0.5)
        hint = f"; did you mean {_names()[close[0]][0]}?" if close else ""
        known = ", ".join(_raw()["markets"])
        raise UnknownUnit(f"no prices of {market!r} are known{hint} Markets: {known}")
    return found


def _dollar(text: str, currency: str) -> str:
    """`$` as the market's own dollar, and `¢` as its cent."""
    text = re.sub(r"^(\$|dollars?\b)", currency, text, flags=re.IGNORECASE)
    return re.sub(r"^(¢|cents?\b|c(?=/))", f"{currency}c", text, flags=re.IGNORECASE)


@cache
def _per_mwh(currency: str) -> frozenset[str]:
    return frozenset(_squeezed(_dollar(text, currency)) for text in _raw()["spellings"]["per_mwh"])


@cache
def _names() -> dict[str, tuple[str, str]]:
    found = {}
    for name, entry in _raw()["markets"].items():
        for spelling in (name, *entry["names"]):
            found[_squeezed(spelling)] = (name, entry["currency"])
    return found


def _squeezed(text: str) -> str:
    return re.sub(r"[\s_]", "", text).casefold().replace("iso-ne", "isone")


@cache
def _raw() -> dict[str, Any]:
    return tomllib.loads(files("carbon254.units").joinpath("prices.toml").read_text("utf-8"))
