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


class Counted(Protocol):
    """What a page says of itself."""

    @property
    def given(self) -> int: ...
    @property
    def announced(self) -> int | None: ...


class ParsedRows(Protocol):
    """What a feed's parser yields."""

    @property
    def frame(self) -> pl.DataFrame: ...
    @property
    def rejects(self) -> pl.DataFrame: ...
    @property
    def merged(self) -> pl.DataFrame | None: ...
    @property
    def repeats(self) -> pl.Series | None: ...
    @property
    def counted(self) -> Counted | None: ...


@dataclass(frozen=True)
class Source:
    """A feed as the engine knows it: its card, its folder, that folder's lists, and how to parse.

    `parse` takes a payload's name and its bytes as they came, packed or not.
    """

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

    def gate_of(self, run: Stream) -> Gate | None:
        """What judges the feed's batches of a market run; None where it has no rules."""
        return self._gates.get(run.market_run)

    @cached_property
    def _gates(self) -> dict[str, Gate]:
        if self.rules is None:
            return {}
        rules = self.rules
        return {run.market_run: Gate(run, self.dataset, rules.of_run(run.market_run)) for run in self.stream.every_run}
