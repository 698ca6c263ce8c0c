"""The same kind of container comes out; nulls stay null and NaN stays NaN."""

from __future__ import annotations

import subprocess
import sys
from decimal import Decimal

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from carbon254 import units
from carbon254.errors import UnitError, UnitMismatch

FACTOR = 1055055852.62 / 3.6e9


def test_numpy() -> None:
    given = np.array([1.0, np.nan, -2.0])
    found = units.convert(given, "MMBtu", "MWh")
    np.testing.assert_array_equal(found, given * FACTOR)
    assert found is not given
    assert units.convert(np.array([1, 2]), "MMBtu", "MWh").dtype == np.float64
    assert units.convert(np.array([1, 2], np.float32), "MMBtu", "MWh").dtype == np.float32
    assert units.convert(np.ones((2, 3)), "kWh", "MWh").shape == (2, 3)
    assert not np.shares_memory(units.convert(given, "MWh", "MWh"), given)


def test_out_takes_the_result_in_place_too() -> None:
    given = np.arange(4.0)
    out = np.empty(4)
    assert units.convert(given, "degC", "K", out=out) is out
    np.testing.assert_allclose(out, [273.15, 274.15, 275.15, 276.15])
    units.convert(given, "MWh", "kWh", out=given)
    np.testing.assert_array_equal(given, [0, 1000, 2000, 3000])
    for wrong in (np.empty(3), np.empty(4, np.int64), [0.0] * 4):
        with pytest.raises(UnitError, match="out="):
            units.convert(np.arange(4.0), "MWh", "kWh", out=wrong)
    with pytest.raises(UnitError, match="never changed in place"):
        units.convert(pl.Series([1.0]), "MWh", "kWh", out=np.empty(1))


def test_polars_series_and_expressions() -> None:
    series = pl.Series("gas", [1, None, 3])
    found = units.convert(series, "MMBtu", "MWh")
    assert found.name == "gas" and found.dtype == pl.Float64 and found.to_list() == [FACTOR, None, 3 * FACTOR]
    frame = pl.DataFrame({"gas": [1.0, None, float("nan")]})
    told = frame.select(units.convert(pl.col("gas"), "MMBtu", "MWh"))["gas"]
    assert told[0] == FACTOR and told[1] is None and np.isnan(told[2])
    assert units.convert(pl.Series([1, 2]), "kWh", "MWh").to_list() == [0.001, 0.002]
    assert pl.DataFrame({"a": [32]}).select(units.convert(pl.col("a"), "degF", "degC"))["a"][0] == pytest.approx(0)


def test_arrow() -> None:
    for given in (pa.array([1, None, 3]), pa.chunked_array([[1.0], [None, 3.0]])):
        found = units.convert(given, "MMBtu", "MWh")
        assert type(found).__name__.startswith(type(given).__name__.replace("Int64", "Double"))
        assert found.to_pylist() == [FACTOR, None, 3 * FACTOR]
    assert units.convert(pa.array([1, 2], pa.float32()), "MWh", "kWh").type == pa.float32()


def test_pandas() -> None:
    found = units.convert(pd.Series([1, 2], name="gas"), "MMBtu", "MWh")
    assert isinstance(found, pd.Series) and found.name == "gas" and found.tolist() == [FACTOR, 2 * FACTOR]
    nullable = units.convert(pd.Series([1, None], dtype="Int64"), "kWh", "MWh")
    assert nullable[0] == 0.001 and nullable.isna().tolist() == [False, True]


def test_scalars_and_lists() -> None:
    for one in (1, 1.0, np.float64(1), Decimal("1"), np.int32(1)):
        assert units.convert(one, "MMBtu", "MWh") == FACTOR
    np.testing.assert_array_equal(units.convert([1, None, 2], "MWh", "kWh"), [1000, np.nan, 2000])
    assert units.convert([], "MWh", "kWh").shape == (0,)


@pytest.mark.parametrize(
    "wrong",
    ["10", None, True, ["a"], np.array(["a"]), np.array([True]), np.array([1j]), pl.Series(["a"]), pa.array(["a"]),
     pl.DataFrame({"a": [1.0]}), pd.Series(["a"]), np.array(["2025-01-01"], "M8[D]"), {}, pl.Series([True])],
)  # fmt: skip
def test_what_is_no_number_is_refused(wrong: object) -> None:
    with pytest.raises(UnitError, match=r"number|column"):
        units.convert(wrong, "MWh", "kWh")


def test_a_bare_figure_is_no_bridge() -> None:
    with pytest.raises(UnitMismatch, match="FxRate"):
        units.convert(1.0, "EUR/MWh", "USD/MWh", fx=1.08)  # pyright: ignore


def test_importing_the_units_brings_neither_pint_nor_columns() -> None:
    code = (
        "import sys, carbon254.units as u; u.convert(1.0, 'MMBtu', 'MWh'); u.parse('10 Mcf');"
        "assert not {'pint', 'polars', 'pyarrow', 'pandas'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
