"""How many rows an ERCOT answer has, and how many it says there are: `data`, and `_meta` with totalRecords, totalPages,
currentPage and pageSize.
"""

from __future__ import annotations

from typing import Any

from ..contract import Counted
from ..sift import whole


def count(meta: Any, given: int) -> Counted:
    """What the `_meta` of an answer of `given` rows says."""
    said = meta if isinstance(meta, dict) else {}
    page, pages = whole(said.get("currentPage")) or 0, whole(said.get("totalPages")) or 0
    return Counted(given, whole(said.get("totalRecords")), page, pages)
