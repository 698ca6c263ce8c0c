"""Feed cards and the catalogue of conventions say the same."""

from __future__ import annotations

import pytest

from carbon254.calendars import conventions_of, market, markets
from carbon254.feeds import feeds

WORDS = {"row_order": "order", "utc": "utc", "offset": "offset", "none": "none"}
PRICES = [found.stream for found in feeds().values() if found.stream.dataset == "interval_prices"]


@pytest.mark.parametrize("stream", PRICES, ids=lambda stream: stream.topic)
def test_a_cards_clock_is_its_markets_clock(stream: object) -> None:
    assert stream.market in markets(), "give the market its table in calendars/conventions.toml"
    assert stream.clock == market(stream.market).clock
    if stream.repeat in ("row_order", "none"):
        edge = stream.label.removeprefix("interval_")
        known = {(how.edge, how.repeat) for how in conventions_of(stream.market)}
        assert (edge, WORDS[stream.repeat]) in known
