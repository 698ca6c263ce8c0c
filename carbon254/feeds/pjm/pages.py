"""How many rows a Data Miner answer has and says there are: `items`, `totalRows`, `searchSpecification`."""

from __future__ import annotations

from typing import Any

from ..contract import Counted
from ..sift import whole


def count(answer: Any) -> Counted | None:
    """What an answer says of itself; None where it has no items."""
    items = answer.get("items") if isinstance(answer, dict) else answer
    if not isinstance(items, list):
        return None
    asked = answer.get("searchSpecification") if isinstance(answer, dict) else None
    asked = asked if isinstance(asked, dict) else {}
    total = whole(answer.get("totalRows")) if isinstance(answer, dict) else None
    first, rows = whole(asked.get("startRow")) or 1, whole(asked.get("rowCount")) or 0
    return Counted.at(first, len(items), rows, total)
