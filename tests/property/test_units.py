"""Round trips of any number between any two units that measure the same."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from carbon254 import units
from carbon254.errors import UnitError

KINDS: dict[str, list[str]] = {}
for _one in units.table().units.values():
    if _one.kind != "currency":
        KINDS.setdefault(_one.kind, []).append(_one.symbol)
NUMBERS = st.floats(-1e12, 1e12).filter(lambda x: x == 0 or abs(x) > 1e-12)
ENERGY, POWER, MONEY = (
    st.sampled_from(KINDS["energy"]),
    st.sampled_from(KINDS["power"]),
    st.sampled_from(["USD", "p", "¢", "EUR"]),
)


@st.composite
def pairs(draw: st.DrawFn) -> tuple[str, str]:
    same = st.sampled_from(KINDS[draw(st.sampled_from([kind for kind in sorted(KINDS) if kind != "temperature"]))])
    return draw(same), draw(same)


@settings(max_examples=300, deadline=None)
@given(pairs(), arrays.arrays(np.float64, st.integers(0, 5), elements=NUMBERS))
def test_columns_come_back(pair: tuple[str, str], values: np.ndarray) -> None:
    there = units.convert(values, *pair)
    np.testing.assert_allclose(units.convert(there, pair[1], pair[0]), values, rtol=1e-12, atol=0)


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(KINDS["temperature"]), st.sampled_from(KINDS["temperature"]), st.floats(-459, 5000))
def test_temperatures_come_back_within_a_nanokelvin(one: str, other: str, value: float) -> None:
    assert units.convert(units.convert(value, one, other), other, one) == pytest.approx(value, abs=1e-9)


@settings(max_examples=200, deadline=None)
@given(MONEY, ENERGY, ENERGY, NUMBERS)
def test_prices_come_back_and_a_bill_does_not_change(money: str, one: str, other: str, value: float) -> None:
    there = units.convert(value, f"{money}/{one}", f"{money}/{other}")
    assert units.convert(there, f"{money}/{other}", f"{money}/{one}") == pytest.approx(value, rel=1e-12)
    # The same fuel costs the same money whatever it is counted in.
    assert units.exact_factor(f"{money}/{one}", f"{money}/{other}") * units.exact_factor(one, other) == Fraction(1)


@settings(max_examples=200, deadline=None)
@given(st.floats(0.01, 1e6), st.floats(1, 90_000), POWER, ENERGY)
def test_power_over_a_length_comes_back(value: float, seconds: float, one: str, other: str) -> None:
    there = units.energy_from_power(value, one, other, seconds=seconds)
    assert units.power_from_energy(there, other, one, seconds=seconds) == pytest.approx(value, rel=1e-12)


@settings(max_examples=200, deadline=None)
@given(st.floats(0.01, 1e9), st.floats(800, 1200), st.sampled_from(sorted(set(units.bases()) - {"liquid"})))
def test_gas_comes_back_at_any_base(volume: float, heat: float, base: str) -> None:
    figure = units.HeatContent(heat, "Btu/cf", "2021", "HHV", "us_60F_14.73psia")
    energy = units.gas_energy(volume, "m3", "MWh", heat_content=figure, base=base)
    assert units.gas_volume(energy, "MWh", "m3", heat_content=figure, base=base) == pytest.approx(volume, rel=1e-12)


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet=st.sampled_from(list("MWhBtu$/*-() ^3dcfg°¢.%10 inat")), max_size=24))
def test_nothing_written_does_worse_than_a_unit_error(text: str) -> None:
    for work in (units.unit, units.ask):
        try:
            work(text)
        except UnitError as error:
            assert "\n" not in str(error)
