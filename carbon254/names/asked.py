"""The names of one question, and the order of its span."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from typing import TypeVar

from carbon254.errors import UnknownFeed, WrongSpan
from carbon254.nearest import pick

_When = TypeVar("_When", datetime, date)
# Lists of places make dead letters too.
_LISTS = "reference"


@dataclass(frozen=True, slots=True)
class Asked:
    """Names as they were written; settled (`Vocabulary.settle`), as they are kept. What is empty was not asked for.

    `locations` are names or ids of priced places, and settled every spelling and id that they mean; `series` is a
    place or an instrument, as bars have both; `area` is what a forecast is for, `source` who pushed ticks.
    """

    market: str | None = None
    run: str | None = None
    locations: tuple[str, ...] = ()
    series: tuple[str, ...] = ()
    instrument: str | None = None
    tenant: str | None = None
    source: str | None = None
    commodity: str | None = None
    area: str | None = None


def in_order(start: _When, end: _When) -> tuple[_When, _When]:
    """(start, end). Raises WrongSpan where the end is not after the start: such a span holds nothing."""
    if start >= end:
        raise WrongSpan(f"start {start.isoformat()} is not before end {end.isoformat()}; spans are [start, end)")
    return start, end


def sender(name: str, feeds: Iterable[str]) -> str:
    """What dead letters may be of: a feed, or `reference` for lists of places. Raises UnknownFeed."""
    return pick("feed", name.removeprefix("dlq."), [*sorted(feeds), _LISTS], UnknownFeed)
