"""Stages: pure functions on column batches. The same functions run embedded, as services, or in another engine."""

from .aggregate import WIDTHS, bars_of_prices, bars_of_ticks, roll_up, widths_for
from .arrivals import Arrival
from .enrich import enrich
from .normalise import Normalised, normalise

__all__ = [
    "WIDTHS",
    "Arrival",
    "Normalised",
    "bars_of_prices",
    "bars_of_ticks",
    "enrich",
    "normalise",
    "roll_up",
    "widths_for",
]
