"""MW ↔ MWh by the length of the interval: 5, 15, 30, 60 minutes, or days of 23, 24 and 25 hours as they are handed in.

energy = power × length. Without a length there is no answer, only an error that says so.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np

from carbon254.errors import MissingBasis, UnitError, UnitMismatch

from .arrays import family, linear, numbers
from .conversion import convert
from .expression import unit

_SECONDS = {"seconds": 1.0, "minutes": 60.0, "hours": 3600.0}


def energy_from_power(
    power: Any,
    source: str = "MW",
    target: str = "MWh",
    *,
    length: Any = None,
    seconds: Any = None,
    minutes: Any = None,
    hours: Any = None,
) -> Any:
    """Energy of average power over intervals, in `target`; the kind of container that `power` is.

    State the length one way: `minutes=5`, `hours=` with one number or one per value (23, 24, 25 for days), `seconds=`,
    or `length=` a timedelta, a timedelta64 array, or a column of durations. Raises MissingBasis without a length,
    UnitError for a length that is not above zero.
    """
    _expect(source, "power", target, "energy")
    told = _seconds(f"{source} → {target}", length, seconds, minutes, hours)
    return _times(convert(power, source, "W"), told, "J", target)


def power_from_energy(
    energy: Any,
    source: str = "MWh",
    target: str = "MW",
    *,
    length: Any = None,
    seconds: Any = None,
    minutes: Any = None,
    hours: Any = None,
) -> Any:
    """Average power of energy over intervals; the inverse of `energy_from_power`, with its lengths and errors."""
    _expect(source, "energy", target, "power")
    told = _seconds(f"{source} → {target}", length, seconds, minutes, hours)
    return _times(convert(energy, source, "J"), told, "W", target, divides=True)


def average_power(
    power: Any, *, length: Any = None, seconds: Any = None, minutes: Any = None, hours: Any = None
) -> float | None:
    """The average of power over intervals of mixed lengths: Σ power × length ÷ Σ length, in the unit of `power`.

    Missing is never zero: where a value is missing the average is None. Raises as `energy_from_power`.
    """
    told = np.asarray(_seconds("average power", length, seconds, minutes, hours), dtype=float)
    column = numbers(power.to_numpy() if hasattr(power, "to_numpy") else power)
    _same_length(column, told)
    spans = np.broadcast_to(told, column.shape)
    if not column.size or np.isnan(column).any():
        return None
    return float(np.dot(column.ravel(), spans.ravel()) / spans.sum())


def _expect(source: str, given: str, target: str, wanted: str) -> None:
    for text, kind in ((source, given), (target, wanted)):
        if unit(text).kind != kind:
            raise UnitMismatch(f"{text} measures {unit(text).kind}, and {kind} is asked for here")


def _seconds(what: str, length: Any, seconds: Any, minutes: Any, hours: Any) -> Any:
    """Lengths in seconds: a number, an array, or a polars column or expression."""
    stated = {"seconds": seconds, "minutes": minutes, "hours": hours, "length": length}
    given = {name: value for name, value in stated.items() if value is not None}
    if not given:
        raise MissingBasis(
            f"{what}: missing the length of the interval; write minutes=5, hours=1 or length=timedelta(…)"
        )
    if len(given) > 1:
        raise UnitError(f"{what}: the length is stated {len(given)} times ({', '.join(given)}); state it once")
    ((name, value),) = given.items()
    told = _of_durations(value) if name == "length" else linear(value, _SECONDS[name])
    return _above_zero(what, told)


def _of_durations(length: Any) -> Any:
    if isinstance(length, dt.timedelta):
        return length.total_seconds()
    package = type(length).__module__.partition(".")[0]
    if package == "polars":
        return length.dt.total_microseconds() / 1e6
    if package == "pyarrow":
        length = length.to_numpy(zero_copy_only=False) if hasattr(length, "to_numpy") else length.as_py()
    array = np.asarray(length.to_numpy() if package == "pandas" else length)
    if array.dtype.kind == "O" and all(isinstance(one, dt.timedelta) for one in array.flat):
        array = array.astype("timedelta64[us]")
    if array.dtype.kind != "m":
        raise UnitError("length= takes a timedelta or durations; numbers go into seconds=, minutes= or hours=")
    found = array / np.timedelta64(1, "s")
    return float(found) if array.ndim == 0 else found


def _above_zero(what: str, told: Any) -> Any:
    if type(told).__name__ == "Expr":
        import polars as pl

        # An expression has no values yet: a length that is none gives null.
        return pl.when(told > 0).then(told)
    array = np.atleast_1d(np.asarray(told.to_numpy() if hasattr(told, "to_numpy") else told, dtype=float))
    wrong = np.flatnonzero(~((array > 0) & np.isfinite(array)))
    if wrong.size:
        raise UnitError(f"{what}: the length of interval {wrong[0]} is {array[wrong[0]]:g} s; lengths are above zero")
    return told


def _times(values: Any, told: Any, source: str, target: str, divides: bool = False) -> Any:
    """values × lengths (or ÷ lengths), told in `target`, in the container of `values`."""
    kind = family(values)
    if kind == "pyarrow":
        import polars as pl
        import pyarrow as pa

        found = _times(pl.Series(values), told, source, target, divides).to_arrow()
        return pa.chunked_array([found]) if isinstance(values, pa.ChunkedArray) else found
    if kind == "polars" and isinstance(told, np.ndarray):
        import polars as pl

        told = pl.Series(told)
    if kind in ("numpy", "scalar") and hasattr(told, "to_numpy"):
        told = told.to_numpy()
    _same_length(values, told)
    return convert(values / told if divides else values * told, source, target)


def _same_length(values: Any, told: Any) -> None:
    if np.ndim(told) and hasattr(told, "__len__") and hasattr(values, "__len__") and len(values) != len(told):
        raise UnitError(f"{len(values)} values and {len(told)} lengths do not pair; give one length, or one per value")
