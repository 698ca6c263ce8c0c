"""Numbers of a partition by name, all from its state: what the store keeps a history of, and exporters show."""

from __future__ import annotations

from collections.abc import Mapping

from .partition import PartitionState
from .profile import Distinct, Moments, Quantiles
from .states import PLACES, ROWS, Cells, Peak, Tally

_QUANTILES = {"p01": 0.01, "p05": 0.05, "p25": 0.25, "median": 0.5, "p75": 0.75, "p95": 0.95, "p99": 0.99}


def metrics(state: PartitionState) -> Mapping[str, float]:
    """`rows`, `places`, `intervals`, `cells`; per column `nulls.` (rate), `mean.`, `std.`, `min.`, `max.`, quantiles,
    `distinct.`; per check `failed.` (share of the judged)."""
    found: dict[str, float] = {"rows": float(state.get(ROWS, Tally).judged)}
    for name, kept in state.states.items():
        column = name.partition(".")[2]
        if isinstance(kept, Moments):
            found |= _moments(column, kept)
        elif isinstance(kept, Quantiles):
            values = kept.at(*_QUANTILES.values())
            found |= {f"{label}.{column}": value for label, value in zip(_QUANTILES, values, strict=False)}
        elif isinstance(kept, Distinct):
            found[f"distinct.{column}"] = float(kept.estimate)
        elif isinstance(kept, Cells):
            found |= {"intervals": float(len(kept.by_start)), "cells": float(kept.total)}
        elif isinstance(kept, Peak) and name == PLACES:
            found["places"] = float(kept.value)
        elif isinstance(kept, Tally) and kept.judged and name != ROWS and not name.endswith(".turned"):
            found[f"failed.{name}"] = kept.failed / kept.judged
    return found


def _moments(column: str, kept: Moments) -> dict[str, float]:
    found = {f"nulls.{column}": (kept.nulls + kept.wild) / kept.rows} if kept.rows else {}
    if kept.count and kept.mean is not None and kept.deviation is not None:
        found |= {
            f"mean.{column}": kept.mean,
            f"std.{column}": kept.deviation,
            f"min.{column}": kept.low,
            f"max.{column}": kept.high,
        }
    return found
