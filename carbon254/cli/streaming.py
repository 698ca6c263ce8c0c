"""The demo's stream: the last hour of prices in quick steps, then each interval as it is published; ticks all along."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

import structlog

from carbon254.app import Node
from carbon254.emulator.server import Emulator
from carbon254.errors import Carbon254Error
from carbon254.feeds import feeds
from carbon254.ingest import Arrived
from carbon254.poller import Poller, newest

from .seeding import live_topics, tick_lines

_INTERVAL = timedelta(minutes=5)
_STEP_S = 3
_TICKS_A_SECOND = 5
# While nobody looks at the page, its ticks come in fewer, larger messages.
_UNSEEN_S = 60


class Stream:
    """One thread that keeps a node's prices and ticks coming until it is stopped."""

    def __init__(self, node: Node, emulator: Emulator, seed: int, live_from: datetime) -> None:
        self._node, self._emulator, self._seed, self._at = node, emulator, seed, live_from
        self._told = datetime.now(UTC).replace(microsecond=0)
        self._stop = threading.Event()
        self._poller = Poller(node.pipeline, node.clock, live_topics())
        self._thread = threading.Thread(target=self._run, name="c254-demo", daemon=True)

    def start(self) -> None:
        """Start the stream."""
        self._thread.start()

    def stop(self) -> None:
        """End it after the call in progress."""
        self._stop.set()
        self._thread.join(10)

    def _run(self) -> None:
        while not self._stop.is_set() and self._at + _INTERVAL < datetime.now(UTC):
            self._step()
            for _ in range(_STEP_S):
                self._tick()
        self._emulator.clock(None)
        self._poller.start()
        while not self._stop.is_set():
            self._tick()
        self._poller.stop()

    def _step(self) -> None:
        """Set the emulator's clock an interval on, and ask every live feed for what that brought."""
        self._at += _INTERVAL
        self._emulator.clock(self._at)
        for topic in live_topics():
            try:
                for _ in self._node.pipeline.fetch(topic, *newest(feeds()[topic].stream, self._at)):
                    pass
            except Carbon254Error as error:
                structlog.get_logger().warning("fetch failed", feed=topic, error=str(error))

    def _tick(self) -> None:
        """Wait a second, and send the ticks since the last: each second while somebody looks, else each minute."""
        self._stop.wait(1.0)
        now = datetime.now(UTC)
        seconds = min(_UNSEEN_S, int((now - self._told).total_seconds()))
        if seconds < (1 if self._node.cache.watched() else _UNSEEN_S):
            return
        self._told = now.replace(microsecond=0)
        start, count = self._told - timedelta(seconds=seconds), seconds * _TICKS_A_SECOND
        data = tick_lines(self._seed, start, count, timedelta(seconds=1 / _TICKS_A_SECOND))
        self._node.pipeline.inbox.accept(Arrived("market.ticks", data, f"{now:%Y%m%dT%H%M%S}.ndjson", now))
