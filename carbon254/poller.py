"""Polling: asks each feed for its newest span at the feed's own cadence, politely, for as long as the node runs."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta

import structlog

from carbon254.clock import Clock
from carbon254.disk import disk_trouble
from carbon254.errors import Carbon254Error
from carbon254.feeds import feeds
from carbon254.model import Stream
from carbon254.pipeline import Pipeline

_SHORTEST = timedelta(seconds=60)
_LONGEST = timedelta(minutes=30)


class Poller:
    """One thread that asks feeds in turn; what is due first comes first."""

    def __init__(self, pipeline: Pipeline, clock: Clock, topics: Iterable[str]) -> None:
        self._pipeline, self._clock = pipeline, clock
        # On the clock that never steps: a wall clock put back must not silence a feed.
        self._due: dict[str, float] = {topic: clock.monotonic() for topic in topics}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._loop, name="c254-poller", daemon=True)

    def start(self) -> None:
        """Start asking."""
        self._thread.start()

    def stop(self) -> None:
        """Finish the call in progress and stop."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    def poll(self, topic: str) -> None:
        """Ask one feed for its newest span, and again for what is held or lacking. A failure is logged."""
        stream, now = feeds()[topic].stream, self._clock.now()
        self._ask(topic, *newest(stream, now))
        # What is held or lacking may have been put right meanwhile: a few spans a round, each with growing waits.
        for start, end in self._pipeline.reasker.spans(stream, now):
            structlog.get_logger().debug("asking again", feed=topic, start=start.isoformat(), end=end.isoformat())
            self._ask(topic, start, end)

    def _ask(self, topic: str, start: datetime, end: datetime) -> None:
        try:
            for fetched in self._pipeline.fetch(topic, start, end):
                if fetched.state == "failed":
                    structlog.get_logger().warning("fetch failed", feed=topic, error=fetched.error)
                if self._stop.is_set():
                    return
        except Carbon254Error as error:
            structlog.get_logger().warning("fetch failed", feed=topic, error=str(error))

    def turn(self) -> float:
        """Ask the feed that is due longest, if one is; gives the seconds until the next is due."""
        topic = min(self._due, key=lambda name: self._due[name])
        wait = self._due[topic] - self._clock.monotonic()
        if wait > 0:
            return wait
        try:
            self.poll(topic)
        except Exception as error:
            # A full disk or a store that is away ends one round, and never the thread: who would ask the next?
            trouble = disk_trouble(error, "the workspace")
            structlog.get_logger().error(
                "a round of asking failed; it is done again",
                feed=topic,
                error=str(trouble or error),
                exc_info=None if trouble else error,
            )
        self._due[topic] = self._clock.monotonic() + cadence(feeds()[topic].stream).total_seconds()
        return 0.0

    def _loop(self) -> None:
        while self._due and not self._stop.wait(self.turn()):
            pass


def cadence(stream: Stream) -> timedelta:
    """How often a stream is asked: once an interval, within a minute and half an hour."""
    return min(max(stream.resolution, _SHORTEST), _LONGEST)


def newest(stream: Stream, now: datetime) -> tuple[datetime, datetime]:
    """The span that may hold something new: the last intervals, and for day-ahead streams tomorrow's market day.

    It begins and ends with an interval, so that asking again within the interval is the same question.
    """
    ahead = timedelta(days=1) if stream.publication.anchor == "market_day" else timedelta(0)
    back = max(2 * stream.resolution, timedelta(minutes=15)) + max(stream.publication.delay, timedelta(0))
    return _floor(now - back, stream.resolution), _floor(now + ahead, stream.resolution) + stream.resolution


def _floor(moment: datetime, step: timedelta) -> datetime:
    return moment - (moment - datetime.min.replace(tzinfo=UTC)) % step


def reachable(secrets: Mapping[str, str], base_urls: Mapping[str, str]) -> list[str]:
    """Feeds that can be asked with the keys at hand: those without a key, with theirs, with public files, or with a
    stand-in."""
    found = []
    for topic, one in feeds().items():
        provider = one.stream.provider
        keyed = all(secrets.get(name) for name in provider.access.env)
        open_to_us = provider.access.kind == "none" or keyed or one.stream.public is not None
        if provider.id in base_urls or (provider.base_url and open_to_us):
            found.append(topic)
    return [topic for topic in found if feeds()[topic].stream.provider.base_url]
