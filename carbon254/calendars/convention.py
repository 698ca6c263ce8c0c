"""Label conventions as data: markets and the ways they print time, read from `conventions.toml`."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from importlib import resources
from typing import Any

from carbon254.errors import BadLabel

from .wall import Sides

REPEATS = ("none", "utc", "offset", "zone", "second_flag", "suffix", "he25", "late25", "order")
_STEPS = {"PT5M": 5, "PT15M": 15, "PT30M": 30, "PT1H": 60}


@dataclass(frozen=True, slots=True)
class Market:
    """A market: its clock (IANA) tells its market day; `resolutions` are the interval lengths it publishes."""

    id: str
    name: str
    clock: str
    resolutions: tuple[timedelta, ...]


@dataclass(frozen=True, slots=True)
class Convention:
    """A way of printing intervals; the words are explained at the top of `conventions.toml`."""

    id: str
    market: str
    title: str
    clock: str
    form: str
    edge: str
    repeat: str
    basis: str = ""
    sign: str = ""
    skip_before: bool = False
    repeat_before: bool = False
    clocks: tuple[str, ...] = ()

    @property
    def sides(self) -> Sides:
        """How an interval end at a change of clock is printed."""
        return Sides(self.skip_before, self.repeat_before)

    @property
    def first_hour(self) -> int:
        """The number of the hour from midnight: 1 where hours are named by their end."""
        return 1 if self.edge == "end" else 0


@cache
def markets() -> dict[str, Market]:
    """Every market by id."""
    steps = {text: timedelta(minutes=minutes) for text, minutes in _STEPS.items()}
    return {
        raw["id"]: Market(raw["id"], raw["name"], raw["clock"], tuple(steps[text] for text in raw["resolutions"]))
        for raw in _catalogue()["market"]
    }


@cache
def conventions() -> dict[str, Convention]:
    """Every convention by id."""
    return {raw["id"]: _convention(raw) for raw in _catalogue()["convention"]}


def market(name: str) -> Market:
    """The market of an id, in any spelling of case and hyphens. Raises BadLabel listing the known ones."""
    by_name = {_plain(known): found for known, found in markets().items()}
    if found := by_name.get(_plain(name)):
        return found
    raise BadLabel(f"no market is called {name!r}; {_nearest(name, markets())}")


def convention(name: str) -> Convention:
    """The convention of an id (`ercot.api`). Raises BadLabel listing the known ones."""
    if found := conventions().get(name):
        return found
    raise BadLabel(f"no label convention is called {name!r}; {_nearest(name, conventions())}")


def conventions_of(market_name: str) -> list[Convention]:
    """The conventions of a market, in the catalogue's order. Raises BadLabel for an unknown market."""
    wanted = market(market_name).id
    return [found for found in conventions().values() if found.market == wanted]


def _convention(raw: dict[str, Any]) -> Convention:
    clocks = tuple(raw.get("clocks", ()))
    clock = clocks[0] if clocks else markets()[raw["market"]].clock
    if raw["repeat"] not in REPEATS:
        raise BadLabel(f"conventions.toml: {raw['id']}: repeat must be one of {', '.join(REPEATS)}")
    return Convention(**{**raw, "clock": clock, "clocks": clocks})


@cache
def _catalogue() -> dict[str, list[dict[str, Any]]]:
    return tomllib.loads((resources.files("carbon254.calendars") / "conventions.toml").read_text("utf-8"))


def _plain(name: str) -> str:
    return name.lower().replace("-", "").replace("_", "").replace(" ", "")


def _nearest(name: str, known: Iterable[str]) -> str:
    names = list(known)
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    return f"did you mean {near[0]}? Known: {', '.join(names)}" if near else f"known: {', '.join(names)}"
