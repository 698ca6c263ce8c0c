"""The profile of a column: moments kept exactly, a histogram for quantiles, the smallest hashes for distinct values."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from functools import lru_cache
from hashlib import blake2b
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Words = NDArray[np.uint64]

# 7 bits of the mantissa: values of one bucket differ by less than 1 part in 128.
_DROPPED_BITS = 45
_BUCKETS = 1 << (64 - _DROPPED_BITS)
_KEPT = 1_024
_BLOCK = 1 << 15
_FULL = float(1 << 64)
# Beyond this no number is a price, and its square would overflow.
_WILD = 1e100


@dataclass(frozen=True, slots=True)
class Moments:
    """Count, nulls, extremes, sum and sum of squares of the finite values; `wild` counts NaN and infinities.

    Sums are exact rationals of the numbers handed in, so that merging in any order gives the same.
    """

    tag: ClassVar[str] = "moments"
    count: int = 0
    nulls: int = 0
    wild: int = 0
    low: float = math.inf
    high: float = -math.inf
    total: Fraction = Fraction(0)
    squares: Fraction = Fraction(0)

    @classmethod
    def measured(cls, values: Floats, nulls: int = 0) -> Self:
        """Of the values that are there, NaN and infinite ones included, in their order: the same rows give the same
        bits on every machine."""
        count, low, high, sums, squares = 0, math.inf, -math.inf, [0.0], [0.0]
        centre = 0.0
        for block in _blocks(values):
            known = tame(block)
            if not len(known):
                continue
            centre = centre if count else float(known[0])
            count += len(known)
            low, high = min(low, float(known.min())), max(high, float(known.max()))
            apart = known - centre
            sums.append(float(apart.sum()))
            squares.append(float(np.square(apart, out=apart).sum()))
        middle, apart_sum = Fraction(centre), sum(map(Fraction, sums))
        total = apart_sum + count * middle
        return cls(
            count, nulls, len(values) - count, low, high, total,
            sum(map(Fraction, squares)) + middle * (2 * apart_sum + count * middle),
        )  # fmt: skip

    def merge(self, other: Moments) -> Moments:
        return Moments(
            self.count + other.count,
            self.nulls + other.nulls,
            self.wild + other.wild,
            min(self.low, other.low),
            max(self.high, other.high),
            self.total + other.total,
            self.squares + other.squares,
        )

    @property
    def rows(self) -> int:
        return self.count + self.nulls + self.wild

    @property
    def mean(self) -> float | None:
        return float(self.total / self.count) if self.count else None

    @property
    def deviation(self) -> float | None:
        """Standard deviation of the population."""
        if not self.count:
            return None
        return math.sqrt(max(Fraction(0), self.squares / self.count - (self.total / self.count) ** 2))

    def parts(self) -> list[Any]:
        ends = [self.low.hex(), self.high.hex()]
        return [self.count, self.nulls, self.wild, *ends, str(self.total), str(self.squares)]

    @classmethod
    def of(cls, parts: Any) -> Self:
        count, nulls, wild, low, high, total, squares = parts
        return cls(count, nulls, wild, float.fromhex(low), float.fromhex(high), Fraction(total), Fraction(squares))


@dataclass(frozen=True, slots=True)
class Quantiles:
    """A histogram whose buckets are the leading bits of the number: every quantile within 0.4 % of a true one."""

    tag: ClassVar[str] = "quantiles"
    buckets: Mapping[int, int] = field(default_factory=dict)

    @classmethod
    def measured(cls, values: Floats) -> Self:
        """Of finite values."""
        if not len(values):
            return cls()
        total = np.zeros(_BUCKETS, np.int64)
        small = len(values) < _BLOCK * 2
        for first in range(0, len(values), _BLOCK * 8):
            # Adding zero takes the sign off a negative zero.
            block = (values[first : first + _BLOCK * 8] + 0.0).view(np.int64) >> _DROPPED_BITS
            if small:
                found, counts = np.unique(block, return_counts=True)
                return cls(dict(zip(found.tolist(), counts.tolist(), strict=True)))
            block += _BUCKETS // 2
            total += np.bincount(block, minlength=_BUCKETS)
        filled = np.flatnonzero(total)
        return cls(dict(zip((filled - _BUCKETS // 2).tolist(), total[filled].tolist(), strict=True)))

    def merge(self, other: Quantiles) -> Quantiles:
        merged = dict(self.buckets)
        for bucket, count in other.buckets.items():
            merged[bucket] = merged.get(bucket, 0) + count
        return Quantiles(merged)

    def at(self, *shares: float) -> list[float]:
        """Values with these shares of the values at or below them (nearest rank); empty without values."""
        if not self.buckets:
            return []
        found = np.array(sorted(self.buckets), np.int64)
        # Of negative numbers the leading bits grow with the distance from zero.
        found = np.concatenate([found[found < 0][::-1], found[found >= 0]])
        seen = np.cumsum([self.buckets[bucket] for bucket in found.tolist()])
        ranks = [max(1, math.ceil(share * int(seen[-1]))) for share in shares]
        return [_middle(int(found[at])) for at in np.searchsorted(seen, ranks)]

    def parts(self) -> list[list[int]]:
        found = sorted(self.buckets)
        return [found, [self.buckets[bucket] for bucket in found]]

    @classmethod
    def of(cls, parts: Any) -> Self:
        return cls(dict(zip(*parts, strict=True)))


def _middle(bucket: int) -> float:
    ends = (np.array([bucket, bucket], np.int64) << _DROPPED_BITS) + np.array([0, (1 << _DROPPED_BITS) - 1])
    low, high = ends.view(np.float64).tolist()
    return 0.0 if bucket == 0 else low + (high - low) / 2


@dataclass(frozen=True, slots=True)
class Distinct:
    """The smallest hashes seen: exact up to 1,024 distinct values, within about 3 % beyond."""

    tag: ClassVar[str] = "distinct"
    hashes: tuple[int, ...] = ()

    @classmethod
    def numbers(cls, values: Floats) -> Self:
        """Of finite values."""
        kept, limit = np.zeros(0, np.uint64), np.uint64(_FULL - 2048)
        for first in range(0, len(values), _BLOCK):
            hashes = scattered((values[first : first + _BLOCK] + 0.0).view(np.uint64))
            kept = np.unique(np.concatenate([kept, hashes[hashes <= limit]]))[:_KEPT]
            if len(kept) == _KEPT:
                limit = kept[-1]
        return cls(tuple(kept.tolist()))

    @classmethod
    def texts(cls, values: Iterable[str]) -> Self:
        return cls(tuple(sorted({text_hash(value) for value in values})[:_KEPT]))

    def merge(self, other: Distinct) -> Distinct:
        return Distinct(tuple(sorted({*self.hashes, *other.hashes})[:_KEPT]))

    @property
    def estimate(self) -> int:
        if len(self.hashes) < _KEPT:
            return len(self.hashes)
        return round((_KEPT - 1) * _FULL / self.hashes[-1])

    def parts(self) -> list[int]:
        return list(self.hashes)

    @classmethod
    def of(cls, parts: Any) -> Self:
        return cls(tuple(parts))


def tame(values: Floats) -> Floats:
    """The values without NaN, infinities and numbers so large that no price has them."""
    if not len(values) or -_WILD < values.min() <= values.max() < _WILD:
        return values
    with np.errstate(invalid="ignore"):
        return values[np.abs(values) < _WILD]


def _blocks(values: Floats) -> Iterator[Floats]:
    """Pieces that stay in the processor's cache."""
    for first in range(0, len(values), _BLOCK):
        yield values[first : first + _BLOCK]


def scattered(words: Words) -> Words:
    """Words mixed to look random (the finaliser of splitmix64); equal on every machine and version."""
    mixed = words + np.uint64(0x9E3779B97F4A7C15)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        mixed ^= mixed >> np.uint64(shift)
        mixed *= np.uint64(factor)
    mixed ^= mixed >> np.uint64(31)
    return mixed


@lru_cache(1 << 17)
def text_hash(text: str) -> int:
    """64 bits of a text, the same on every machine."""
    return int.from_bytes(blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little")
