"""Factors: E12's figures, pint as the judge, spellings, and errors that say what to write."""

from __future__ import annotations

import itertools
from fractions import Fraction

import pint
import pytest

from carbon254 import units
from carbon254.errors import AmbiguousUnit, MissingBasis, UnitError, UnitMismatch, UnknownUnit

PINT = pint.UnitRegistry()
# Our symbol → pint's own definition. Pint's Btu is ISO's; its Btu_it is the International Table one.
JUDGE = {
    "J": "joule", "kJ": "kilojoule", "MJ": "megajoule", "GJ": "gigajoule", "TJ": "terajoule", "PJ": "petajoule",
    "Wh": "watt_hour", "kWh": "kilowatt_hour", "MWh": "megawatt_hour", "GWh": "gigawatt_hour", "TWh": "terawatt_hour",
    "Btu": "Btu_it", "kBtu": "1e3 Btu_it", "MMBtu": "1e6 Btu_it", "BBtu": "1e9 Btu_it", "TBtu": "1e12 Btu_it",
    "therm": "1e5 Btu_it", "therm_us": "US_therm", "Dth": "1e6 Btu_it", "quad": "1e15 Btu_it",
    "Gcal": "1e9 international_calorie", "toe": "tonne_of_oil_equivalent", "ktoe": "1e3 toe", "Mtoe": "1e6 toe",
    "W": "watt", "kW": "kilowatt", "MW": "megawatt", "GW": "gigawatt", "TW": "terawatt", "hp": "horsepower",
    "hp_metric": "metric_horsepower", "hp_electric": "electrical_horsepower",
    "m3": "meter**3", "kcm": "1e3 meter**3", "MMcm": "1e6 meter**3", "Bcm": "1e9 meter**3", "L": "liter",
    "gal": "gallon", "gal_uk": "imperial_gallon", "kgal": "1e3 gallon", "bbl": "oil_barrel", "kbbl": "1e3 oil_barrel",
    "MMbbl": "1e6 oil_barrel", "cf": "foot**3", "Ccf": "100 foot**3", "Mcf": "1e3 foot**3", "Mscf": "1e3 foot**3",
    "MMcf": "1e6 foot**3", "Bcf": "1e9 foot**3", "Tcf": "1e12 foot**3",
    "kg": "kilogram", "g": "gram", "t": "metric_ton", "kt": "1e3 metric_ton", "Mt": "1e6 metric_ton", "lb": "pound",
    "short_ton": "short_ton", "long_ton": "long_ton", "s": "second", "min": "minute", "h": "hour", "d": "day",
    "week": "week",
    "Pa": "pascal", "hPa": "hectopascal", "kPa": "kilopascal", "MPa": "megapascal", "bar": "bar", "atm": "atm",
    "psia": "psi",
    "delta_K": "kelvin", "delta_degC": "delta_degree_Celsius", "delta_degF": "delta_degree_Fahrenheit",
}  # fmt: skip
BASE = {
    "energy": "joule", "power": "watt", "volume": "meter**3", "mass": "kilogram", "time": "second",
    "pressure": "pascal", "temperature difference": "kelvin",
}  # fmt: skip
NOT_IN_PINT = {"boe", "efficiency", "%", "K", "degC", "degF", "degR"}


@pytest.mark.parametrize("symbol", sorted(JUDGE))
def test_pint_agrees(symbol: str) -> None:
    ours = units.table().units[symbol]
    theirs = PINT.Quantity(1, JUDGE[symbol]) if not JUDGE[symbol][0].isdigit() else PINT(JUDGE[symbol])
    assert float(ours.factor) == pytest.approx(theirs.to(BASE[ours.kind]).magnitude, rel=1e-12)


def test_every_unit_has_a_judge() -> None:
    physical = {name for name, one in units.table().units.items() if one.kind != "currency"}
    assert physical - set(JUDGE) == NOT_IN_PINT


@pytest.mark.parametrize("celsius", [-273.15, -40.0, 0.0, 15.0, 37.7777, 100.0])
def test_temperatures_agree_with_pint(celsius: float) -> None:
    for ours, theirs in (("K", "kelvin"), ("degF", "degree_Fahrenheit"), ("degR", "degree_Rankine")):
        judged = PINT.Quantity(celsius, "degree_Celsius").to(theirs).magnitude
        assert units.convert(celsius, "degC", ours) == pytest.approx(judged, abs=1e-9)


@pytest.mark.parametrize(
    ("value", "source", "target", "expected", "rel"),
    [
        (1, "Btu", "J", 1055.05585262, 0),
        (1, "MMBtu", "GJ", 1.05505585262, 1e-15),
        (1, "MMBtu", "MWh", 0.2930710702, 2e-10),
        (1, "MMBtu", "therm", 10, 0),
        (1, "MMBtu", "dekatherm", 1, 0),
        (1, "MWh", "GJ", 3.6, 0),
        (1, "MWh", "MMBtu", 3.4121416331, 1e-10),
        (1, "therm", "MJ", 105.505585262, 0),
        (1, "therm_us", "MJ", 105.4804, 0),
        (1, "boe", "GJ", 6.1193, 1e-5),
        (1, "boe", "MWh", 1.6998, 1e-4),
        (1, "bbl", "m3", 0.158987294928, 1e-15),
        (1, "bbl", "gal", 42, 0),
        (7000, "Btu/kWh", "MMBtu/MWh", 7.0, 0),
        (25, "USD/MWh", "¢/kWh", 2.5, 0),
        (1, "$/MMBtu", "$/MWh", 3.4121416331, 1e-10),
        (60, "p/therm", "GBP/MWh", 20.4728497987, 1e-10),
        (24, "$/MW-day", "$/MWh", 1.0, 1e-15),
        (24, "MMBtu/d", "MMBtu/h", 1.0, 1e-15),
        (212, "degF", "degC", 100.0, 1e-13),
        (18, "delta_degF", "delta_degC", 10.0, 1e-15),
        (2.52, "USD/gal", "USD/bbl", 105.84, 1e-15),
    ],
)
def test_figures_of_the_trade(value: float, source: str, target: str, expected: float, rel: float) -> None:
    assert units.convert(value, source, target) == pytest.approx(expected, rel=rel or 1e-16, abs=0)


def test_round_trips_of_every_pair() -> None:
    by_kind: dict[str, list[str]] = {}
    for one in units.table().units.values():
        key = one.kind if one.kind != "currency" else str(one.dims)
        by_kind.setdefault(key, []).append(one.symbol)
    seen = 0
    for kind, symbols in by_kind.items():
        for source, target in itertools.permutations(symbols, 2):
            for value in (1.0, -3.7, 1037.25):
                back = units.convert(units.convert(value, source, target), target, source)
                limit = {"abs": 1e-9} if kind == "temperature" else {"rel": 1e-12}
                assert back == pytest.approx(value, **limit), (source, target)
            if kind != "temperature":
                assert units.exact_factor(source, target) * units.exact_factor(target, source) == Fraction(1)
            seen += 1
    assert seen > 1000


@pytest.mark.parametrize(
    ("spelling", "symbol"),
    [
        ("mmbtu", "MMBtu"), ("MMBTU", "MMBtu"), ("MWHr", "MWh"), ("dth", "Dth"), ("Dth", "Dth"), ("mwh", "MWh"),
        ("m³", "m3"),
        ("ft^3", "cf"), ("million Btu", "MMBtu"), ("megawatt-hours", "MWh"), ("°F", "degF"), ("wmoUnit:degC", "degC"),
        ("short tons", "short_ton"), ("MW h", "MWh"), ("MW*h", "MWh"), ("thousand cubic feet", "Mcf"),
    ],
)  # fmt: skip
def test_spellings(spelling: str, symbol: str) -> None:
    found = units.unit(spelling)
    assert (found.dims, found.scale) == (units.unit(symbol).dims, units.unit(symbol).scale)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("$/MWh", "USD/MWh"), ("USD per MWh", "$/MWh"), ("EUR MWh-1", "EUR/MWh"), ("EUR·MWh⁻¹", "EUR/MWh"),
        ("MMcfd", "MMcf/d"), ("USD/MW/day", "$/MW-day"), ("MMBtu/(MW*h)", "MMBtu/MWh"), ("p/th", "GBp/therm"),
    ],
)  # fmt: skip
def test_expressions(one: str, other: str) -> None:
    assert units.exact_factor(one, other) == 1


@pytest.mark.parametrize(
    "spelling", ["MBtu", "MBTU", "mbtu", "mcf", "MCF", "mW", "ton", "MT", "mcm", "$/kW-month", "Nm3", "cal"]
)
def test_what_reads_two_ways_is_refused(spelling: str) -> None:
    with pytest.raises(AmbiguousUnit, match=r"two ways: .*(or|write)"):
        units.unit(spelling)
    with pytest.raises(AmbiguousUnit):
        units.parse(f"10 {spelling}")


def test_no_spelling_means_two_units() -> None:
    names = [name for one in units.table().units.values() for name in (one.symbol, *one.spellings)]
    assert sorted(names) == sorted(set(names))
    for name, found in units.table().exactly.items():
        assert units.unit(name).scale == found.factor, name


@pytest.mark.parametrize("text", ["", " ", "5", "MWh/", "(MW", "MW)", "MW+h", "MW^0", "/MWh", "0 MWh"])
def test_no_unit(text: str) -> None:
    with pytest.raises(UnitError):
        units.unit(text)


@pytest.mark.parametrize(
    ("source", "target", "error", "says"),
    [
        ("MWhh", "MJ", UnknownUnit, "did you mean MWh"),
        ("MW", "MWh", MissingBasis, "length of the interval"),
        ("MWh", "MW", MissingBasis, "length of the interval"),
        ("Mcf", "MMBtu", MissingBasis, "heat content with its date, basis and base"),
        ("USD/Mcf", "USD/MMBtu", MissingBasis, "heat content"),
        ("EUR/MWh", "USD/MWh", MissingBasis, r'fx=FxRate\("EUR", "USD"'),
        ("USD/bbl", "USD/t", MissingBasis, "density"),
        ("degC", "delta_degC", UnitMismatch, "no difference"),
        ("%", "Btu/kWh", UnitMismatch, "inverse"),
        ("MWh", "t", MissingBasis, "heat_content"),
        ("USD/MWh", "MWh", UnitMismatch, "different things"),
        ("degF/h", "degC/h", UnitError, "delta_degF"),
    ],
)
def test_what_is_missing_is_said(source: str, target: str, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        units.convert(1.0, source, target)


def test_a_unit_is_text() -> None:
    for wrong in (None, 3, ["MWh"]):
        with pytest.raises(UnitError, match="a unit is text"):
            units.convert(1.0, wrong, "MWh")  # pyright: ignore


def test_currencies_need_a_dated_rate() -> None:
    rate = units.FxRate("EUR", "USD", 1.08, "2025-06-02")
    assert units.convert(50, "EUR/MWh", "USD/MWh", fx=rate) == pytest.approx(54.0, rel=1e-15)
    assert units.convert(54, "USD/MWh", "EUR/MWh", fx=rate) == pytest.approx(50.0, rel=1e-15)
    with pytest.raises(MissingBasis, match="no date"):
        units.FxRate("EUR", "USD", 1.08)
    with pytest.raises(MissingBasis, match="the rate given is EUR/USD"):
        units.convert(1, "GBP/MWh", "USD/MWh", fx=rate)
    for wrong in (0, -1, float("nan"), "1.08", True):
        with pytest.raises(UnitError, match="above zero"):
            units.FxRate("EUR", "USD", wrong, "2025-06-02")  # pyright: ignore
    with pytest.raises(UnitError, match="date"):
        units.FxRate("EUR", "USD", 1.08, "2025-02-30")


def test_density_joins_volume_and_mass() -> None:
    heavy = units.Density(0.85, "kg/L")
    assert units.convert(1, "bbl", "t", density=heavy) == pytest.approx(0.158987294928 * 0.85, rel=1e-14)
    per_tonne = units.convert(80, "USD/bbl", "USD/t", density=heavy)
    assert per_tonne == pytest.approx(80 / (0.158987294928 * 0.85), rel=1e-14)
    with pytest.raises(UnitMismatch, match="not a density"):
        units.Density(0.85, "MWh")
