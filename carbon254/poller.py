"""Polling: asks each feed for its newest span at the feed's own cadence, politely, for as long as the node runs."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta

import structlog

from carbon254.clock import Clock
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
        self._due: dict[str, datetime] = {topic: clock.now() for topic in topics}
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
        """Ask one feed for its newest span. A failure is logged; the next round asks again."""
        stream = feeds()[topic].stream
        start, end = newest(stream, self._clock.now())
        try:
            for fetched in self._pipeline.fetch(topic, start, end):
                if fetched.state == "failed":
                    structlog.get_logger().warning("fetch failed", feed=topic, error=fetched.error)
                if self._stop.is_set():
                    return
        except Carbon254Error as error:
            structlog.get_logger().warning("fetch failed", feed=topic, error=str(error))

    def _loop(self) -> None:
        while not self._stop.is_set() and self._due:
            topic = min(self._due, key=lambda name: self._due[name])
            wait = (self._due[topic] - self._clock.now()).total_seconds()
            if wait > 0 and self._stop.wait(wait):
                return
            self.poll(topic)
            self._due[topic] = self._clock.now() + cadence(feeds()[topic].stream)


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
    """Feeds that can be asked with the keys at hand: those without a key, with theirs, or with a stand-in."""
    found = []
    for topic, one in feeds().items():
        provider = one.stream.provider
        keyed = all(secrets.get(name) for name in provider.access.env)
        if provider.id in base_urls or (provider.base_url and (provider.access.kind == "none" or keyed)):
            found.append(topic)
    return [topic for topic in found if feeds()[topic].stream.provider.base_url]
