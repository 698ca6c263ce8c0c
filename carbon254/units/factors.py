"""The one number between two units: worked out exactly, rounded once, kept.

`plan(source, target)` is what every conversion runs: multiply (or divide) once, and add once for temperatures.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

from carbon254.errors import MissingBasis, UnitMismatch

from .base import BaseConditions
from .bridge import Density, FxRate, HeatContent, exact
from .expression import Unit, unit


@dataclass(frozen=True, slots=True)
class Plan:
    """target = source × factor + shift. `divides` where 1/factor is whole: dividing by it rounds once, not twice."""

    factor: float
    shift: float = 0.0
    divides: bool = False


@lru_cache(maxsize=8192)
def plan(
    source: str,
    target: str,
    fx: tuple[FxRate, ...] = (),
    density: Density | None = None,
    heat_content: HeatContent | None = None,
    base: BaseConditions | None = None,
) -> Plan:
    """How `source` becomes `target`. Raises UnknownUnit, AmbiguousUnit, UnitMismatch or MissingBasis."""
    given, wanted = unit(source), unit(target)
    factor = given.scale / wanted.scale * _bridged(given, wanted, fx, density, heat_content, base)
    shift = (given.offset - wanted.offset) / wanted.scale
    inverse = 1 / factor
    if inverse.denominator == 1 and inverse > 1:
        return Plan(float(inverse), float(shift), divides=True)
    return Plan(float(factor), float(shift))


def exact_factor(source: str, target: str) -> Fraction:
    """The exact factor between two units of one kind (temperatures: of their degrees). Raises as `plan` does."""
    given, wanted = unit(source), unit(target)
    return given.scale / wanted.scale * _bridged(given, wanted, (), None, None, None)


def _bridged(
    given: Unit,
    wanted: Unit,
    fx: tuple[FxRate, ...],
    density: Density | None,
    heat_content: HeatContent | None,
    base: BaseConditions | None,
) -> Fraction:
    """What stated bridges add to the factor, in base units. Raises where they do not reach."""
    gap = _gap(given, wanted)
    factor = Fraction(1)
    for rate in fx:
        steps = gap.get(rate.quote, 0)
        if steps and gap.get(rate.base, 0) == -steps:
            factor *= exact(rate.rate) ** steps
            gap = _closed(gap, rate.base, rate.quote)
    if heat_content is not None and gap.get("E"):
        fuel = "V" if heat_content.of_volume else "M"
        steps = gap["E"]
        if gap.get(fuel, 0) == -steps:
            liquid = (given.liquid or wanted.liquid) and base is None
            factor *= heat_content.at("liquid" if liquid else base) ** steps
            gap = _closed(gap, fuel, "E")
    if density is not None and gap.get("M"):
        steps = gap["M"]
        if gap.get("V", 0) == -steps:
            factor *= density.exact**steps
            gap = _closed(gap, "V", "M")
    if gap:
        raise _refusal(given, wanted, gap, fx)
    return factor


def _gap(given: Unit, wanted: Unit) -> dict[str, int]:
    """Powers of base quantities that `wanted` has more than `given`."""
    names = {name for name, _ in (*given.dims, *wanted.dims)}
    return {name: more for name in names if (more := wanted.power(name) - given.power(name))}


def _closed(gap: dict[str, int], *names: str) -> dict[str, int]:
    return {name: more for name, more in gap.items() if name not in names}


def _refusal(given: Unit, wanted: Unit, gap: dict[str, int], fx: tuple[FxRate, ...]) -> UnitMismatch | MissingBasis:
    """The error that says what is missing between the two, and how to write it."""
    between = f"{given} → {wanted}: {given.kind} → {wanted.kind}"
    money = sorted((name for name in gap if len(name) == 3 and name != "eta"), key=lambda name: gap[name])
    if len(money) == 2 and len(gap) <= 4:
        said = f"; the rate given is {fx[0].base}/{fx[0].quote}" if fx else ""
        sold, bought = money
        return MissingBasis(
            f"{between}: {sold} and {bought} never convert by themselves{said}; "
            f'missing the rate and its day: fx=FxRate("{sold}", "{bought}", rate, date)'
        )
    if gap in ({"T": 1}, {"T": -1}) and {given.kind, wanted.kind} == {"energy", "power"}:
        verb = "energy_from_power" if gap["T"] == 1 else "power_from_energy"
        return MissingBasis(
            f"{between}: missing the length of the interval; write {verb}(values, minutes=5) or hours=…"
        )
    if set(gap) == {"E", "V"} and gap["E"] == -gap["V"]:
        return MissingBasis(
            f"{between}: missing the heat content with its date, basis and base conditions, and the volume's base: "
            'heat_content=HeatContent(1037, "Btu/cf", date="2021", basis="HHV", base="us_60F_14.73psia"), '
            'base="us_60F_14.73psia"'
        )
    if set(gap) == {"E", "M"} and gap["E"] == -gap["M"]:
        return MissingBasis(
            f'{between}: missing heat_content=HeatContent(value, "GJ/t", date="2021", basis="HHV")',
        )
    if set(gap) == {"M", "V"} and gap["M"] == -gap["V"]:
        return MissingBasis(f'{between}: missing density=Density(0.845, "kg/L")')
    if {given.kind, wanted.kind} == {"efficiency", "heat rate"}:
        return UnitMismatch(
            f"{between}: one is the other's inverse; write heat_rate(efficiency) or efficiency(heat_rate)"
        )
    if {given.kind, wanted.kind} == {"temperature", "temperature difference"}:
        return UnitMismatch(f"{between}: a temperature is no difference; write delta_degC or delta_degF on both sides")
    return UnitMismatch(f"{between}: they measure different things")
