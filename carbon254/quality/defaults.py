"""The rules a stream has without a file of its own: what its card and its dataset already say."""

from __future__ import annotations

from carbon254.model import Stream, dataset

from .behaviour import Frozen, Spikes, Stale, Stuck
from .check import Check
from .identity import Identity
from .laws import OneEnergy, Share
from .row_checks import Inside, Late, Nulls, Range, Unique
from .rules import Rules
from .whole import Anomaly, Complete, Fresh, Intervals, Places

# Beyond these no market has cleared; a folder's file narrows them to its market's own caps.
_LOWEST, _HIGHEST = -5_000.0, 20_000.0
_MAIN = {
    "interval_prices": "lmp",
    "market_ticks": "price",
    "energy_prices": "price",
    "weather_forecasts": "temperature",
}
_WATCHED = ("rows", "places", "median.lmp", "p05.lmp", "p95.lmp", "nulls.lmp")
_CENT = 0.01


def default_rules(stream: Stream) -> Rules:
    """Checks for any dataset, and the market's laws for interval prices."""
    kind = dataset(stream.dataset)
    main = _MAIN.get(kind.name, "")
    numbers = tuple(column.name for column in kind.columns if column.type == "float64")
    priced = kind.name == "interval_prices"
    checks: list[Check] = [Unique()]
    checks += [Nulls(column=main)] if main and kind.name != "market_ticks" else []
    if "flags" in kind.names and kind.name != "market_ticks":
        checks.append(Late())
    if priced:
        checks += _priced(stream)
    return Rules(
        feed=stream.topic,
        dataset=kind.name,
        resolution=stream.resolution if priced else None,
        runs={name: run.resolution for name, run in stream.runs.items()} if priced else {},
        checks=tuple(checks),
        profiled=numbers,
        sketched=(main,) if main else (),
    )


def _priced(stream: Stream) -> list[Check]:
    # Half a unit of each number, twice: a derived energy inherits the rounding of the three that it is made of.
    unit = stream.rounding.most or _CENT
    spread = 3 * unit if stream.derive == "energy" else unit
    return [
        Intervals(weight=2.0),
        Complete(weight=2.0),
        Places(),
        Fresh(),
        Inside(weight=2.0),
        Range(column="lmp", min=_LOWEST, max=_HIGHEST, weight=2.0),
        Identity(weight=2.0).on(stream),
        OneEnergy(tolerance=spread, weight=2.0),
        Share(),
        Stuck(),
        Frozen(weight=2.0),
        Spikes(),
        Stale(weight=2.0),
        *(Anomaly(metric=name) for name in _WATCHED),
    ]
