"""Base conditions of gas volumes: the temperature and absolute pressure a cubic foot or metre is counted at.

One base to another goes by the ideal gas law, V₂ = V₁ · (p₁/p₂) · (T₂/T₁). Real gas differs by the ratio of its
compressibilities at the two bases; who needs that states volume and heat content at one base.
"""

from __future__ import annotations

import difflib
import tomllib
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from importlib.resources import files

from carbon254.errors import UnitError, UnitMismatch

from .expression import unit


@dataclass(frozen=True, slots=True)
class BaseConditions:
    """A named base: kelvin and pascal, exact. `liquid` stands for a volume that no gas law applies to."""

    name: str
    temperature_k: Fraction | None
    pressure_pa: Fraction | None
    source: str = ""

    @property
    def is_liquid(self) -> bool:
        """Whether the volume is one of a liquid."""
        return self.temperature_k is None or self.pressure_pa is None

    @classmethod
    def of(cls, temperature: float, temperature_unit: str, pressure: float, pressure_unit: str) -> BaseConditions:
        """Conditions of your own: BaseConditions.of(15, "degC", 101.325, "kPa"). Raises UnitMismatch, UnitError."""
        heat, press = unit(temperature_unit), unit(pressure_unit)
        if heat.kind != "temperature":
            raise UnitMismatch(f"{temperature_unit} measures a {heat.kind}; write a temperature in degC, degF or K")
        if press.kind != "pressure":
            raise UnitMismatch(f"{pressure_unit} measures a {press.kind}; write an absolute pressure in psia or bar")
        kelvin = Fraction(repr(float(temperature))) * heat.scale + heat.offset
        pascal = Fraction(repr(float(pressure))) * press.scale
        if kelvin <= 0 or pascal <= 0:
            raise UnitError("base conditions lie above absolute zero and above a vacuum")
        return cls(f"{temperature:g} {heat.text}, {pressure:g} {press.text}", kelvin, pascal, "as stated")

    def __str__(self) -> str:
        return self.name


@cache
def bases() -> dict[str, BaseConditions]:
    """Every named base."""
    raw = tomllib.loads(files("carbon254.units").joinpath("bases.toml").read_text("utf-8"))
    found = {"liquid": BaseConditions("liquid", None, None, "a liquid's volume; no gas law applies")}
    for name, entry in raw.items():
        made = BaseConditions.of(*entry["temperature"], *entry["pressure"])
        found[name] = BaseConditions(name, made.temperature_k, made.pressure_pa, entry["source"])
    return found


def base_conditions(given: BaseConditions | str) -> BaseConditions:
    """A base by its name, or one of your own as it is. Raises UnitError with the names there are."""
    if isinstance(given, BaseConditions):
        return given
    if given in bases():
        return bases()[given]
    close = difflib.get_close_matches(str(given), bases(), n=1, cutoff=0.3)
    hint = f"; did you mean {close[0]}?" if close else ""
    names = ", ".join(bases())
    raise UnitError(
        f"{given!r} is no named base{hint} Known: {names}; or BaseConditions.of(15, 'degC', 101.325, 'kPa')"
    )


def volume_ratio(given: BaseConditions, wanted: BaseConditions) -> Fraction:
    """Cubic metres at `wanted` that one cubic metre at `given` is (ideal gas law). Raises UnitMismatch for a liquid."""
    if given == wanted:
        return Fraction(1)
    if (
        given.temperature_k is None
        or given.pressure_pa is None
        or wanted.temperature_k is None
        or not wanted.pressure_pa
    ):
        raise UnitMismatch(
            f"a volume at {given} and one at {wanted} do not go together: one is a liquid, the other a gas"
        )
    return given.pressure_pa / wanted.pressure_pa * wanted.temperature_k / given.temperature_k
