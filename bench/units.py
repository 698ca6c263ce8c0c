"""Converting a column: ours beside pint on the same array and beside the floor, numpy multiplying into a given array.

python bench/units.py [VALUES]
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable

import numpy as np
import pint
import polars as pl

from carbon254 import units

RUNS = 7


def best(work: Callable[[], object]) -> float:
    """The quickest of some runs, in seconds."""
    found = []
    for _ in range(RUNS):
        start = time.perf_counter()
        work()
        found.append(time.perf_counter() - start)
    return min(found)


def main(count: int) -> dict[str, object]:
    values = np.random.default_rng(254).uniform(0, 1_000, count)
    out = np.empty_like(values)
    series = pl.Series(values)
    theirs = pint.UnitRegistry().Quantity(values, "megaBtu_it")
    factor = units.plan("MMBtu", "MWh").factor
    seconds = {
        "floor_numpy_multiply_out": best(lambda: np.multiply(values, factor, out=out)),
        "floor_numpy_multiply": best(lambda: values * factor),
        "ours_out": best(lambda: units.convert(values, "MMBtu", "MWh", out=out)),
        "ours": best(lambda: units.convert(values, "MMBtu", "MWh")),
        "ours_temperature": best(lambda: units.convert(values, "degF", "degC")),
        "ours_polars": best(lambda: units.convert(series, "MMBtu", "MWh")),
        "pint": best(lambda: theirs.to("megawatt_hour")),
    }
    one = best(lambda: [units.convert(1.0, "MMBtu", "MWh") for _ in range(10_000)]) / 10_000
    quantity = pint.UnitRegistry().Quantity(1.0, "megaBtu_it")
    theirs_one = best(lambda: [quantity.to("megawatt_hour") for _ in range(2_000)]) / 2_000
    floor = seconds["floor_numpy_multiply_out"]
    return {
        "bench": "units MMBtu → MWh",
        "values": count,
        **{f"{name}_m_per_s": round(count / took / 1e6) for name, took in seconds.items()},
        "ours_out_x_floor": round(seconds["ours_out"] / floor, 2),
        "ours_x_floor": round(seconds["ours"] / floor, 2),
        "pint_x_floor": round(seconds["pint"] / floor, 2),
        "ours_one_value_us": round(one * 1e6, 2),
        "pint_one_value_us": round(theirs_one * 1e6, 2),
    }


if __name__ == "__main__":
    found = main(int(sys.argv[1]) if len(sys.argv) > 1 else 20_000_000)
    for name, value in found.items():
        sys.stderr.write(f"{name:32} {value:,}\n" if isinstance(value, int) else f"{name:32} {value}\n")
    sys.stdout.write(json.dumps(found, ensure_ascii=False) + "\n")
