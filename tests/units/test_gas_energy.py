"""Gas volume ↔ energy: by hand, by the ideal gas law, and refused where something is not stated."""

from __future__ import annotations

import datetime as dt

import numpy as np
import polars as pl
import pytest

from carbon254 import units
from carbon254.errors import MissingBasis, UnitError, UnitMismatch

US, NORMAL, STANDARD = "us_60F_14.73psia", "eu_normal_0C_1.01325bar", "eu_standard_15C_1.01325bar"
HEAT = units.HeatContent(1037, "Btu/cf", dt.date(2021, 6, 1), basis="HHV", base=US)


def test_energy_of_a_volume() -> None:
    assert units.gas_energy(10, "Mcf", "Btu", heat_content=HEAT, base=US) == 10_370_000
    assert units.gas_energy(10, "Mcf", "MMBtu", heat_content=HEAT, base=US) == pytest.approx(10.37, rel=1e-15)
    assert units.gas_energy(10, "Mcf", "MWh", heat_content=HEAT, base=US) == pytest.approx(3.0391469977, rel=1e-10)
    assert units.gas_volume(10.37, "MMBtu", "Mcf", heat_content=HEAT, base=US) == pytest.approx(10, rel=1e-15)
    column = units.gas_energy(pl.Series([1, None]), "Mcf", "MMBtu", heat_content=HEAT, base=US)
    assert column.to_list() == [pytest.approx(1.037), None]


def test_prices_of_a_volume() -> None:
    assert units.convert(3.0, "USD/Mcf", "USD/MMBtu", heat_content=HEAT, base=US) == pytest.approx(3 / 1.037, rel=1e-15)


def test_bases_go_by_the_ideal_gas_law() -> None:
    assert units.rebase(1.0, NORMAL, STANDARD) == pytest.approx(288.15 / 273.15, rel=1e-15)
    assert units.rebase(1.0, US, "us_60F_14.65psia") == pytest.approx(14.73 / 14.65, rel=1e-15)
    kelvin, pascal = (60 + 459.67) / 1.8, 14.73 * 6894.757293168361
    assert units.rebase(1.0, US, NORMAL) == pytest.approx(pascal / 101325 * 273.15 / kelvin, rel=1e-13)
    mine = units.BaseConditions.of(15, "degC", 101.325, "kPa")
    assert units.rebase(1.0, mine, STANDARD) == pytest.approx(1.0, rel=1e-15)
    thin = units.gas_energy(10, "Mcf", "MMBtu", heat_content=HEAT, base="us_60F_14.65psia")
    assert thin == pytest.approx(10.37 * 14.65 / 14.73, rel=1e-14)


def test_everything_missing_is_named_at_once() -> None:
    bare = units.HeatContent(1037, "Btu/cf")
    with pytest.raises(MissingBasis) as caught:
        units.gas_energy(10, "Mcf", "MMBtu", heat_content=bare)
    for part in ("base conditions of the volume", "date", 'basis="HHV" or "LHV"', "base conditions of its volume"):
        assert part in str(caught.value)
    with pytest.raises(MissingBasis, match="missing the heat content"):
        units.gas_energy(10, "Mcf", "MMBtu")
    with pytest.raises(MissingBasis, match="bare figure"):
        units.gas_energy(10, "Mcf", "MMBtu", heat_content=1037, base=US)  # pyright: ignore


@pytest.mark.parametrize(
    ("lacks", "says"),
    [("date", "the date"), ("basis", "its basis"), ("base", "of its volume")],
)
def test_each_missing_part_is_named(lacks: str, says: str) -> None:
    whole = {"date": "2021", "basis": "HHV", "base": US}
    heat = units.HeatContent(1037, "Btu/cf", **{k: v for k, v in whole.items() if k != lacks})
    with pytest.raises(MissingBasis, match=says):
        units.gas_energy(10, "Mcf", "MMBtu", heat_content=heat, base=US)
    with pytest.raises(MissingBasis, match="base conditions of the volume"):
        units.gas_energy(10, "Mcf", "MMBtu", heat_content=HEAT)


def test_mixed_heating_bases_are_refused() -> None:
    with pytest.raises(UnitMismatch, match="lhv_from_hhv"):
        units.gas_energy(10, "Mcf", "MMBtu", heat_content=HEAT, base=US, basis="LHV")
    with pytest.raises(MissingBasis, match="ratio=LHV/HHV"):
        units.lhv_from_hhv(10.0)
    with pytest.raises(UnitError, match="other way round"):
        units.lhv_from_hhv(10.0, ratio=1.108)
    assert units.hhv_from_lhv(units.lhv_from_hhv(10.0, ratio=0.903), ratio=0.903) == pytest.approx(10, rel=1e-15)
    wet = units.HeatContent(1020, "Btu/cf", "2021", "GCV", US, water="saturated")
    assert wet.basis == "HHV"
    with pytest.raises(UnitMismatch, match="saturated"):
        units.gas_energy(1, "Mcf", "MMBtu", heat_content=wet, base=US, water="dry")


def test_liquids_need_no_base_and_mix_with_no_gas() -> None:
    crude = units.HeatContent(5.8, "MMBtu/bbl", "2021", "HHV")
    assert units.convert(2, "bbl", "MMBtu", heat_content=crude) == pytest.approx(11.6)
    with pytest.raises(UnitMismatch, match="liquid"):
        units.convert(2, "Mcf", "MMBtu", heat_content=crude, base=US)
    lng = units.HeatContent(51, "MMBtu/t", "2021", "HHV")
    per_m3 = units.convert(1, "m3", "t", density=units.Density(1 / 2.21, "t/m3")) * 51
    assert per_m3 == pytest.approx(23.1, abs=0.05)
    assert units.convert(1, "t", "MMBtu", heat_content=lng) == 51


def test_published_averages_carry_their_year() -> None:
    assert units.us_heat_content(2007).value == 1028
    assert units.us_heat_content(2021, figure=1037).value == 1037
    with pytest.raises(MissingBasis, match="1037 and 1039"):
        units.us_heat_content(2021)
    with pytest.raises(MissingBasis, match="2007, 2021"):
        units.us_heat_content(2015)
    with pytest.raises(UnitError, match="not a figure published"):
        units.us_heat_content(2021, figure=1040)


@pytest.mark.parametrize("wrong", [0, -1, float("nan"), float("inf"), True])
def test_wrong_figures(wrong: float) -> None:
    with pytest.raises(UnitError, match="above zero"):
        units.HeatContent(wrong, "Btu/cf")
    for bad in ({"basis": "XHV"}, {"date": "June"}, {"base": "us_60F"}, {"water": "wet"}):
        with pytest.raises(UnitError):
            units.HeatContent(1037, "Btu/cf", **bad)  # pyright: ignore


def test_mw_to_mwh_by_length() -> None:
    assert units.energy_from_power(120.0, minutes=5) == pytest.approx(10.0, rel=1e-15)
    np.testing.assert_allclose(units.energy_from_power(np.full(3, 100.0), hours=[23, 24, 25]), [2300, 2400, 2500])
    np.testing.assert_allclose(
        units.energy_from_power(np.array([60.0, 60.0]), length=np.array([300, 900], "m8[s]")), [5, 15]
    )
    mixed = pl.DataFrame({"mw": [60.0, None], "len": [dt.timedelta(minutes=5), dt.timedelta(hours=1)]})
    told = mixed.select(units.energy_from_power(pl.col("mw"), length=pl.col("len")))["mw"]
    assert told.to_list() == [5.0, None]
    assert units.energy_from_power(mixed["mw"], length=mixed["len"]).to_list() == [5.0, None]
    assert units.power_from_energy(2500.0, hours=25) == pytest.approx(100.0)
    assert units.power_from_energy(units.energy_from_power(7.3, minutes=15), minutes=15) == pytest.approx(
        7.3, rel=1e-12
    )


def test_a_length_is_stated_once_and_above_zero() -> None:
    with pytest.raises(MissingBasis, match="missing the length"):
        units.energy_from_power(100)
    with pytest.raises(UnitError, match="2 times"):
        units.energy_from_power(100, minutes=5, hours=1)
    for wrong in (0, -5, float("nan")):
        with pytest.raises(UnitError, match="above zero"):
            units.energy_from_power(100, minutes=wrong)
    with pytest.raises(UnitError, match="interval 1"):
        units.energy_from_power(np.ones(2), hours=[1, 0])
    with pytest.raises(UnitError, match="do not pair"):
        units.energy_from_power(np.ones(3), hours=[23, 24])
    with pytest.raises(UnitMismatch, match="energy"):
        units.energy_from_power(1.0, "MWh", "MWh", hours=1)
    with pytest.raises(UnitError, match="durations"):
        units.energy_from_power(1.0, length=15)


def test_average_power_weights_by_length() -> None:
    assert units.average_power([100, 200], minutes=[45, 15]) == 125
    assert units.average_power([100, None], minutes=[45, 15]) is None
    assert units.average_power(pl.Series([1.0, 3.0]), hours=1) == 2
