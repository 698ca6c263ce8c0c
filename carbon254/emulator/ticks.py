"""Pushed tick messages, made up: the plain form and the envelope form, and malformed ones of every kind seen.

A tick is a pure function of the seed and its number; `ticks(...)` of two calls over the same span are equal.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import numpy as np

from .noise import Floats, bell, key, mix, uniform

TENANT = "public"


@dataclass(frozen=True, slots=True)
class Instrument:
    """What is traded: its market, usual price, tick size, and how far it swings in a day (a share of the price)."""

    id: str
    market: str
    level: float
    tick: float
    swing: float


INSTRUMENTS = (
    Instrument("POWER_PEAK_DAY_AHEAD", "MISO", 41.0, 0.05, 0.30),
    Instrument("NG_HH_PROMPT", "MISO", 3.1, 0.001, 0.03),
    Instrument("NG_HH_BALMO", "MISO", 3.05, 0.001, 0.03),
    Instrument("POWER_SP15_REAL_TIME", "CAISO", 38.0, 0.01, 0.60),
    Instrument("POWER_WEST_HUB_PEAK", "PJM", 47.0, 0.05, 0.25),
    Instrument("POWER_HOUSTON_REAL_TIME", "ERCOT", 33.0, 0.01, 1.50),
    Instrument("CRUDE_WTI", "NYISO", 72.0, 0.01, 0.02),
    Instrument("BRENT_ICE", "NYISO", 76.5, 0.01, 0.02),
    Instrument("RBOB_GASOLINE", "NYISO", 2.2, 0.0001, 0.02),
    Instrument("HEATING_OIL", "NYISO", 2.4, 0.0001, 0.02),
)
_DAY = 86_400.0


def ticks(
    seed: int, start: datetime, count: int, step: timedelta = timedelta(milliseconds=10), form: str = "plain"
) -> list[dict[str, Any]]:
    """`count` trades from `start` (an aware instant), one each `step`, instruments in turn.

    `form` is plain, envelope or mixed (every second one). Raises ValueError for another form or a naive start.
    """
    if start.tzinfo is None:
        raise ValueError("start has no offset: give an aware instant")
    if form not in ("plain", "envelope", "mixed"):
        raise ValueError(f"no form {form!r}; there are plain, envelope and mixed")
    numbers = np.arange(count, dtype=np.int64)
    first, width = int(start.timestamp() * 1_000_000), int(step.total_seconds() * 1_000_000)
    micros = first + numbers * width
    chosen = numbers % len(INSTRUMENTS)
    price, quantity = _prices(seed, chosen, micros), 1 + (mix(key("lots", seed), micros) % np.uint64(50)).astype(int)
    sequence = micros // max(1, width)
    rows = zip(sequence.tolist(), chosen.tolist(), micros.tolist(), price.tolist(), quantity.tolist(), strict=True)
    plain = form == "plain"
    return [_plain(*row) if plain or (form == "mixed" and row[0] % 2 == 0) else _enveloped(seed, *row) for row in rows]


def malformed_ticks(seed: int, start: datetime, count: int) -> list[dict[str, Any]]:
    """`count` messages none of which can be stored, each with one thing wrong, kinds in turn."""
    made = ticks(seed, start, count, form="envelope")
    for number, message in enumerate(made):
        _WRONGS[number % len(_WRONGS)](message)
    return made


def _prices(seed: int, chosen: np.ndarray, micros: np.ndarray) -> Floats:
    """A swing over the day, drift between minutes, a little noise, on the instrument's tick; below zero at times."""
    level = np.array([each.level for each in INSTRUMENTS])
    tick = np.array([each.tick for each in INSTRUMENTS])
    swing = np.array([each.swing for each in INSTRUMENTS])
    second = micros / 1e6
    minute, part = (second // 60).astype(np.int64), (second % 60) / 60
    root = key("tick", seed)
    drift = (1 - part) * bell(mix(root, minute, chosen)) + part * bell(mix(root, minute + 1, chosen))
    wave = np.sin(2 * np.pi * second / _DAY + chosen)
    noise = 0.1 * (uniform(mix(root + 1, micros, chosen)) - 0.5)
    raw = level[chosen] * (1 + swing[chosen] * (0.5 * wave + 0.25 * drift + noise))
    decimals = np.maximum(0, -np.floor(np.log10(tick)).astype(int))[chosen]
    whole = np.rint(raw / tick[chosen]) * tick[chosen]
    return np.array([round(value, places) for value, places in zip(whole.tolist(), decimals.tolist(), strict=True)])


def _stamp(micros: int) -> str:
    moment = datetime.fromtimestamp(0, UTC) + timedelta(microseconds=micros)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _plain(number: int, chosen: int, micros: int, price: float, quantity: int) -> dict[str, Any]:
    instrument = INSTRUMENTS[chosen]
    return {
        "instrument": instrument.id,
        "time": _stamp(micros),
        "price": price,
        "quantity": quantity,
        "source": f"ingestion.{instrument.market.lower()}",
        "sequence": number,
        "market": instrument.market,
    }


def _enveloped(seed: int, number: int, chosen: int, micros: int, price: float, quantity: int) -> dict[str, Any]:
    instrument, stamp = INSTRUMENTS[chosen], _stamp(micros)

    def name(word: str) -> str:
        return str(UUID(int=key(word, seed, number, micros) << 64 | key(word + "'", seed, number, micros), version=4))

    return {
        "envelope": {
            "event_type": "ingestion.market.raw.v1",
            "event_id": name("event"),
            "timestamp": stamp,
            "tenant_id": TENANT,
            "source": f"ingestion.{instrument.market.lower()}",
            "version": "1.0",
            "correlation_id": name("correlation"),
            "causation_id": None,
            "metadata": {"market": instrument.market, "data_quality": "good"},
        },
        "payload": {
            "market": instrument.market,
            "instrument_id": instrument.id,
            "raw_data": {
                "timestamp": stamp,
                "price": price,
                "volume": quantity,
                "bid": round(price - instrument.tick, 4),
                "ask": round(price + instrument.tick, 4),
                "last_trade_time": stamp,
                "node": None,
                "zone": None,
                "market_status": "open",
            },
        },
    }


def _raw(message: dict[str, Any]) -> dict[str, Any]:
    return message["payload"]["raw_data"]


_WRONGS: tuple[Callable[[dict[str, Any]], Any], ...] = (
    lambda message: message["envelope"].pop("tenant_id"),
    lambda message: message["envelope"].pop("source"),
    lambda message: message["payload"].pop("raw_data"),
    lambda message: _raw(message).update(timestamp="yesterday"),
    lambda message: message["payload"].update(instrument_id=254),
    lambda message: _raw(message).update(price="high"),
    lambda message: _raw(message).update(volume="many"),
    lambda message: _raw(message).update(volume=-5),
)
