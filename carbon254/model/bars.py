"""Bars as a declaration: of which column, over which windows, in which series; and what cards add to it.

Open, high, low, close of a window are a pure function of the rows that stand. A window holds the rows that start in
it; windows narrower than a run's interval are not made, for a five-minute price says nothing about one minute. Daily
bars of a market follow its own clock (23, 24 or 25 hours), those of instants UTC.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from .source import Stream, by_run

WIDTHS = {
    "1m": timedelta(minutes=1),
    "5m": timedelta(minutes=5),
    "15m": timedelta(minutes=15),
    "1h": timedelta(hours=1),
    "1d": timedelta(days=1),
}


@dataclass(frozen=True, slots=True)
class Bars:
    """How bars are made of the rows of a dataset.

    `price` is the column, weighted by the duration from `start` to `end`; rows without an `end` are instants, ordered
    by `model.ticks` and counted. `volume` is summed where it is named. `series` gives each naming column of a bar a
    column of the rows, or a text in quotes. Instants have one market run, `run`; intervals have those of the cards.
    `seal` is the span whose bars are stored when it is over: 1d is a market day.
    """

    price: str
    start: str
    widths: Sequence[str]
    seal: str
    series: Mapping[str, str]
    end: str = ""
    volume: str = ""
    run: str = ""


@dataclass(frozen=True, slots=True)
class BarRun:
    """A market run whose rows become bars: the clock of its days, and how long its intervals are (0: no fixed one)."""

    market: str
    market_run: str
    clock: str
    resolution: timedelta


def bar_runs(streams: Iterable[Stream], datasets: Iterable[str]) -> list[BarRun]:
    """The runs of the cards of these datasets of intervals, in order of their names."""
    of_bars = set(datasets)
    found = by_run(stream for stream in streams if stream.dataset in of_bars)
    return [BarRun(market, run, one.clock, one.resolution) for (market, run), one in sorted(found.items())]


def widths_for(resolution: timedelta) -> list[str]:
    """The widths that hold at least one whole interval, narrowest first."""
    return [name for name, width in WIDTHS.items() if width >= resolution]
