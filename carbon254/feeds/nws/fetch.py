"""National Weather Service: `https://api.weather.gov/gridpoints/<office>/<x>,<y>/forecast/hourly` for each place.

The service answers with the forecast as it stands now; an issue of the past cannot be asked for, so the span is not
part of a request.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from carbon254.model import Stream

from ..contract import Request


def requests(stream: Stream, start: datetime, end: datetime, locations: Sequence[str] = ()) -> Iterator[Request]:
    """One request a place of the card; `locations` are their names, or grid squares written `OKX/33,35`."""
    known = {place["name"]: f"{place['office']}/{place['x']},{place['y']}" for place in stream.options["places"]}
    for place in locations or known:
        square = known.get(place, place)
        name = f"nws_{square.replace('/', '-').replace(',', '-')}_hourly.json"
        yield Request(f"/gridpoints/{square}/forecast/hourly", f"{square} hourly", {"units": "si"}, name)
