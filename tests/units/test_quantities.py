"""What does not go together does not add; prices, spreads and questions."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from carbon254 import units
from carbon254.errors import AmbiguousUnit, MissingBasis, UnitError, UnitMismatch, UnknownUnit
from carbon254.units import Quantity

US = "us_60F_14.73psia"


def test_alike_adds() -> None:
    total = Quantity(1, "MWh") + Quantity(1, "MMBtu")
    assert total.unit == "MWh" and total.value == pytest.approx(1.2930710701722222)
    assert sum([Quantity(1, "MWh"), Quantity(2, "MWh")]) == Quantity(3, "MWh")
    assert Quantity(1, "MMBtu", "HHV") + Quantity(1, "Dth", "GCV") == Quantity(2, "MMBtu", "HHV")
    assert (Quantity(100, "MW") * Quantity(15, "min")).to("MWh").value == 25
    assert (Quantity(50, "USD/MWh") * Quantity(2, "MWh")).to("USD").value == pytest.approx(100)
    assert Quantity(2, "MWh") > Quantity(1, "MWh")


@pytest.mark.parametrize(
    ("one", "other", "error", "says"),
    [
        (Quantity(1, "MW"), Quantity(1, "MWh"), MissingBasis, "length"),
        (Quantity(1, "MMBtu", "HHV"), Quantity(1, "MMBtu", "LHV"), UnitMismatch, "do not mix"),
        (Quantity(1, "MMBtu", "HHV"), Quantity(1, "MMBtu"), MissingBasis, "does not say its basis"),
        (Quantity(1, "MWh"), Quantity(1, "MMBtu", "HHV"), MissingBasis, r"stated\(basis='HHV'\)"),
        (Quantity(1, "Mcf", base=US), Quantity(1, "m3", base="eu_normal_0C_1.01325bar"), UnitMismatch, r"\.at\("),
        (Quantity(1, "EUR"), Quantity(1, "USD"), MissingBasis, "FxRate"),
        (Quantity(1, "degC"), Quantity(1, "degC"), UnitMismatch, "delta_degC"),
        (Quantity(1, "MWh"), 1, UnitMismatch, "bare number"),
    ],
)
def test_unlike_raises(one: Quantity, other: Quantity, error: type[Exception], says: str) -> None:
    for work in (lambda: one + other, lambda: one - other):
        with pytest.raises(error, match=says):
            work()


def test_stating_and_counting_at_another_base() -> None:
    gas = Quantity(10, "Mcf", base=US)
    assert gas.at("us_60F_14.65psia").value == pytest.approx(10 * 14.73 / 14.65)
    heat = units.HeatContent(1037, "Btu/cf", "2021", "HHV", US)
    fuel = gas.to("MMBtu", heat_content=heat)
    assert fuel.basis == "HHV" and fuel.value == pytest.approx(10.37)
    assert fuel.to("MWh").basis == "HHV"
    assert fuel.to("Mcf", heat_content=heat) == gas or fuel.to("Mcf", heat_content=heat).value == pytest.approx(10)
    with pytest.raises(UnitMismatch, match="is HHV"):
        fuel.stated(basis="LHV")
    with pytest.raises(MissingBasis, match="base"):
        Quantity(10, "Mcf").at(US)
    with pytest.raises(UnitMismatch, match="do not mix"):
        Quantity(1, "MWh", "HHV") * Quantity(1, "USD/MWh", "LHV")


@pytest.mark.parametrize(
    ("text", "value", "unit"),
    [
        ("10 Mcf", 10, "Mcf"), ("10mmbtu", 10, "MMBtu"), ("$25/MWh", 25, "USD/MWh"), ("-$3.50/MWh", -3.5, "USD/MWh"),
        ("10,370,000 Btu", 10370000, "Btu"), ("1e3 MMBtu/d", 1000, "MMBtu/d"), ("-40 degF", -40, "degF"),
        ("C$30/MWh", 30, "CAD/MWh"), ("1_000 dth", 1000, "Dth"), ("5 erg", 5e-7, "J"), (".5 MW", 0.5, "MW"),
    ],
)  # fmt: skip
def test_parsing(text: str, value: float, unit: str) -> None:
    found = units.parse(text)
    assert found.value == pytest.approx(value) and units.exact_factor(found.unit, unit) == 1


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ten MWh",
        "10",
        "10 10 MW",
        "10 furlong",
        "10 MWhh",
        "--5 MWh",
        "10 Mcf at",
        "2 MBtu_it",
        "1e400 MWh",
        "1 kcal",
        "9" * 5000 + " MWh",
        "1e400000 MWh x",
    ],
)
def test_what_cannot_be_parsed(text: str) -> None:
    with pytest.raises(UnitError):
        units.parse(text)


def test_the_notebook_registry_agrees_and_refuses() -> None:
    pint = units.registry()
    for text, target in [
        ("10 MMBtu", "MWh"),
        ("1 bbl", "gal"),
        ("3 USD/MMBtu", "USD/MWh"),
        ("1 therm", "MJ"),
        ("1 Mcf", "m3"),
    ]:
        number, _, source = text.partition(" ")
        ours = units.convert(float(number), source, target)
        assert pint(text).to(target.replace("m3", "meter**3")).magnitude == pytest.approx(ours, rel=1e-12)
    with pytest.raises(AmbiguousUnit):
        pint("10 MBtu")


@pytest.mark.parametrize(
    ("market", "published", "value", "unit"),
    [
        ("PJM", "$/MWh", 30.0, "USD/MWh"), ("CAISO", "$/MWHr", 30.0, "USD/MWh"), ("NYISO", "$/MWHr", 30.0, "USD/MWh"),
        ("ISO-NE", "$/MWh-h", 30.0, "USD/MWh"), ("AESO", "$/MWh", 30.0, "CAD/MWh"),
        ("IESO", "CAD/MWh", 30.0, "CAD/MWh"),
        ("AEMO", "$/MWh", 30.0, "AUD/MWh"), ("ERCOT", "¢/kWh", 300.0, "USD/MWh"), ("spp", "$/kWh", 30000.0, "USD/MWh"),
    ],
)  # fmt: skip
def test_prices_as_markets_publish_them(market: str, published: str, value: float, unit: str) -> None:
    found = units.standardise_price(np.array([30.0, np.nan]), market, published)
    assert found.unit == unit and found.values[0] == pytest.approx(value) and np.isnan(found.values[1])


def test_prices_of_something_else_are_refused() -> None:
    with pytest.raises(UnitMismatch, match="AESO publishes CAD"):
        units.standardise_price(1.0, "AESO", "USD/MWh")
    with pytest.raises(UnitMismatch, match="price of energy"):
        units.standardise_price(1.0, "PJM", "MW")
    with pytest.raises(UnknownUnit, match="did you mean ERCOT"):
        units.standardise_price(1.0, "ERCOTT")


def test_heat_rates() -> None:
    assert units.heat_rate(0.5) == pytest.approx(6824.28, abs=0.01)
    assert units.efficiency(units.heat_rate(0.43, "GJ/MWh"), "GJ/MWh") == pytest.approx(0.43, rel=1e-15)
    assert units.efficiency(pl.Series([6824.283266, None])).to_list() == [pytest.approx(0.5), None]
    for wrong in (50, 0, -0.1, np.array([0.5, 1.2])):
        with pytest.raises(UnitError, match=r"write 0\.5"):
            units.heat_rate(wrong)
    with pytest.raises(UnitMismatch, match="heat rate"):
        units.heat_rate(0.5, "MWh")


def test_implied_heat_rate_is_null_with_a_reason() -> None:
    assert units.implied_heat_rate(25.0, 2.3).values == pytest.approx(10.87, abs=0.005)
    for gas in (0.0, -1.0, float("nan")):
        found = units.implied_heat_rate(25.0, gas)
        assert found.values is None and found.reasons
    column = units.implied_heat_rate(np.array([25.0, 25.0, np.nan]), np.array([2.5, 0.0, 2.5]))
    assert column.values[0] == 10 and np.isnan(column.values[1:]).all()
    assert column.reasons[0] is None and "zero or below" in column.reasons[1] and "missing" in column.reasons[2]
    series = units.implied_heat_rate(pl.Series([25.0, 25.0, None]), pl.Series([2.5, -1.0, 2.0]))
    assert series.values.to_list() == [10, None, None] and series.reasons[0] is None and series.reasons[1]
    frame = pl.DataFrame({"p": [25, 25], "g": [2.5, 0.0]})
    lazy = units.implied_heat_rate(pl.col("p"), pl.col("g"))
    assert frame.select(x=lazy.values)["x"].to_list() == [10, None]
    assert units.implied_heat_rate(25.0, 2.5, target="Btu/kWh").values == pytest.approx(10_000)


def test_spark_spread() -> None:
    assert units.spark_spread(25.0, 2.3).values == pytest.approx(25 - 7 * 2.3)
    assert units.spark_spread(25.0, 2.3, 7000, heat_rate_unit="Btu/kWh").values == pytest.approx(8.9)
    assert units.spark_spread(25.0, -1.0).values is None
    assert units.spark_spread(25.0, -1.0, allow_gas_below_zero=True).values == 32
    pounds = units.spark_spread(80.0, 100.0, 2.0, heat_rate_unit="MWh/MWh", power_unit="GBP/MWh", gas_unit="p/therm")
    assert pounds.values == pytest.approx(80 - 2 * 34.121416331, rel=1e-9)
    with pytest.raises(UnitMismatch, match="convert one first"):
        units.spark_spread(80.0, 3.0, power_unit="EUR/MWh")
    with pytest.raises(UnitError, match="above zero"):
        units.spark_spread(80.0, 3.0, 0.0)


def test_a_question_is_answered_with_what_it_stands_on() -> None:
    found = units.ask("10 Mcf at 1037 Btu/cf in MWh")
    assert found.value == pytest.approx(3.039146997685944, rel=1e-15)
    assert found.on_the_way == [(10_370_000, "Btu"), (pytest.approx(10.37), "MMBtu")]
    said = " ".join(found.assumptions)
    assert all(
        part in said for part in ("1037 Btu/cf as stated", "undated", "HHV (US convention)", "taken as the same")
    )
    with pytest.raises(MissingBasis, match=r"missing the heat content.*10 Mcf at 1037"):
        units.ask("10 Mcf in MWh")


@pytest.mark.parametrize(
    ("words", "value"),
    [
        ("what is 10 Mcf at 1037 Btu/cf in MWh?", 3.039146997685944), ("10 MWh to MMBtu", 34.121416331),
        ("how many MWh are in 10 Mcf at 1037 Btu/cf", 3.039146997685944), ("100 MW for 15 min in MWh", 25),
        ("25 MWh over 15 min in MW", 100), ("80 $/bbl at 0.85 kg/L in $/t", 591.98219), ("32 degF = degC", 0),
        ("100 EUR/MWh at 1.08 USD/EUR on 2025-06-02 in USD/MWh", 108), ("10 Mcf @ 1037 Btu/cf HHV -> MMBtu", 10.37),
        ("10 bbl at 5.8 MMBtu/bbl in MMBtu", 58), ("10 m3 at 39.5 MJ/m3 in kWh", 395 / 3.6),
        ("10.37 MMBtu at 1037 Btu/cf in Mcf", 10), ("10 Mcf, 1037 Btu/cf in MMBtu", 10.37),
        ("10 Mcf in MMBtu at 1037 Btu/cf", 10.37), ("10 MMcf/d at 1037 Btu/cf in MMBtu/d", 10370),
    ],
)  # fmt: skip
def test_questions(words: str, value: float) -> None:
    assert units.ask(words).value == pytest.approx(value, rel=1e-7, abs=1e-9)


@pytest.mark.parametrize(
    "words",
    [
        "10 Mcf at 1037 Btu/cf",
        "at in",
        "100 EUR/MWh at 1.08 USD/EUR in USD/MWh",
        "10 Mcf at 5 USD in MWh",
        "",
        "10 Mcf at MWh",
        "10 MMBtu LHV at 1037 Btu/cf HHV in Mcf",
        "10 MWh at 1037 Btu/cf in GJ",
    ],
)
def test_questions_without_an_answer(words: str) -> None:
    with pytest.raises(UnitError):
        units.ask(words)


def test_conventions_of_units_are_told() -> None:
    assert units.ask("1 boe in MWh").assumptions == ["boe: convention: 5.8 MMBtu"]
    assert any("24 hours" in note for note in units.ask("24 Mcf/d in Mcf/h").assumptions)
    assert "$ is the US dollar" in units.ask("$25/MWh in ¢/kWh").assumptions
