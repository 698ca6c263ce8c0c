"""Settlement ladders and gate closures by market: facts of `ladders.toml`, and the rung a name means.

A rung is a moment for each interval: what was known by then is "the price at S14". No rung is the last one: operators
restate years later, so when a price is never revised again is unknown.
"""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, time
from functools import cache
from importlib.resources import files
from typing import Any

from carbon254.errors import UnknownRung
from carbon254.nearest import unknown

UNITS = ("days", "business_days", "months", "minutes")


@dataclass(frozen=True, slots=True)
class Rung:
    """A named step: `count` `unit`s after the operating day (after each interval's end, for minutes).

    `set` is present or older; `basis` is P (primary source), S (secondary) or K (general knowledge, not looked up).
    """

    market: str
    name: str
    unit: str
    count: int
    basis: str
    source: str
    set: str = "present"
    also: tuple[str, ...] = ()

    @property
    def meaning(self) -> str:
        """In words."""
        if self.unit == "minutes":
            return f"as known {self.count} minutes after the interval's end"
        return f"as known at the end of the operating day + {self.count} {self.unit.replace('_', ' ')}"


@dataclass(frozen=True, slots=True)
class Gate:
    """When day-ahead bids close: `days_before` the operating day at `at` on the market's clock."""

    market: str
    days_before: int
    at: time
    basis: str
    source: str


@dataclass(frozen=True, slots=True)
class Ladder:
    """A market's rungs in the order of the file, its gate, and the calendar its business days go by."""

    market: str
    calendar: str
    rungs: tuple[Rung, ...]
    gate: Gate


@cache
def ladders() -> Mapping[str, Ladder]:
    """Every market's ladder, by market."""
    return {raw["id"]: _ladder(raw) for raw in _facts()["market"]}


def horizon() -> tuple[date, date]:
    """First and last market day that cutoffs are laid out for."""
    return _facts()["first_day"], _facts()["last_day"]


def digest() -> str:
    """Names the facts; another text has another digest."""
    return hashlib.sha256(_text().encode()).hexdigest()[:16]


def ladder(market: str) -> Ladder:
    """A market's ladder. Raises UnknownRung naming the markets that have one."""
    if found := ladders().get(market.upper()):
        return found
    raise UnknownRung(f"{unknown('market', market, ladders())} (only these have a settlement ladder here)")


def rung(market: str, name: str) -> Rung:
    """The rung a name means, in any case. Raises UnknownRung listing the market's own."""
    found = ladder(market)
    for known in found.rungs:
        if name.upper() in (known.name.upper(), *(other.upper() for other in known.also)):
            return known
    listed = ", ".join(known.name for known in found.rungs) or "none"
    raise UnknownRung(f"{found.market} has no rung {name!r}; its rungs are: {listed}")


def gate(market: str) -> Gate:
    """A market's day-ahead gate. Raises UnknownRung naming the markets that have one."""
    return ladder(market).gate


def known_names() -> str:
    """Every market's rungs, for a message."""
    return "; ".join(
        f"{name}: {', '.join(r.name for r in found.rungs)}" for name, found in ladders().items() if found.rungs
    )


@cache
def _text() -> str:
    return files("carbon254.model").joinpath("ladders.toml").read_text("utf-8")


@cache
def _facts() -> dict[str, Any]:
    return tomllib.loads(_text())


def _ladder(raw: dict[str, Any]) -> Ladder:
    gate = raw["gate"] | {"market": raw["id"], "at": time.fromisoformat(raw["gate"]["time"])}
    del gate["time"]
    return Ladder(raw["id"], raw["calendar"], tuple(_rung(raw["id"], facts) for facts in raw["rung"]), Gate(**gate))


def _rung(market: str, facts: dict[str, Any]) -> Rung:
    [(unit, count)] = facts["after"].items()
    if unit not in UNITS:
        raise ValueError(f"{market} {facts['name']}: after is one of {', '.join(UNITS)}")
    rest = {name: facts[name] for name in ("name", "basis", "source", "set") if name in facts}
    return Rung(market=market, unit=unit, count=count, also=tuple(facts.get("also", ())), **rest)
