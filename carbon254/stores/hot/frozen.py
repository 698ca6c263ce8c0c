"""Reading the hot store as it was after a given payload: rows of later payloads are left out before anything is asked.

Every row names the raw payload it came from by the payload's place in the raw log (`batch_id` begins with it), so a
bound on that place gives back what was stored then, whatever came since. A row that was held then and let out later
by a person carries the place of its payload too, and is told by its flag and moment. The engine lays the bound under
each table a statement reads, below all views.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime

from carbon254.model import Dataset, catalogue
from carbon254.model.flags import Flag

from .ddl import TABLES
from .literal import literal

PLACE = "toUInt64OrZero(substringIndex(batch_id, '-', 1))"
# These keep their current version only; what they held before is computed again, not read.
COMPUTED = "ohlc_bars_computed"
_BARS = re.compile(r"'(?:[^'\\]|\\.)*'|\b(ohlc_bars)\b", re.DOTALL)
CURRENT_ONLY = ("quarantine", "verdicts")


def bounds(offsets: Mapping[str, int], at: datetime) -> dict[str, str]:
    """Table filters that leave out what feeds brought beyond these places of the raw log, and what was released after
    `at`; other feeds are left out."""
    allowed = " OR ".join(f"(feed = '{feed}' AND {PLACE} <= {int(last)})" for feed, last in sorted(offsets.items()))
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
    return stored and "feed" in dataset.names and "batch_id" in dataset.names


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("'", "\\'")
