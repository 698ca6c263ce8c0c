"""One linear step over whatever holds the numbers; the same kind comes out.

Scalars, numpy arrays, polars Series and expressions, Arrow arrays, pandas Series. Nulls stay null and NaN stays NaN.
Integers become float64, float32 stays float32. Polars and Arrow are only imported by those who hand their columns in.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction
from numbers import Real
from typing import Any, TypeVar

import numpy as np

from carbon254.errors import UnitError

Values = TypeVar("Values")
_FLOATS = (np.dtype(np.float64), np.dtype(np.float32))


def family(values: Any) -> str:
    """The package a container is of: `polars`, `pyarrow`, `pandas`, `numpy`, or `scalar`. Raises UnitError."""
    package = type(values).__module__.partition(".")[0]
    if package in ("polars", "pyarrow", "pandas"):
        return package
    if isinstance(values, np.ndarray) and values.ndim:
        return "numpy"
    if isinstance(values, Real | Decimal | Fraction) and not isinstance(values, bool | np.bool_):
        return "scalar"
    if isinstance(values, np.ndarray):
        return "numpy"
    if isinstance(values, Sequence) and not isinstance(values, str | bytes):
        return "list"
    raise UnitError(
        f"{values!r:.60} is no number: give numbers, a numpy array, a polars or pandas Series, a polars expression or "
        "an Arrow array"
    )


def linear(values: Any, factor: float, shift: float = 0.0, divides: bool = False, out: Any = None) -> Any:
    """values × factor (or ÷ factor) + shift, of the kind of `values`; a list becomes a numpy array, None in it NaN.

    `out` takes the result of a numpy array and may be the array itself. Raises UnitError for what holds no numbers.
    """
    kind = family(values)
    if out is not None and kind not in ("numpy", "list"):
        raise UnitError(f"out= is for numpy arrays; {kind} columns are never changed in place")
    if kind == "scalar":
        number = float(values)
        return (number / factor if divides else number * factor) + shift
    if kind == "polars":
        return _polars(values, factor, shift, divides)
    if kind == "pyarrow":
        return _arrow(values, factor, shift, divides)
    if kind == "pandas":
        found = _pandas(values)
        return (found / factor if divides else found * factor) + shift if shift else _scaled(found, factor, divides)
    return _numpy(numbers(values), factor, shift, divides, out)


def numbers(values: Any) -> np.ndarray:
    """A float array of numpy numbers or a list of them; float arrays are not copied. Raises UnitError."""
    try:
        array = values if isinstance(values, np.ndarray) else np.asarray([np.nan if v is None else v for v in values])
    except (TypeError, ValueError):
        array = np.asarray(["?"])
    if array.dtype in _FLOATS:
        return array
    if array.dtype.kind in "iuf" or not array.size:
        return array.astype(np.float64)
    if array.dtype.kind == "O" and all(isinstance(v, Real | Decimal) and not isinstance(v, bool) for v in array.flat):
        return array.astype(np.float64)
    raise UnitError(f"a column of {array.dtype} holds no numbers")


def _numpy(array: np.ndarray, factor: float, shift: float, divides: bool, out: np.ndarray | None) -> np.ndarray:
    if out is not None and (not isinstance(out, np.ndarray) or out.dtype not in _FLOATS or out.shape != array.shape):
        raise UnitError(f"out= is a float array of shape {array.shape}")
    found = np.divide(array, factor, out=out) if divides else np.multiply(array, factor, out=out)
    if shift:
        np.add(found, shift, out=found if isinstance(found, np.ndarray) else None)
    return found


def _polars(values: Any, factor: float, shift: float, divides: bool) -> Any:
    import polars as pl

    if isinstance(values, pl.Series):
        if not values.dtype.is_numeric() and values.dtype != pl.Null:
            raise UnitError(f"a Series of {values.dtype} holds no numbers")
        if not values.dtype.is_float():
            values = values.cast(pl.Float64)
    elif not isinstance(values, pl.Expr):
        raise UnitError(f"a polars {type(values).__name__} is many columns; convert its columns one by one")
    scaled = values / factor if divides else values * factor
    return scaled + shift if shift else scaled


def _arrow(values: Any, factor: float, shift: float, divides: bool) -> Any:
    import pyarrow as pa
    import pyarrow.compute as pc

    if not isinstance(values, pa.Array | pa.ChunkedArray | pa.Scalar):
        raise UnitError(f"an Arrow {type(values).__name__} is many columns; convert its columns one by one")
    kind = values.type
    if not (pa.types.is_floating(kind) or pa.types.is_integer(kind) or pa.types.is_decimal(kind) or kind == pa.null()):
        raise UnitError(f"an Arrow column of {kind} holds no numbers")
    # A scalar of 64 bits would widen a float32 column; the column keeps its type.
    kept = kind if kind == pa.float32() else pa.float64()
    column = values if kind == kept else values.cast(kept, safe=False)
    scale = pa.scalar(factor, kept)
    scaled = pc.divide(column, scale) if divides else pc.multiply(column, scale)  # pyright: ignore
    return pc.add(scaled, pa.scalar(shift, kept)) if shift else scaled  # pyright: ignore


def _pandas(values: Any) -> Any:
    kinds = getattr(values, "dtype", None)
    if kinds is None or kinds.kind not in "iuf":
        raise UnitError(f"a pandas {type(values).__name__} of {kinds} holds no numbers")
    return values if kinds.kind == "f" else values.astype("Float64" if hasattr(kinds, "na_value") else "float64")


def _scaled(values: Any, factor: float, divides: bool) -> Any:
    return values / factor if divides else values * factor
