"""Reading the hot store as it was after a given arrival: rows of later ones are left out before anything is asked.

Every row names the arrival it came from (`received_at`, `payload`), so a bound on the arrival gives back what was
stored then, whatever came since. A row that was held then and let out later by a person carries its arrival too, and is
told by its flag and moment. The engine lays the bound under each table a statement reads, below all views.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from carbon254.model import Dataset, catalogue
from carbon254.model.flags import Flag

from .ddl import TABLES
from .literal import literal

# These keep their current version only; what they held before is computed again, not read.
COMPUTED = "ohlc_bars_computed"
_BARS = re.compile(r"'(?:[^'\\]|\\.)*'|\b(ohlc_bars)\b", re.DOTALL)
CURRENT_ONLY = ("quarantine", "verdicts")


@dataclass(frozen=True, slots=True)
class Upto:
    """What a feed had brought: its arrivals up to the last one (moment, SHA-256), without those that came behind it
    though they sort before it."""

    received_at: datetime
    payload: str
    without: tuple[tuple[datetime, str], ...] = ()

    def condition(self) -> str:
        """The rows of these arrivals, as SQL."""
        told = f"(received_at, payload) <= ({literal(self.received_at)}, {literal(self.payload)})"
        if not self.without:
            return told
        others = ", ".join(f"({literal(at)}, {literal(payload)})" for at, payload in self.without)
        return f"{told} AND (received_at, payload) NOT IN ({others})"


def bounds(arrivals: Mapping[str, Upto], at: datetime) -> dict[str, str]:
    """Table filters that leave out what feeds brought beyond these arrivals, and what was released after `at`; other
    feeds are left out."""
    allowed = " OR ".join(f"(feed = {literal(feed)} AND {upto.condition()})" for feed, upto in sorted(arrivals.items()))
    condition = f"({allowed})" if allowed else "0"
    return {
        f"{TABLES}.{name}": condition + (_not_let_out_later(at) if {"flags", "known_at"} <= set(dataset.names) else "")
        for name, dataset in catalogue().items()
        if _bounded(dataset)
    }


def _not_let_out_later(at: datetime) -> str:
    return f" AND NOT (bitAnd(flags, {int(Flag.RELEASED)}) AND known_at > {literal(at)})"


def computed(statement: str) -> str:
    """A statement in the engine's own spelling, with its bars computed from rows: what was sealed since says nothing of
    them."""
    return _BARS.sub(lambda found: COMPUTED if found[1] else found[0], statement)


def setting(filters: Mapping[str, str]) -> str:
    """The engine's `additional_table_filters` as it is written."""
    pairs = ", ".join(f"'{table}': '{_escaped(condition)}'" for table, condition in sorted(filters.items()))
    return "{" + pairs + "}"


def _bounded(dataset: Dataset) -> bool:
    stored = not dataset.derived and dataset.name not in CURRENT_ONLY
    return stored and {"feed", "received_at", "payload"} <= set(dataset.names)


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("'", "\\'")
