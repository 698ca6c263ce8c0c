"""The truth the emulator publishes: prices from (seed, market, run, location, interval start), and nothing else.

Energy follows a daily shape, a season, a level of the day, a midday solar belly that goes below zero on bright days,
and noise; real-time runs add rare spikes. A few constraints per market bind in some hours and pull locations apart.
All components are whole numbers of the market's last published decimal, so that they add up exactly as printed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from .noise import Floats, Keys, bell, key, mix, uniform

Ints = NDArray[np.int64]

_HOUR, _DAY = 3_600, 86_400
_YEAR_DAYS = 365.2425
_CONSTRAINTS = 3
# One value an hour of standard time: night valley, morning ramp, evening peak.
_SHAPE = np.array(
    [.72, .68, .65, .64, .66, .75, .92, 1.05, 1.04, 1.0, .97, .95,
     .94, .94, .96, 1.0, 1.1, 1.3, 1.45, 1.42, 1.28, 1.1, .93, .8]
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Market:
    """A market's manners: usual price in $/MWh, hours from UTC in winter, decimals, depth of the solar belly."""

    name: str
    level: float
    utc_offset_h: int
    decimals: int
    energy_decimals: int
    solar: float
    has_loss: bool = True
    has_ghg: bool = False


MARKETS = {
    "caiso": Market("CAISO", 44.0, -8, 5, 5, 1.7, has_ghg=True),
    "miso": Market("MISO", 33.0, -5, 2, 2, 0.7),
    "spp": Market("SPP", 28.0, -6, 4, 4, 1.3),
    "nyiso": Market("NYISO", 42.0, -5, 2, 2, 0.5),
    "pjm": Market("PJM", 38.0, -5, 6, 2, 0.6),
    "ercot": Market("ERCOT", 34.0, -6, 2, 2, 1.1, has_loss=False),
    "isone": Market("ISONE", 48.0, -5, 2, 2, 0.6),
}


@dataclass(frozen=True, slots=True)
class Prices:
    """Arrays (intervals × locations) of whole ticks of 10^-decimals $/MWh; `lmp` is the exact sum of the others."""

    energy: Ints
    congestion: Ints
    loss: Ints
    ghg: Ints
    decimals: int

    @property
    def lmp(self) -> Ints:
        return self.energy + self.congestion + self.loss + self.ghg

    def dollars(self, component: str) -> Floats:
        """A component in $/MWh: the float nearest to the printed decimals."""
        return getattr(self, component) / float(10**self.decimals)

    def bumped(self, mask: NDArray[np.bool_], dollars: float) -> Prices:
        """The same prices with `dollars` more congestion where `mask` holds."""
        return replace(self, congestion=self.congestion + mask * round(dollars * 10**self.decimals))


def prices(seed: int, market: Market, run: str, live: bool, locations: Keys, starts: Ints) -> Prices:
    """Prices of `locations` (their keys) in the intervals that start at `starts` (epoch seconds, UTC).

    `live` runs are noisier and spike. Energy is one number an interval, equal for every location.
    """
    scale = 10**market.decimals
    step = 10 ** (market.decimals - market.energy_decimals)
    smooth = _energy(seed, market, run, live, starts)
    energy = np.rint(smooth * scale / step).astype(np.int64) * step
    shape = (len(starts), len(locations))
    congestion = np.rint(_congestion(seed, market, run, live, locations, starts) * scale).astype(np.int64)
    loss = np.zeros(shape, np.int64)
    if market.has_loss:
        share = 0.012 * bell(mix(key("loss", seed, market.name), locations))
        loss = np.rint(np.outer(np.abs(smooth) + 2.0, share) * scale).astype(np.int64)
    ghg = np.zeros(shape, np.int64)
    if market.has_ghg:
        ghg = np.rint(_greenhouse(seed, market, run, locations, starts) * scale).astype(np.int64)
    return Prices(np.broadcast_to(energy[:, None], shape), congestion, loss, ghg, market.decimals)


def _energy(seed: int, market: Market, run: str, live: bool, starts: Ints) -> Floats:
    local = starts + market.utc_offset_h * _HOUR
    hour, day = (local % _DAY) / _HOUR, local // _DAY
    season = 1.0 + 0.18 * np.cos(4.0 * np.pi * (day / _YEAR_DAYS - 0.06))
    level = market.level * season * (0.75 + 0.5 * uniform(mix(key("level", seed, market.name), day)))
    bright = uniform(mix(key("bright", seed, market.name), day))
    belly = market.solar * bright**1.5 * np.exp(-(((hour - 12.5) / 2.6) ** 2))
    shape = np.interp(hour, np.arange(25), np.append(_SHAPE, _SHAPE[0]))
    value = level * (shape - belly) + level * 0.05 * _rolling(key("drift", seed, market.name, run), starts)
    if not live:
        return value
    jitter = level * 0.03 * bell(mix(key("jitter", seed, market.name, run), starts))
    return value + jitter + _spikes(seed, market, run, starts)


def _rolling(root: int, starts: Ints) -> Floats:
    """Noise that glides from one hour to the next."""
    hour, part = starts // _HOUR, (starts % _HOUR) / _HOUR
    return (1.0 - part) * bell(mix(root, hour)) + part * bell(mix(root, hour + 1))


def _spikes(seed: int, market: Market, run: str, starts: Ints) -> Floats:
    root = key("spike", seed, market.name, run)
    quarter = starts // 900
    rare = uniform(mix(root, quarter)) < 0.002
    return rare * (120.0 + 1_700.0 * uniform(mix(root + 1, quarter)) ** 3)


def _congestion(seed: int, market: Market, run: str, live: bool, locations: Keys, starts: Ints) -> Floats:
    """Shadow prices of a few constraints times each location's sensitivity to them."""
    total = np.zeros((len(starts), len(locations)))
    for constraint in range(_CONSTRAINTS):
        root = key("constraint", seed, market.name, constraint)
        hour = starts // _HOUR
        binds = uniform(mix(root, hour // 3)) < 0.3
        shadow = binds * market.level * (0.2 + 0.9 * uniform(mix(root + 1, hour)) ** 2)
        if live:
            shadow = shadow * (0.8 + 0.4 * uniform(mix(key(run, root), starts)))
        total += np.outer(shadow, 0.6 * bell(mix(root + 2, locations)))
    return total


def _greenhouse(seed: int, market: Market, run: str, locations: Keys, starts: Ints) -> Floats:
    """A small greenhouse gas component, in some hours, below zero."""
    hour = starts // _HOUR
    active = uniform(mix(key("ghg", seed, market.name, run), hour)) < 0.4
    size = -4.0 * uniform(mix(key("ghg size", seed, market.name), hour))
    return np.outer(active * size, 0.5 + 0.5 * uniform(mix(key("ghg share", seed), locations)))
