"""Labels to UTC: ours, pandas `tz_localize` and Polars on the same labels, and the floor (one subtraction a label).

python bench/labels.py [LABELS]
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import numpy as np
import pandas as pd
import polars as pl

from carbon254.calendars import convention, read, to_utc, write

CLOCK = "America/Chicago"
ROUNDS = 5
FIVE = timedelta(minutes=5)


def best(run: Callable[[], Any]) -> float:
    """Seconds of the quickest of some rounds, all after one to warm up."""
    run()
    spent = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        run()
        spent.append(time.perf_counter() - start)
    return min(spent)


def main(count: int) -> None:
    """Five-minute labels of many nodes over 31 years, both passes of each autumn hour told."""
    opens = np.datetime64("2007-01-01T06:00", "us").astype(np.int64)
    instants = opens + np.arange(count) % (31 * 365 * 288) * 300_000_000
    starts = pl.Series(instants).cast(pl.Datetime("us", "UTC"))
    sced = write(starts, convention("ercot.sced"), FIVE)
    wall = sced["stamp"].to_physical().to_numpy()
    passes = sced["mark"].cast(pl.Int8).to_numpy()
    found, status = to_utc(wall, CLOCK, passes)
    assert (found == instants).all() and not status.any()

    stamps = pd.Series(wall.astype("datetime64[us]"))
    out = np.empty_like(wall)
    seconds = {
        "to_utc": best(lambda: to_utc(wall, CLOCK, passes)),
        "read": best(lambda: read(sced, convention("ercot.sced"), FIVE)),
        "pandas": best(lambda: stamps.dt.tz_localize(CLOCK, ambiguous=passes == 0, nonexistent="NaT")),
        "polars": best(lambda: sced["stamp"].dt.replace_time_zone(CLOCK, ambiguous="earliest", non_existent="null")),
        "floor": best(lambda: np.subtract(wall, 1, out=out)),
    }
    figures = {f"{name} (M labels/s)": round(count / spent / 1e6, 1) for name, spent in seconds.items()}
    ratio = round(seconds["pandas"] / seconds["to_utc"], 1)
    print(json.dumps({"bench": f"{count:,} labels to UTC", **figures, "to_utc / pandas": ratio}))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5_000_000)
