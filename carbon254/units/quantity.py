"""Quantities that know what they are: unit, heating basis and base conditions travel with the number.

What does not go together does not add: MW to MWh, HHV to LHV energy, energy without a basis to fuel energy with one,
gas at one base to gas at another. The error says what to write instead.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from carbon254.errors import MissingBasis, UnitError, UnitMismatch

from .base import BaseConditions, base_conditions
from .bridge import Density, FxRate, HeatContent, heating_basis
from .conversion import convert
from .expression import unit
from .gas import gas_energy, rebase


@dataclass(frozen=True, slots=True, eq=False)
class Quantity:
    """A number or an array in a unit; `basis` (HHV, LHV) for energy of fuel, `base` for volumes of gas.

    >>> Quantity(10, "Mcf", base="us_60F_14.73psia")
    Quantity(10 Mcf at us_60F_14.73psia)
    """

    value: Any
    unit: str
    basis: str | None = None
    base: BaseConditions | str | None = None

    def __post_init__(self) -> None:
        found = unit(self.unit)
        object.__setattr__(self, "unit", found.text)
        object.__setattr__(self, "basis", heating_basis(self.basis))
        if self.basis and not found.power("E") and found.dims:
            raise UnitError(f"{self.unit} measures {found.kind}; a heating basis belongs to energy")
        if self.base is not None:
            if not found.power("V"):
                raise UnitError(f"{self.unit} measures {found.kind}; base conditions belong to volumes")
            object.__setattr__(self, "base", base_conditions(self.base))

    @property
    def kind(self) -> str:
        """What it measures, in words."""
        return unit(self.unit).kind

    def to(
        self,
        target: str,
        *,
        fx: FxRate | None = None,
        density: Density | None = None,
        heat_content: HeatContent | None = None,
    ) -> Quantity:
        """The same quantity in another unit; volumes of gas become energy with a heat content. Raises as `convert`."""
        if heat_content is not None and self.kind.startswith("volume") and unit(target).power("E"):
            value = gas_energy(self.value, self.unit, target, heat_content=heat_content, base=self.base)
            return Quantity(value, target, heat_content.basis)
        if heat_content is not None and self.basis and heat_content.basis and self.basis != heat_content.basis:
            raise UnitMismatch(
                f"the energy is {self.basis} and the heat content {heat_content.basis}; state both alike"
            )
        base = self.base if unit(self.unit).power("V") else heat_content.base if heat_content else None
        value = convert(
            self.value, self.unit, target, fx=fx, density=density, heat_content=heat_content, base=base
        )  # fmt: skip
        wanted = unit(target)
        return Quantity(
            value,
            target,
            self.basis if wanted.power("E") else None,
            base if wanted.power("V") and not wanted.liquid else None,
        )

    def at(self, base: BaseConditions | str) -> Quantity:
        """The same gas counted at another base (ideal gas law). Raises MissingBasis where it has none yet."""
        if self.base is None:
            raise MissingBasis(
                f"{self} has no base conditions to come from; write Quantity(…, base=…) or .stated(base=…)"
            )
        return replace(self, value=rebase(self.value, self.base, base), base=base)

    def stated(self, *, basis: str | None = None, base: BaseConditions | str | None = None) -> Quantity:
        """The same number, with what it lacked stated. Raises UnitMismatch where it already says otherwise."""
        if basis and self.basis and heating_basis(basis) != self.basis:
            raise UnitMismatch(
                f"{self} is {self.basis}; lhv_from_hhv and hhv_from_lhv change a basis, by a stated ratio"
            )
        if base and self.base and base_conditions(base) != self.base:
            raise UnitMismatch(f"{self} is at {self.base}; .at({str(base)!r}) counts it at another base")
        return replace(self, basis=basis or self.basis, base=base or self.base)

    def __add__(self, other: Quantity) -> Quantity:
        return replace(self, value=self.value + self._alike(other, "added"))

    def __sub__(self, other: Quantity) -> Quantity:
        return replace(self, value=self.value - self._alike(other, "subtracted"))

    def __radd__(self, other: Any) -> Quantity:
        # sum() begins with 0, the one number that adds to anything.
        if isinstance(other, int | float) and other == 0:
            return self
        return replace(self, value=self.value + self._alike(other, "added"))

    def __neg__(self) -> Quantity:
        return replace(self, value=-self.value)

    def __mul__(self, other: Any) -> Quantity:
        return self._combined(other, "*")

    def __rmul__(self, other: Any) -> Quantity:
        return self._combined(other, "*")

    def __truediv__(self, other: Any) -> Quantity:
        return self._combined(other, "/")

    def __eq__(self, other: object) -> Any:
        if not isinstance(other, Quantity):
            return NotImplemented
        if unit(other.unit).dims != unit(self.unit).dims or (other.basis, other.base) != (self.basis, self.base):
            return False
        return self.value == convert(other.value, other.unit, self.unit)

    __hash__ = None  # pyright: ignore[reportAssignmentType]

    def __lt__(self, other: Quantity) -> Any:
        return self.value < self._alike(other, "compared")

    def __le__(self, other: Quantity) -> Any:
        return self.value <= self._alike(other, "compared")

    def __gt__(self, other: Quantity) -> Any:
        return self.value > self._alike(other, "compared")

    def __ge__(self, other: Quantity) -> Any:
        return self.value >= self._alike(other, "compared")

    def __repr__(self) -> str:
        told = f"{self.value:.12g}" if isinstance(self.value, int | float | np.floating) else str(self.value)
        beside = "".join((f" {self.basis}" if self.basis else "", f" at {self.base}" if self.base else ""))
        return f"Quantity({told} {self.unit}{beside})"

    def _alike(self, other: Any, verb: str) -> Any:
        """The other's value in this unit. Raises UnitMismatch, or MissingBasis where one side does not say."""
        if not isinstance(other, Quantity):
            raise UnitMismatch(f"{self} and the bare number {other!r} cannot be {verb}; give the number a unit")
        for name, one, two in (("basis", self.basis, other.basis), ("base", self.base, other.base)):
            if one == two:
                continue
            if one is None or two is None:
                silent = self if one is None else other
                raise MissingBasis(
                    f"{self} and {other} cannot be {verb}: {silent} does not say its {name}; "
                    f"write .stated({name}={str(one or two)!r}) if that is what it is"
                )
            fix = "lhv_from_hhv(…, ratio=…)" if name == "basis" else f".at({str(one)!r}) on the second"
            raise UnitMismatch(f"{self} and {other} cannot be {verb}: {one} and {two} do not mix; first {fix}")
        if unit(self.unit).kind == "temperature" and verb != "compared":
            raise UnitMismatch(f"two temperatures cannot be {verb}; write differences in delta_degC or delta_degF")
        return convert(other.value, other.unit, self.unit)

    def _combined(self, other: Any, sign: str) -> Quantity:
        if not isinstance(other, Quantity):
            return replace(self, value=self.value * other if sign == "*" else self.value / other)
        if self.basis and other.basis and self.basis != other.basis:
            raise UnitMismatch(f"{self} and {other}: {self.basis} and {other.basis} do not mix")
        if self.base and other.base and self.base != other.base:
            raise UnitMismatch(f"{self} and {other} are at two bases; first .at({str(self.base)!r}) on the second")
        value = self.value * other.value if sign == "*" else self.value / other.value
        text = f"({self.unit}){sign}({other.unit})"
        found = unit(text)
        basis = (self.basis or other.basis) if found.power("E") or not found.dims else None
        return Quantity(value, text, basis, (self.base or other.base) if found.power("V") else None)
