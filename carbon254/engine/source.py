"""A feed as the engine knows it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import polars as pl

from carbon254.model import Dataset, Stream, dataset
from carbon254.quality import Rules

from .gate import Gate


class ParsedRows(Protocol):
    """What a feed's parser yields."""

    @property
    def frame(self) -> pl.DataFrame: ...
    @property
    def rejects(self) -> pl.DataFrame: ...


@dataclass(frozen=True)
class Source:
    """A feed as the engine knows it: its card, its folder, that folder's `places.csv` and `instruments.csv`, and how to
    parse."""

    stream: Stream
    folder: str
    places: str
    parse: Callable[[str, bytes], Iterator[ParsedRows]]
    version: str
    code: str = ""
    rules: Rules | None = None
    instruments: str = ""

    @cached_property
    def dataset(self) -> Dataset:
        return dataset(self.stream.dataset)

    @cached_property
    def gate(self) -> Gate | None:
        """What judges the feed's batches; None where it has no rules."""
        return Gate(self.stream, self.dataset, self.rules) if self.rules else None
