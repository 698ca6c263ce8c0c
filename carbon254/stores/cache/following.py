"""One subscription of a process, handed on to all who watch in it.

A connection that broke is made again; since nobody knows what was told meanwhile, every watcher is said to have missed
something, and looks at the whole again.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

from .kinds import Kind
from .packing import unpacked
from .watch import Watch

_LOOK_S = 0.2
_AGAIN_S = 0.5
_READY_S = 10.0


class Follower:
    """Follows channels in a thread of its own, from the moment it is made until `stop`."""

    def __init__(self, client: Any, channels: Mapping[str, Kind]) -> None:
        self._client, self._channels = client, dict(channels)
        self._watches: list[Watch] = []
        self._lock = threading.Lock()
        self._stop, self._ready = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="c254-cache", daemon=True)
        self._thread.start()

    def add(self) -> Watch:
        """A channel of changes from now on; it may be told late where the server is away."""
        self._ready.wait(_READY_S)
        watch = Watch()
        with self._lock:
            self._watches.append(watch)
        return watch

    def watched(self) -> bool:
        """Whether there is a channel."""
        return bool(self._watches)

    def remove(self, watch: Watch) -> None:
        """Close a channel."""
        with self._lock:
            if watch in self._watches:
                self._watches.remove(watch)

    def stop(self) -> None:
        """End the subscription."""
        self._stop.set()
        self._thread.join(_READY_S)

    def _run(self) -> None:
        from redis.exceptions import RedisClusterException, RedisError

        while not self._stop.is_set():
            try:
                self._follow()
            except (RedisError, RedisClusterException, OSError):
                self._skipped()
                self._stop.wait(_AGAIN_S)

    def _follow(self) -> None:
        with self._client.pubsub() as channel:
            channel.subscribe(*self._channels)
            waiting = set(self._channels)
            while not self._stop.is_set():
                message = channel.get_message(timeout=_LOOK_S)
                if message is None:
                    continue
                if message["type"] == "subscribe":
                    waiting.discard(message["channel"])
                    if not waiting:
                        self._listening()
                elif message["type"] == "message":
                    self._tell(self._channels[message["channel"]], message["data"])

    def _listening(self) -> None:
        if self._ready.is_set():
            # Something may have been told between the break and now.
            self._skipped()
        self._ready.set()

    def _tell(self, kind: Kind, data: str) -> None:
        rows = unpacked(data, kind)
        with self._lock:
            for watch in self._watches:
                watch.offer(kind.name, rows)

    def _skipped(self) -> None:
        with self._lock:
            for watch in self._watches:
                watch.skipped()
