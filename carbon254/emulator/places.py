"""The locations the emulator publishes: real hubs, zones and proxies, and any number of made-up nodes for load tests.

`places.csv` holds provider, id, name, type, zone (pnode for SPP). Made-up nodes are called NODE_00001 and so on; they
exist only where a server was asked for more locations than the table has.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

from .noise import Keys, keys

_NODE_IDS = 900_000_000


@dataclass(frozen=True, slots=True)
class Places:
    """Parallel lists of one provider's locations; `keys` feeds the price model."""

    ids: tuple[str, ...]
    names: tuple[str, ...]
    types: tuple[str, ...]
    zones: tuple[str, ...]
    keys: Keys

    def __len__(self) -> int:
        return len(self.ids)

    def pick(self, chosen: Sequence[int] | NDArray[np.intp]) -> Places:
        """The locations at these positions."""

        def at(values: tuple[str, ...]) -> tuple[str, ...]:
            return tuple(values[index] for index in chosen)

        return Places(at(self.ids), at(self.names), at(self.types), at(self.zones), self.keys[list(chosen)])

    def named(self, wanted: Sequence[str]) -> Places:
        """The locations whose id or name is asked for, in table order."""
        asked = set(wanted)
        both = enumerate(zip(self.ids, self.names, strict=True))
        return self.pick([index for index, (id_, name) in both if id_ in asked or name in asked])

    def __add__(self, other: Places) -> Places:
        return Places(
            self.ids + other.ids,
            self.names + other.names,
            self.types + other.types,
            self.zones + other.zones,
            np.concatenate([self.keys, other.keys]),
        )

    def of_type(self, *types: str) -> Places:
        """The locations of these types."""
        return self.pick([index for index, type_ in enumerate(self.types) if type_ in types])


@cache
def _table() -> tuple[dict[str, str], ...]:
    return tuple(csv.DictReader((files("carbon254.emulator") / "places.csv").read_text("utf-8").splitlines()))


@cache
def places(provider: str, nodes: int = 0) -> Places:
    """The provider's locations; with `nodes`, exactly so many: cut short, or filled up with made-up nodes."""
    rows = [row for row in _table() if row["provider"] == provider]
    rows = rows[:nodes] if nodes else rows
    made = range(1, nodes - len(rows) + 1)
    names = [*(row["name"] for row in rows), *(f"NODE_{number:05d}" for number in made)]
    numbered = bool(rows) and rows[0]["id"].isdigit()
    ids = [*(row["id"] for row in rows), *(str(_NODE_IDS + n) if numbered else f"NODE_{n:05d}" for n in made)]
    types = [*(row["type"] for row in rows), *("node" for _ in made)]
    zones = [*(row["zone"] for row in rows), *(f"PN_{number:05d}" for number in made)]
    return Places(tuple(ids), tuple(names), tuple(types), tuple(zones), keys(ids))
