"""What the cache promises: the newest row of each key whatever the order of arrival, and a channel of changes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import polars as pl

from .watch import Watch


class Cache(Protocol):
    """The newest price of each market, run and place, and the newest tick of each instrument. Safe in many threads."""

    def put(self, frame: pl.DataFrame) -> None:
        """Merge interval prices; older intervals and older versions change nothing. A batch is seen whole."""
        ...

    def put_ticks(self, frame: pl.DataFrame) -> None:
        """Merge ticks."""
        ...

    def get(
        self, market: str | None = None, run: str | None = None, locations: Sequence[str] = ()
    ) -> pl.DataFrame | None:
        """Newest prices, narrowed; None before the first one arrived."""
        ...

    def get_ticks(self) -> pl.DataFrame | None:
        """Newest ticks; None before the first one arrived."""
        ...

    def subscribe(self) -> Watch:
        """A channel of changes from now on."""
        ...

    def unsubscribe(self, watch: Watch) -> None:
        """Close a channel."""
        ...

    def watched(self) -> bool:
        """Whether anybody here holds a channel: what is only for looking at may take its time while nobody does."""
        ...

    def filled(self) -> bool:
        """Whether what was newest before has been put in since the cache began, or since it lost its memory."""
        ...

    def fill_done(self) -> None:
        """Say so."""
        ...

    def close(self) -> None:
        """Let go of what the cache holds open."""
        ...
