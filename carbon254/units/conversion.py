"""`convert`: from one unit to another, whole columns at a time."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from carbon254.errors import UnitError, UnitMismatch

from .arrays import linear
from .base import BaseConditions, base_conditions
from .bridge import Density, FxRate, HeatContent
from .factors import plan


def convert(
    values: Any,
    source: str,
    target: str,
    *,
    out: Any = None,
    fx: FxRate | Iterable[FxRate] | None = None,
    density: Density | None = None,
    heat_content: HeatContent | None = None,
    base: BaseConditions | str | None = None,
) -> Any:
    """`values` in `source` told in `target`: the same kind of container, float64 (float32 stays float32).

    One multiply by an exact factor that was rounded once; temperatures add once. Nulls stay null, NaN stays NaN.
    `out` is a float array that takes the result of a numpy array. What joins different kinds is stated: `fx` one
    currency with another, `density` volume with mass, `heat_content` (with `base`, the conditions the volume of
    `values` is measured at) volume or mass of fuel with energy, and their prices with each other.

    >>> convert(1.0, "MMBtu", "MWh")
    0.2930710701722222

    Raises UnknownUnit, AmbiguousUnit, UnitMismatch, or MissingBasis saying what is missing and how to write it.
    """
    for text in (source, target):
        if not isinstance(text, str):
            raise UnitError(f"a unit is text like 'MMBtu' or 'USD/MWh', not {type(text).__name__}")
    rates = () if fx is None else (fx,) if isinstance(fx, FxRate) else tuple(fx) if isinstance(fx, Iterable) else (fx,)
    for given, kind in ((density, Density), (heat_content, HeatContent), *((rate, FxRate) for rate in rates)):
        if given is not None and not isinstance(given, kind):
            raise UnitMismatch(f"{given!r} is no {kind.__name__}; write {kind.__name__}(…), which says what it is of")
    conditions = None if base is None else base_conditions(base)
    found = plan(source, target, rates, density, heat_content, conditions)
    return linear(values, found.factor, found.shift, found.divides, out)
