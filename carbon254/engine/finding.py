"""A finding of what is stored: where it is, of which feed and partition, and what is wrong with it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import groupby


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is not as it was stored. `feed` and `partition` are empty where it is about a file as a whole."""

    place: str
    feed: str
    partition: str
    what: str

    def __str__(self) -> str:
        return f"{self.place}: {' '.join(part for part in (self.feed, self.partition) if part)}: {self.what}".replace(
            ": :", ":"
        )


def together(found: Iterable[Finding]) -> Iterator[Finding]:
    """One finding for days in a row with the same trouble."""
    ordered = sorted(found, key=lambda one: (one.place, one.partition))
    for _, same in groupby(ordered, lambda one: (one.place, one.what)):
        first, *later = same
        yield replace(first, partition=f"{first.partition} … {later[-1].partition}") if later else first
