"""One market run of a payload: what has come of it, and what its rows tell the ledger of each market day."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import date, datetime

import polars as pl

from carbon254.calendars import day_of, market_day_span
from carbon254.model import Stream
from carbon254.stages import arrivals

from .outcome import Outcome
from .seen import SeenStore
from .source import Source


@dataclass
class MarketRun:
    """What one market run of the payload has come to: rows to be judged, how many went out, whether some were held."""

    stream: Stream
    seen: SeenStore | None
    frames: list[pl.DataFrame] = field(default_factory=list)
    rows: int = 0
    parted: bool = False
    # Whether an earlier payload brought an interval of this one; always possible where that is not remembered.
    repeated: bool = False

    def days(self, frame: pl.DataFrame, source: Source, outcome: Outcome) -> list[dict[str, object]]:
        """Rows and watermark of each market day in the batch, for the ledger; widens the payload's span.

        How far a feed is, and what is there of what is due, is told by its own run: an hourly average or a look ahead
        beside it says nothing of that.
        """
        own = self.stream.market_run == source.stream.market_run
        time = source.dataset.partition
        end = "interval_end" if "interval_end" in frame.columns else time
        instant = frame[time].dtype != pl.Date
        day = day_of(frame[time], source.stream.clock) if instant else frame[time]
        days = frame.group_by(day.alias("day"), maintain_order=True).agg(
            pl.len().alias("rows"), pl.col(end).cast(pl.Datetime("us", "UTC")).max().alias("watermark")
        )
        cells = self._cells(frame.with_columns(day.alias("day")), outcome) if self.seen is not None and own else {}
        outcome.widen(frame[time].min(), frame[time].max())
        return [
            {
                "partition": str(day),
                "rows": rows,
                "watermark": watermark.isoformat() if own else "",
                "cells": cells.get(day, []),
            }
            for day, rows, watermark in days.iter_rows()
        ]

    def _cells(self, frame: pl.DataFrame, outcome: Outcome) -> dict[date, list[tuple[str, str]]]:
        """Of each market day: the sets of places this payload listed, with their periods as a bit mask (hexadecimal).

        `frame` has `day` and the columns of an interval.
        """
        stream, masks = self.stream, {}
        listed = self._listed(frame, outcome)
        for day, start in frame.select("day", "interval_start").unique().iter_rows():
            first = masks.setdefault(day, ({}, market_day_span(day, stream.clock)[0]))
            for name in listed.get(start, ()):
                first[0][name] = first[0].get(name, 0) | 1 << (start - first[1]) // stream.resolution
        return {day: [(name, f"{bits:x}") for name, bits in sorted(found.items())] for day, (found, _) in masks.items()}

    def _listed(self, frame: pl.DataFrame, outcome: Outcome) -> dict[datetime, set[str]]:
        """Sets of places of the payload by the start of their interval: what it listed, or what went out of it."""
        if not self.parted:
            return self.seen.listed() if self.seen is not None else {}
        names, sets = arrivals.location_sets(frame)
        for name, places in sets.items():
            outcome.states["places", name] = json.dumps(sorted(places)).encode()
        found: dict[datetime, set[str]] = {}
        for (start, _), name in names.items():
            found.setdefault(start, set()).add(name)
        return found
