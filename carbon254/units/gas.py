"""Gas volume ↔ energy at stated base conditions, one base to another, and HHV ↔ LHV by a ratio the caller states.

energy = volume at the heat content's base × heat content. A volume counted at another base is brought there by the
ideal gas law first (see `base`). Nothing is assumed: an undated or unbased figure raises, and says all that is missing.
"""

from __future__ import annotations

from typing import Any

from carbon254.errors import MissingBasis, UnitError, UnitMismatch

from .arrays import linear
from .base import BaseConditions, base_conditions, volume_ratio
from .bridge import HeatContent, heating_basis
from .constants import constants
from .conversion import convert
from .expression import unit


def gas_energy(
    volume: Any,
    source: str = "Mcf",
    target: str = "MMBtu",
    *,
    heat_content: HeatContent | None = None,
    base: BaseConditions | str | None = None,
    basis: str | None = None,
    water: str | None = None,
    out: Any = None,
) -> Any:
    """Energy of gas volumes in `target`, on the heating basis of `heat_content`; the same kind of container.

    `base` are the conditions `volume` is measured at; `basis` the one you expect, checked against the heat content's;
    `water` "dry" or "saturated", checked where both are stated. Raises MissingBasis naming everything that is missing,
    UnitMismatch for mixed bases.
    """
    whole = _checked(source, target, heat_content, base, basis, water)
    return convert(volume, source, target, heat_content=whole, base=base, out=out)


def gas_volume(
    energy: Any,
    source: str = "MMBtu",
    target: str = "Mcf",
    *,
    heat_content: HeatContent | None = None,
    base: BaseConditions | str | None = None,
    basis: str | None = None,
    water: str | None = None,
    out: Any = None,
) -> Any:
    """Volume at `base` of gas that holds `energy`; the inverse of `gas_energy`, with its errors."""
    whole = _checked(target, source, heat_content, base, basis, water)
    return convert(energy, source, target, heat_content=whole, base=base, out=out)


def rebase(
    volume: Any, source: BaseConditions | str, target: BaseConditions | str, *, unit_from: str = "m3", unit_to: str = ""
) -> Any:
    """Gas volumes counted at `source` as they count at `target`: V₂ = V₁ · (p₁/p₂) · (T₂/T₁), the ideal gas law."""
    factor = float(volume_ratio(base_conditions(source), base_conditions(target)))
    return linear(convert(volume, unit_from, unit_to or unit_from), factor)


def lhv_from_hhv(values: Any, *, ratio: float | None = None) -> Any:
    """HHV figures on the LHV basis. `ratio` is LHV/HHV, stated: about 0.90 for methane, more for heavier fuels."""
    return linear(values, _ratio(ratio))


def hhv_from_lhv(values: Any, *, ratio: float | None = None) -> Any:
    """LHV figures on the HHV basis; `ratio` is LHV/HHV, stated."""
    return linear(values, _ratio(ratio), divides=True)


def us_heat_content(year: int, figure: float | None = None) -> HeatContent:
    """The published US average heat content of gas of a year, HHV at 60 °F and 14.73 psia.

    Only years with a published figure here; nothing is interpolated. Where several were published, `figure` picks one.
    Raises MissingBasis listing what there is.
    """
    published = [found for found in constants().values() if found.name.startswith("natural_gas_us_")]
    of_year = {float(found.value): found for found in published if found.date == str(year)}
    if not of_year:
        years = ", ".join(sorted({str(found.date) for found in published}))
        raise MissingBasis(
            f"no US average heat content of {year} is kept here (there is: {years}); "
            f'write your own: HeatContent(1037, "Btu/cf", date="{year}", basis="HHV", base="us_60F_14.73psia")'
        )
    if figure is None and len(of_year) > 1:
        figures = " and ".join(f"{value:g}" for value in of_year)
        raise MissingBasis(f"{figures} Btu/cf were published for {year}; say which: us_heat_content({year}, figure=…)")
    found = of_year.get(float(figure)) if figure is not None else next(iter(of_year.values()))
    if found is None:
        figures = " and ".join(f"{value:g}" for value in of_year)
        raise UnitError(f"{figure:g} Btu/cf is not a figure published for {year}; there is {figures}")
    return HeatContent(found.value, found.unit, str(year), "HHV", "us_60F_14.73psia", source=found.source)


def _checked(
    volume_unit: str,
    energy_unit: str,
    heat_content: HeatContent | None,
    base: BaseConditions | str | None,
    basis: str | None,
    water: str | None,
) -> HeatContent:
    """The heat content if it goes with what was said about the volume. Raises MissingBasis or UnitMismatch."""
    if heat_content is None:
        for name in (volume_unit, energy_unit):
            unit(name)
        lacks = "" if base is not None else ' and the base conditions of the volume (base="us_60F_14.73psia")'
        raise MissingBasis(
            f"{volume_unit} → {energy_unit}: missing the heat content with its date, HHV/LHV basis and base conditions "
            f'(heat_content=HeatContent(1037, "Btu/cf", date="2021", basis="HHV", base="us_60F_14.73psia")){lacks}'
        )
    if not isinstance(heat_content, HeatContent):
        raise MissingBasis(
            f"the heat content {heat_content!r} is a bare figure: missing its unit, date, basis and base conditions; "
            'write HeatContent(1037, "Btu/cf", date="2021", basis="HHV", base="us_60F_14.73psia")'
        )
    wanted = heating_basis(basis)
    if wanted and heat_content.basis and wanted != heat_content.basis:
        raise UnitMismatch(
            f"{wanted} is asked and the heat content is {heat_content.basis}; state the fuel's ratio: "
            f"{'lhv_from_hhv' if wanted == 'LHV' else 'hhv_from_lhv'}(energy, ratio=LHV/HHV)"
        )
    if water and heat_content.water and water != heat_content.water:
        raise UnitMismatch(
            f"the volume is {water} and the heat content is of {heat_content.water} gas; state both alike"
        )
    return heat_content


def _ratio(ratio: float | None) -> float:
    if ratio is None:
        raise MissingBasis(
            "HHV ↔ LHV: missing the fuel's ratio; write ratio=LHV/HHV, like ratio=0.903 for a stated gas"
        )
    if not 0 < ratio <= 1:
        raise UnitError(f"LHV/HHV is above 0 and not above 1; {ratio!r} is not (was it written the other way round?)")
    return float(ratio)
