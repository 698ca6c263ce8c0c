"""The truth: pure, exact, and with the manners of a power market."""

from __future__ import annotations

import numpy as np
import pytest

from carbon254.emulator.market import MARKETS, prices
from carbon254.emulator.places import places

HOURS = np.arange(1_700_000_400, 1_700_000_400 + 3_600 * 24 * 60, 3_600, dtype=np.int64)


@pytest.mark.parametrize("name", MARKETS)
def test_components_add_up_exactly_at_the_printed_decimals(name: str) -> None:
    market = MARKETS[name]
    found = prices(1, market, "RT", True, places(name).keys, HOURS)
    parts = ("energy", "congestion", "loss", "ghg")
    total = sum(
        np.array([f"{value:.{market.decimals}f}" for value in found.dollars(part).ravel()], float) for part in parts
    )
    printed = np.array([f"{value:.{market.decimals}f}" for value in found.dollars("lmp").ravel()], float)
    assert np.abs(total - printed).max() < 10.0**-market.decimals / 100
    assert (found.energy == found.energy[:, :1]).all()


def test_an_interval_is_the_same_alone_and_in_a_batch() -> None:
    market, here = MARKETS["spp"], places("spp")
    batch = prices(3, market, "RTBM", True, here.keys, HOURS)
    alone = prices(3, market, "RTBM", True, here.keys[4:5], HOURS[100:101])
    assert alone.lmp[0, 0] == batch.lmp[100, 4]


def test_seed_run_and_place_all_matter() -> None:
    market, here = MARKETS["spp"], places("spp")
    one = prices(1, market, "RTBM", True, here.keys, HOURS).lmp
    assert (one != prices(2, market, "RTBM", True, here.keys, HOURS).lmp).mean() > 0.99
    assert (one != prices(1, market, "DAM", False, here.keys, HOURS).lmp).mean() > 0.99
    assert (one[:, 0] != one[:, 1]).mean() > 0.9


def test_prices_are_negative_at_times_and_spike_rarely() -> None:
    live = prices(1, MARKETS["spp"], "RTBM", True, places("spp").keys, HOURS).dollars("lmp")
    ahead = prices(1, MARKETS["spp"], "DAM", False, places("spp").keys, HOURS).dollars("lmp")
    assert 0.005 < (live < 0).mean() < 0.25
    assert 15 < np.median(live) < 45
    assert live.max() > 150 > ahead.max()


def test_greenhouse_gas_is_priced_in_california_only() -> None:
    for name, market in MARKETS.items():
        found = prices(1, market, "DAM", False, places(name).keys, HOURS)
        assert bool((found.ghg != 0).any()) == (name == "caiso")
        assert bool((found.loss != 0).any()) == (name != "ercot")


def test_places_are_filled_up_with_made_up_nodes() -> None:
    many, few = places("pjm", 13_018), places("pjm", 5)
    assert len(many) == len(set(many.ids)) == 13_018
    assert many.ids[:5] == few.ids
    assert "51288" in places("pjm").ids and places("pjm").named(["WESTERN HUB"]).ids == ("51288",)
