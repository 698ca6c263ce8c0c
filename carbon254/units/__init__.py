"""Units of power and fuel: exact factors, whole columns, and nothing assumed that was not stated.

>>> from carbon254 import units
>>> units.convert(1.0, "MMBtu", "MWh")
0.2930710701722222
>>> units.ask("10 Mcf at 1037 Btu/cf in MWh").value
3.039146997685944
"""

from .base import BaseConditions, base_conditions, bases
from .bridge import Density, FxRate, HeatContent
from .constants import Constant, constants, constants_table
from .conversion import convert
from .expression import Unit, unit
from .factors import Plan, exact_factor, plan
from .gas import gas_energy, gas_volume, hhv_from_lhv, lhv_from_hhv, rebase, us_heat_content
from .intervals import average_power, energy_from_power, power_from_energy
from .notebook import registry
from .prices import StandardPrice, standardise_price
from .quantity import Quantity
from .question import Answer, ask
from .reading import parse
from .spreads import Outcome, efficiency, heat_rate, implied_heat_rate, spark_spread
from .table import UnitDef, table

__all__ = [
    "Answer",
    "BaseConditions",
    "Constant",
    "Density",
    "FxRate",
    "HeatContent",
    "Outcome",
    "Plan",
    "Quantity",
    "StandardPrice",
    "Unit",
    "UnitDef",
    "ask",
    "average_power",
    "base_conditions",
    "bases",
    "constants",
    "constants_table",
    "convert",
    "efficiency",
    "energy_from_power",
    "exact_factor",
    "gas_energy",
    "gas_volume",
    "heat_rate",
    "hhv_from_lhv",
    "implied_heat_rate",
    "lhv_from_hhv",
    "parse",
    "plan",
    "power_from_energy",
    "rebase",
    "registry",
    "spark_spread",
    "standardise_price",
    "table",
    "unit",
    "us_heat_content",
]
