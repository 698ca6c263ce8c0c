"""What carrying a payload makes, before anything of it is written.

`part` says of how much the payload is a part by its own word (`page 1 of 3: 25 of 48 rows`), where it is one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date

from carbon254.stores.log import Letter, NewRecord

from .tally import Tally


@dataclass
class Outcome:
    """What one payload came to."""

    batches: list[NewRecord] = field(default_factory=list)
    states: dict[tuple[str, str], bytes] = field(default_factory=dict)
    letters: list[Letter] = field(default_factory=list)
    rows: int = 0
    held: int = 0
    refused: str = ""
    part: str = ""
    # Whether an arrival that sorts after this one was carried before it for the same market run.
    behind: bool = False
    tally: Tally | None = None
    first: str = ""
    last: str = ""

    def widen(self, first: object, last: object) -> None:
        """Stretch the span of partition times that the payload covers (ISO 8601 texts compare in order)."""
        low, high = _text(first), _text(last)
        self.first = min(self.first or low, low)
        self.last = max(self.last, high)


def _text(moment: object) -> str:
    return moment.isoformat() if isinstance(moment, date) else str(moment)
