"""Heat rate ↔ efficiency, implied heat rate and spark spread (DOMAIN E11). What is undefined is null with its reason.

implied heat rate = power ÷ gas; spark spread = power − heat rate × gas. At gas prices of zero and below there is no
implied heat rate: the answer is null, never infinity.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from carbon254.errors import UnitError, UnitMismatch

from .arrays import family, linear, numbers
from .conversion import convert
from .expression import unit
from .factors import plan

BELOW_ZERO = "the gas price is zero or below: there is no heat rate to speak of"
MISSING = "a price is missing"


@dataclass(frozen=True, slots=True)
class Outcome:
    """`values` with null (None; NaN in numpy) where there is no answer, and `reasons`: null where there is one.

    Scalars in: a float or None, a text or None. Numpy in: float64 and object arrays. Polars in: Series or expressions.
    """

    values: Any
    reasons: Any


def implied_heat_rate(
    power: Any, gas: Any, *, power_unit: str = "USD/MWh", gas_unit: str = "USD/MMBtu", target: str = "MMBtu/MWh"
) -> Outcome:
    """power ÷ gas in `target`: 25.00 $/MWh ÷ 2.30 $/MMBtu = 10.87 MMBtu/MWh. Null with a reason where gas ≤ 0.

    Raises UnitMismatch where the two are in different currencies or `target` is no heat rate.
    """
    _same_money(power_unit, gas_unit)
    _heat_rate_unit(target)
    one, two = convert(power, power_unit, f"{unit(power_unit).currency}/MWh"), _gas(gas, gas_unit)
    return _judged(one, two, lambda p, g: linear(p / g, plan("MMBtu/MWh", target).factor, 0.0, _divides(target)))


def spark_spread(
    power: Any,
    gas: Any,
    heat_rate: float = 7.0,
    *,
    heat_rate_unit: str = "MMBtu/MWh",
    power_unit: str = "USD/MWh",
    gas_unit: str = "USD/MMBtu",
    allow_gas_below_zero: bool = False,
) -> Outcome:
    """power − heat rate × gas, in the currency of `power_unit` per MWh; 7 MMBtu/MWh is the EIA's convention.

    Null with a reason where gas ≤ 0, as the implied heat rate is; `allow_gas_below_zero=True` computes those too (who
    is paid to burn earns it). One power day straddles two gas days: weight `gas` by their hours, or say you do not.
    Raises UnitMismatch or UnitError as `implied_heat_rate`.
    """
    _same_money(power_unit, gas_unit)
    _heat_rate_unit(heat_rate_unit)
    rate = convert(heat_rate, heat_rate_unit, "MMBtu/MWh")
    if family(rate) == "scalar" and not (rate > 0 and np.isfinite(rate)):
        raise UnitError(f"a heat rate is above zero, not {heat_rate!r} {heat_rate_unit}")
    one, two = convert(power, power_unit, f"{unit(power_unit).currency}/MWh"), _gas(gas, gas_unit)
    return _judged(one, two, lambda p, g: p - rate * g, allow_gas_below_zero)


def heat_rate(efficiency: Any, target: str = "Btu/kWh") -> Any:
    """Heat rate of an efficiency (a fraction) on the same heating basis: 0.5 → 6,824 Btu/kWh. Raises UnitError."""
    _heat_rate_unit(target)
    _within(efficiency, "an efficiency", "write 0.5 for 50 %", above=1.0)
    return _inverse(efficiency, target)


def efficiency(heat_rate: Any, source: str = "Btu/kWh") -> Any:
    """Efficiency (a fraction) of a heat rate, on the same heating basis: 6,824 Btu/kWh → 0.5. Raises UnitError."""
    _heat_rate_unit(source)
    return linear(_inverse(_within(heat_rate, "a heat rate", "write it in Btu/kWh"), source), 1.0)


def _inverse(values: Any, rate_unit: str) -> Any:
    """1 ÷ value, as a heat rate in `rate_unit` of fuel per energy out; its own inverse."""
    factor = float(1 / unit(rate_unit).scale)
    kind = family(values)
    if kind == "pyarrow":
        import pyarrow.compute as pc

        return pc.divide(factor, linear(values, 1.0))  # pyright: ignore
    return factor / (numbers(values) if kind == "list" else linear(values, 1.0))


def _within(values: Any, what: str, fix: str, above: float = float("inf")) -> Any:
    """The values, all above zero. Expressions are not looked into. Raises UnitError with the first that is not."""
    if type(values).__name__ == "Expr":
        return values
    plain = values.to_numpy() if hasattr(values, "to_numpy") else np.atleast_1d(numbers(np.atleast_1d(values)))
    plain = np.asarray(plain, dtype=float)
    wrong = np.flatnonzero((plain <= 0) | (plain > above) | np.isinf(plain))
    if wrong.size:
        limit = f"between 0 and {above:g}" if np.isfinite(above) else "above zero"
        raise UnitError(f"{what} lies {limit}; value {wrong[0]} is {plain[wrong[0]]:g}; {fix}")
    return values


def _judged(power: Any, gas: Any, work: Any, any_gas: bool = False) -> Outcome:
    kinds = {family(power), family(gas)}
    if "polars" in kinds:
        return _judged_polars(power, gas, work, any_gas)
    if kinds == {"scalar"}:
        reason = MISSING if np.isnan(power) or np.isnan(gas) else BELOW_ZERO if gas <= 0 and not any_gas else None
        return Outcome(None if reason else float(work(power, gas)), reason)
    if kinds - {"scalar", "numpy", "list"}:
        raise UnitError(
            "prices are numbers, numpy arrays, or polars columns; hand Arrow and pandas in as polars Series"
        )
    one, two = np.broadcast_arrays(np.asarray(power, dtype=float), np.asarray(gas, dtype=float))
    missing, below = np.isnan(one) | np.isnan(two), (two <= 0) & (not any_gas)
    sound = ~(missing | below)
    values = np.where(sound, work(one, np.where(sound, two, 1.0)), np.nan)
    reasons = np.full(one.shape, None, dtype=object)
    reasons[below], reasons[missing] = BELOW_ZERO, MISSING
    return Outcome(values, reasons)


def _judged_polars(power: Any, gas: Any, work: Any, any_gas: bool) -> Outcome:
    import polars as pl

    if any(isinstance(side, pl.Expr) for side in (power, gas)):
        one, two = (side if isinstance(side, pl.Expr) else pl.lit(side) for side in (power, gas))
        return Outcome(*_expressions(one, two, work, any_gas))
    frame = pl.select(
        power if isinstance(power, pl.Series) else pl.lit(power).alias("_p"),
        gas.alias("_g") if isinstance(gas, pl.Series) else pl.lit(gas).alias("_g"),
    )
    name = frame.columns[0]
    values, reasons = _expressions(pl.col(name), pl.col("_g"), work, any_gas)
    done = frame.select(values.alias("values"), reasons.alias("reasons"))
    return Outcome(done["values"].alias(name), done["reasons"])


def _expressions(power: Any, gas: Any, work: Any, any_gas: bool) -> tuple[Any, Any]:
    import polars as pl

    missing = power.is_null() | gas.is_null() | power.is_nan() | gas.is_nan()
    below = pl.lit(False) if any_gas else gas <= 0
    values = pl.when(~missing & ~below).then(work(power, gas))
    reasons = pl.when(missing).then(pl.lit(MISSING)).when(below).then(pl.lit(BELOW_ZERO))
    return values, reasons


def _gas(gas: Any, gas_unit: str) -> Any:
    return convert(gas, gas_unit, f"{unit(gas_unit).currency}/MMBtu")


def _divides(target: str) -> bool:
    return plan("MMBtu/MWh", target).divides


def _same_money(power_unit: str, gas_unit: str) -> None:
    one, two = unit(power_unit), unit(gas_unit)
    for found in (one, two):
        if found.kind != "price of energy":
            raise UnitMismatch(f"{found} measures {found.kind}; a price of energy is written like USD/MWh or USD/MMBtu")
    if one.currency != two.currency:
        raise UnitMismatch(
            f"power is in {one.currency} and gas in {two.currency}; convert one first, with its dated rate"
        )


def _heat_rate_unit(text: str) -> None:
    if unit(text).kind != "heat rate":
        raise UnitMismatch(f"{text} measures {unit(text).kind}; a heat rate is written like Btu/kWh or MMBtu/MWh")
