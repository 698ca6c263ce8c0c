"""Numbers that look random and are not: a 64-bit mixing hash over arrays.

Every value is a pure function of its parts, so any interval of any day can be computed alone and comes out the same.
"""

from __future__ import annotations

from functools import cache
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

Keys = NDArray[np.uint64]
Floats = NDArray[np.float64]

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_FIRST = np.uint64(0xBF58476D1CE4E5B9)
_SECOND = np.uint64(0x94D049BB133111EB)


@cache
def key(*parts: str | int) -> int:
    """One 64-bit number for some words and numbers, the same on every machine."""
    text = "\x1f".join(str(part) for part in parts)
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "little")


def keys(texts: list[str]) -> Keys:
    """`key` of every text."""
    return np.array([key(text) for text in texts], dtype=np.uint64)


def mix(root: int, *parts: NDArray[np.uint64] | NDArray[np.int64]) -> Keys:
    """Hashes of the broadcast arrays `parts` under `root` (the finaliser of splitmix64)."""
    state = np.full((1,), root, dtype=np.uint64)
    for part in parts:
        state = (state ^ np.asarray(part).astype(np.uint64)) + _GOLDEN
        state = (state ^ (state >> np.uint64(30))) * _FIRST
        state = (state ^ (state >> np.uint64(27))) * _SECOND
        state = state ^ (state >> np.uint64(31))
    return state


def uniform(hashes: Keys) -> Floats:
    """Numbers in [0, 1)."""
    return (hashes >> np.uint64(11)).astype(np.float64) * 2.0**-53


def bell(hashes: Keys) -> Floats:
    """Numbers around 0 with a standard deviation of about 1, never beyond ±3.5 (a sum of four uniforms)."""
    total = sum(uniform(mix(turn, hashes)) for turn in range(1, 5))
    return (total - 2.0) * np.sqrt(3.0)
