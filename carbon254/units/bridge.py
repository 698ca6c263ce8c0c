"""What joins quantities of different kinds: an exchange rate, a density, a heat content with the base of its volume.

A bridge is stated by the caller. Nothing here is ever assumed; what is missing is named, all of it at once.
"""

from __future__ import annotations

import datetime as dt
import math
import re
from dataclasses import dataclass, replace
from fractions import Fraction
from numbers import Real

from carbon254.errors import MissingBasis, UnitError, UnitMismatch

from .base import BaseConditions, base_conditions, volume_ratio
from .expression import unit
from .table import table

_BASES = {"HHV": "HHV", "GCV": "HHV", "GROSS": "HHV", "LHV": "LHV", "NCV": "LHV", "NET": "LHV"}
_VINTAGE = re.compile(r"\d{4}(-\d{2}(-\d{2})?)?")


@dataclass(frozen=True, slots=True)
class FxRate:
    """One `base` costs `rate` of `quote` on `date`: FxRate("EUR", "USD", 1.08, date(2025, 6, 2)) is 1 EUR = 1.08 USD.

    Raises UnknownUnit, UnitError or MissingBasis where a part is wrong or missing.
    """

    base: str
    quote: str
    rate: float
    date: dt.date | str | None = None

    def __post_init__(self) -> None:
        for name in ("base", "quote"):
            object.__setattr__(self, name, _currency(getattr(self, name)))
        if self.base == self.quote:
            raise UnitError(f"an exchange rate joins two currencies, not {self.base} with itself")
        object.__setattr__(self, "rate", _positive(self.rate, f"the rate {self.base}/{self.quote}"))
        if self.date is None:
            raise MissingBasis(
                f"the rate {self.base}/{self.quote} {self.rate:g} has no date; "
                f'write FxRate("{self.base}", "{self.quote}", {self.rate:g}, date=…) with the day it is of'
            )
        object.__setattr__(self, "date", dated(self.date))


@dataclass(frozen=True, slots=True)
class Density:
    """Mass of a volume: Density(0.845, "kg/L"). Raises UnitMismatch where the unit is none of mass per volume."""

    value: float
    unit: str = "kg/m3"

    def __post_init__(self) -> None:
        object.__setattr__(self, "value", _positive(self.value, "a density"))
        if unit(self.unit).dims != (("M", 1), ("V", -1)):
            raise UnitMismatch(f"{self.unit} measures a {unit(self.unit).kind}, not a density; write kg/m3 or lb/gal")

    @property
    def exact(self) -> Fraction:
        """kg a cubic metre."""
        return exact(self.value) * unit(self.unit).scale


@dataclass(frozen=True, slots=True)
class HeatContent:
    """Energy of a volume or a mass of fuel, with all that makes the figure mean something.

    `value` per `unit` ("Btu/cf", "MJ/m3", "MMBtu/bbl", "GJ/t"); `date` is the day, month or year it is of (a date, or
    text like "2021-06"); `basis` is HHV (gross, GCV) or LHV (net, NCV); `base` are the conditions its volume is
    measured at (see `base_conditions`; fuels by the barrel or gallon are liquids and need none); `water` is "dry" or
    "saturated" where stated. What is left out is only missed when the figure is used: `missing()` says what.
    `as_stated()` is for one calculation on a figure that stands for itself.
    """

    value: float
    unit: str
    date: dt.date | str | int | None = None
    basis: str | None = None
    base: BaseConditions | str | None = None
    water: str | None = None
    source: str = ""
    alone: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "value", _positive(self.value, "a heat content"))
        found = unit(self.unit)
        if found.dims not in ((("E", 1), ("V", -1)), (("E", 1), ("M", -1))):
            raise UnitMismatch(f"{self.unit} measures a {found.kind}, not a heat content; write Btu/cf, MJ/m3 or GJ/t")
        object.__setattr__(self, "basis", heating_basis(self.basis))
        object.__setattr__(self, "date", None if self.date is None else dated(self.date))
        if self.water not in (None, "dry", "saturated"):
            raise UnitError(f'the water of a gas is "dry" or "saturated", not {self.water!r}')
        if self.base is not None:
            object.__setattr__(self, "base", base_conditions(self.base))
        elif found.liquid:
            object.__setattr__(self, "base", base_conditions("liquid"))

    @property
    def of_volume(self) -> bool:
        """Whether it is per volume, and not per mass."""
        return unit(self.unit).power("V") != 0

    @property
    def exact(self) -> Fraction:
        """Joules a cubic metre, or a kilogram."""
        return exact(self.value) * unit(self.unit).scale

    def missing(self) -> list[str]:
        """What the figure lacks, each with how to write it; empty where it is whole."""
        lacks: list[str] = []
        if self.alone:
            return lacks
        if self.date is None:
            lacks.append('the date of the heat content (date="2021-06")')
        if self.basis is None:
            lacks.append('its basis (basis="HHV" or "LHV")')
        if self.base is None and self.of_volume:
            lacks.append('the base conditions of its volume (base="us_60F_14.73psia")')
        return lacks

    def as_stated(self) -> HeatContent:
        """The bare figure, taken as it stands: its volume counted as yours is, date and basis yours to answer for."""
        return replace(self, alone=True)

    def at(self, base: BaseConditions | str | None) -> Fraction:
        """Exact joules a cubic metre of a volume measured at `base`, by the ideal gas law. Raises MissingBasis."""
        lacks = self.missing()
        if base is None and self.of_volume and not self.alone:
            lacks.insert(0, 'the base conditions of the volume (base="us_60F_14.73psia")')
        if lacks:
            raise MissingBasis(f"volume → energy: missing {'; '.join(lacks)}")
        if not self.of_volume or base is None or self.base is None:
            return self.exact
        return self.exact * volume_ratio(base_conditions(base), base_conditions(self.base))


def heating_basis(text: str | None) -> str | None:
    """HHV or LHV by any of its names (GCV, gross, NCV, net); None stays None. Raises UnitError."""
    if text is None:
        return None
    found = _BASES.get(str(text).strip().upper())
    if found is None:
        raise UnitError(f"{text!r} is no heating basis; write HHV (gross, GCV) or LHV (net, NCV)")
    return found


def dated(moment: dt.date | str | int) -> dt.date | str:
    """A day, or a month or year as text. Raises UnitError."""
    if isinstance(moment, dt.datetime):
        return moment.date()
    if isinstance(moment, dt.date):
        return moment
    text = str(moment).strip()
    parts = text.split("-")
    try:
        if _VINTAGE.fullmatch(text):
            dt.date.fromisoformat("-".join([*parts, "01", "01"][:3]))
            return dt.date.fromisoformat(text) if len(parts) == 3 else text
    except ValueError:
        pass
    raise UnitError(f"{moment!r} is no date; write a day, a month or a year, like 2021-06-30, 2021-06 or 2021")


def exact(value: float) -> Fraction:
    """A figure as it is written: 1.08 is 108/100, not the nearest binary fraction."""
    return Fraction(repr(float(value)))


def _currency(text: str) -> str:
    found = unit(text)
    if found.text not in table().currencies:
        codes = ", ".join(sorted(table().currencies))
        raise UnitError(f"{text!r} is not a currency an exchange rate is quoted in; write one of {codes}")
    return found.text


def _positive(value: float, what: str) -> float:
    if isinstance(value, bool) or not isinstance(value, Real) or not math.isfinite(value) or value <= 0:
        raise UnitError(f"{what} is a number above zero, not {value!r}")
    return float(value)
