"""A feed's run, checked before it and written down after it, whoever runs it: the node, a command, a scheduler.

Before: the feed's watermark is read, the partitions asked for are marked as running, and a span that begins beyond the
watermark is told (what lies between was never asked for). After: each partition gets its entry. Failed with the error;
completed; or pending again where nothing is published yet; and a watermark that went back is a failure of the run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar

from carbon254.calendars import market_days
from carbon254.clock import Clock
from carbon254.model import Stream
from carbon254.stores.ledger import IllegalTransition, Ledger

_T = TypeVar("_T")
# A wider span is a backfill: each of its days would be a line of history at every try.
_MOST_DAYS = 400


@dataclass(frozen=True)
class Before:
    """What was found before a run. `gap` is how far the span begins beyond the watermark; zero where it joins."""

    feed: str
    days: tuple[str, ...]
    watermark: datetime | None
    gap: timedelta


@dataclass(frozen=True)
class After:
    """What a run came to: the state written for its partitions, the watermark then, and the error."""

    before: Before
    state: str
    watermark: datetime | None
    error: str


class FeedRunner:
    """Puts the checks around runs. `last` keeps what each feed's last run came to."""

    def __init__(self, ledger: Ledger, clock: Clock) -> None:
        self._ledger, self._clock = ledger, clock
        self.last: dict[str, After] = {}

    def around(
        self, stream: Stream, start: datetime, end: datetime, work: Iterator[_T], failed: Callable[[_T], str]
    ) -> Iterator[_T]:
        """`work` for [start, end), with the checks around it; `failed` tells the error of one of its results."""
        before = self.before(stream, start, end)
        errors, results = [], 0
        try:
            for result in work:
                results += 1
                errors += [error] if (error := failed(result)) else []
                yield result
        except GeneratorExit:
            raise
        except BaseException as error:
            errors.append(f"{type(error).__name__}: {error}")
            raise
        finally:
            self.after(before, errors[0] if errors else "")

    def before(self, stream: Stream, start: datetime, end: datetime) -> Before:
        """Read the watermark, mark the partitions as running."""
        topic, now = stream.topic, self._clock.now()
        days = [str(day) for _, day in zip(range(_MOST_DAYS), market_days(start, end, stream.clock), strict=False)]
        watermark = self._ledger.watermark(topic)
        gap = max(start - watermark, timedelta(0)) if watermark is not None else timedelta(0)
        for day in days:
            with suppress(IllegalTransition):  # a rebuild is under way; it writes its own entry
                self._ledger.begin(topic, day, now)
        return Before(topic, tuple(days), watermark, gap)

    def after(self, before: Before, error: str) -> After:
        """Write each partition's entry."""
        feed, now = before.feed, self._clock.now()
        watermark = self._ledger.watermark(feed)
        if before.watermark is not None and (watermark is None or watermark < before.watermark):
            error = error or f"the watermark went back from {before.watermark} to {watermark}"
        state = "failed" if error else "completed"
        for day in before.days:
            with suppress(IllegalTransition):
                self._write(feed, day, now, error)
        self.last[feed] = After(before, state, watermark, error)
        return self.last[feed]

    def _write(self, feed: str, day: str, now: datetime, error: str) -> None:
        (entry,) = self._ledger.entries(feed, day)
        if entry.state == "replaying":
            return
        if error:
            self._ledger.fail(feed, day, now, error)
        elif entry.payloads:
            self._ledger.settle(feed, day, now)
        elif entry.state == "running":
            self._ledger.settle(feed, day, now, state="pending")
