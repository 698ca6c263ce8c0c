"""Stages: pure functions on column batches. The same functions run embedded, as services, or in another engine."""

from .arrivals import Arrival
from .enrich import enrich
from .normalise import Normalised, normalise

__all__ = [
    "Arrival",
    "Normalised",
    "enrich",
    "normalise",
]
