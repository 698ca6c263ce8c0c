"""What routes may be asked: the query parameters they share, as the API page describes them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from fastapi import Query
from pydantic import BeforeValidator

from .known import Known, known
from .moments import instant

MOST_ROWS = 5_000_000
# A name of a fixed list is taken in any case, as every other name is.
AnyCase = BeforeValidator(lambda value: value.lower() if isinstance(value, str) else value)

Tz = Annotated[str | None, Query(description="IANA zone to tell times in, or `market` for its clock; UTC if not given")]
Start = Annotated[str | None, Query(description="ISO 8601, included; a day before `end` if not given")]
End = Annotated[str | None, Query(description="ISO 8601, not included; now if not given")]
AsOf = Annotated[str | None, Query(description="What was known then; ISO 8601")]
Strict = Annotated[bool, Query(description="Leave out rows whose known_at was assumed")]
Basis = Annotated[
    Literal["published", "strict", "received"] | None,
    AnyCase,
    Query(description="What counts as known: by known_at, the same without assumed times, or by arrival here"),
]
Rung = Annotated[str | None, Query(description="Settlement rung of the market, e.g. S14; see /v1/ladders/{market}")]
OneMarket = Annotated[str, Query(description="Market, e.g. SPP")]
Market = Annotated[str | None, Query(description="Market, e.g. SPP")]
Run = Annotated[str | None, Query(description="Market run in the operator's own term, e.g. DAM")]
Tenant = Annotated[str | None, Query(description="Only ticks of this tenant, or bars of them")]
TickSource = Annotated[str | None, Query(description="Only ticks that this source pushed, or bars of them")]
Location = Annotated[str, Query(description="Name or id of the place, or the instrument")]
Locations = Annotated[list[str] | None, Query(description="The provider's name or id of a place; repeat for more")]
Limit = Annotated[
    int | None, Query(ge=1, le=MOST_ROWS, description="Most rows; JSON 10,000, CSV and Arrow all, if not given")
]
Width = Annotated[Literal["1m", "5m", "15m", "1h", "1d"], AnyCase]


def known_then(
    as_of: str | None,
    zone: str,
    now: datetime,
    strict: bool = False,
    basis: str | None = None,
    rung: str | None = None,
    market: str | None = None,
) -> Known:
    """What the parameters above say about when; see `known`. A naive `as_of` is told in `zone`."""
    then = instant(as_of, zone, now) if as_of else None
    return known(then, strict=strict, basis=basis or "", rung=rung or "", market=market or "")
