"""What is kept of rows once they have been read: small states that merge, so that no row is read twice.

Every state has an identity (its constructor without arguments), and `merge` is associative and commutative to the last
bit: sums are exact rationals (`profile.py`), sketches are counts, sets and smallest hashes. A month is the merge of its
days. States of scans that share rows count those rows twice; sets, extremes and sketches of hashes do not mind.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol, Self

# Names of the states every scan keeps; checks have names without this prefix.
ROWS, CELLS, PLACES = "scan.rows", "scan.cells", "scan.places"
_KEPT_ROWS = 5
_WORD = 1 << 64


class State(Protocol):
    """One analyser's state. `tag` names its class in stored bytes; `parts` and `of` are plain JSON values."""

    tag: ClassVar[str]

    def merge(self, other: Any) -> Any: ...
    def parts(self) -> Any: ...

    @classmethod
    def of(cls, parts: Any) -> Any: ...


@dataclass(frozen=True, slots=True)
class Tally:
    """How many were judged, how many of these failed, and how many could not be judged."""

    tag: ClassVar[str] = "tally"
    judged: int = 0
    failed: int = 0
    unknown: int = 0

    def merge(self, other: Tally) -> Tally:
        return Tally(self.judged + other.judged, self.failed + other.failed, self.unknown + other.unknown)

    def parts(self) -> list[int]:
        return [self.judged, self.failed, self.unknown]

    @classmethod
    def of(cls, parts: Any) -> Self:
        return cls(*parts)


@dataclass(frozen=True, slots=True)
class Peak:
    """The largest of some whole numbers; 0 before any."""

    tag: ClassVar[str] = "peak"
    value: int = 0

    def merge(self, other: Peak) -> Peak:
        return Peak(max(self.value, other.value))

    def parts(self) -> int:
        return self.value

    @classmethod
    def of(cls, parts: Any) -> Self:
        return cls(parts)


@dataclass(frozen=True, slots=True)
class Cells:
    """Filled cells of each interval: its start (µs since 1970) → locations that have a row."""

    tag: ClassVar[str] = "cells"
    by_start: Mapping[int, int] = field(default_factory=dict)

    def merge(self, other: Cells) -> Cells:
        merged = dict(self.by_start)
        for start, cells in other.by_start.items():
            merged[start] = merged.get(start, 0) + cells
        return Cells(merged)

    @property
    def total(self) -> int:
        return sum(self.by_start.values())

    def parts(self) -> list[list[int]]:
        starts = sorted(self.by_start)
        return [starts, [self.by_start[start] for start in starts]]

    @classmethod
    def of(cls, parts: Any) -> Self:
        return cls(dict(zip(*parts, strict=True)))


@dataclass(frozen=True, slots=True)
class Prints:
    """Fingerprints of blocks of hours: the block's start (µs) → sum of its cells' hashes, modulo 2^64.

    Two blocks with the same prices at the same places and offsets have the same fingerprint, on whatever day.
    """

    tag: ClassVar[str] = "prints"
    by_block: Mapping[int, int] = field(default_factory=dict)

    def merge(self, other: Prints) -> Prints:
        merged = dict(self.by_block)
        for block, print_ in other.by_block.items():
            merged[block] = (merged.get(block, 0) + print_) % _WORD
        return Prints(merged)

    def parts(self) -> list[list[int]]:
        blocks = sorted(self.by_block)
        return [blocks, [self.by_block[block] for block in blocks]]

    @classmethod
    def of(cls, parts: Any) -> Self:
        return cls(dict(zip(*parts, strict=True)))


@dataclass(frozen=True, slots=True)
class Sample:
    """The first few failing rows, as text that sorts by time and place."""

    tag: ClassVar[str] = "sample"
    rows: tuple[str, ...] = ()

    def merge(self, other: Sample) -> Sample:
        return Sample(tuple(sorted({*self.rows, *other.rows})[:_KEPT_ROWS]))

    def parts(self) -> list[str]:
        return list(self.rows)

    @classmethod
    def of(cls, parts: Any) -> Self:
        return cls(tuple(parts))

    @classmethod
    def first(cls, rows: list[str]) -> Self:
        """The first of many rows."""
        return cls(tuple(sorted(set(rows))[:_KEPT_ROWS]))
