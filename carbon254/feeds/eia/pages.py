"""How many rows an EIA answer has, and how many it says there are: `response.data`, `response.total`.

`total` is a number or a text. `request.params` echoes offset and length, as texts.
"""

from __future__ import annotations

from typing import Any

from ..contract import Counted
from ..sift import whole


def count(answer: Any) -> Counted | None:
    """What an answer says of itself; None where it has no rows at all."""
    response = answer.get("response") if isinstance(answer, dict) else None
    records = response.get("data") if isinstance(response, dict) else None
    if not isinstance(response, dict) or not isinstance(records, list):
        return None
    echoed = answer.get("request")
    params = echoed.get("params") if isinstance(echoed, dict) else None
    params = params if isinstance(params, dict) else {}
    first, asked = (whole(params.get("offset")) or 0) + 1, whole(params.get("length")) or 0
    return Counted.at(first, len(records), asked, whole(response.get("total")))
