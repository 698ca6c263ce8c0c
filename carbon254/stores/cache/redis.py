"""Latest prices and ticks on Redis: shared by every node, the same newest row whoever writes last.

    c254:prices                    a set: which groups there are (market, run)
    c254:prices:{market run}       a hash: place → order and row; gone when nothing came for the time to live
    c254:filled                    there once the newest rows of the hot store were put in
    c254:prices:changed            a channel: the rows that changed, as a JSON list

One script compares, stores and tells, so that two writers never undo each other and a reader sees a batch whole. All
that is newest follows from the hot store: a server that lost its memory is filled again from there.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import polars as pl

from carbon254.errors import SettingsError, TransientError

from .connecting import NAME, OLDEST, Place, connect, place
from .following import Follower
from .kinds import PRICES, TICKS, Kind, narrowed, newest, ranked
from .packing import packed, unpacked
from .watch import Watch

# KEYS: the hash. ARGV: time to live in ms (0 for ever), channel, then field, order, value of each row.
_SCRIPT = """
local changed = {}
for at = 3, #ARGV, 3 do
  local held = redis.call('HGET', KEYS[1], ARGV[at])
  local order = ARGV[at + 1]
  if not held or order > string.sub(held, 1, string.find(held, '|', 1, true) - 1) then
    redis.call('HSET', KEYS[1], ARGV[at], order .. '|' .. ARGV[at + 2])
    changed[#changed + 1] = ARGV[at + 2]
  end
end
if tonumber(ARGV[1]) > 0 then redis.call('PEXPIRE', KEYS[1], ARGV[1]) end
if #changed > 0 then redis.call('PUBLISH', ARGV[2], '[' .. table.concat(changed, ',') .. ']') end
return #changed
"""
_SHA = hashlib.sha1(_SCRIPT.encode(), usedforsecurity=False).hexdigest()
# Rows of one call: a market's places go in at once, and the server is never held up for long.
_ROWS = 20_000


class RedisPrices:
    """See `port.Cache`. Raises TransientError where the server does not answer."""

    def __init__(self, found: Place, keep: timedelta | None = None, prefix: str = "c254") -> None:
        self._place, self._prefix = found, prefix
        self._keep_ms = int(keep.total_seconds() * 1000) if keep else 0
        self._client = connect(found)
        self._lock = threading.Lock()
        self._follower: Follower | None = None
        self._check()

    def put(self, frame: pl.DataFrame) -> None:
        """Merge interval prices; older intervals and older versions change nothing."""
        self._merge(frame, PRICES)

    def put_ticks(self, frame: pl.DataFrame) -> None:
        """Merge ticks."""
        self._merge(ranked(frame), TICKS)

    def _merge(self, frame: pl.DataFrame, kind: Kind) -> None:
        index, channel = f"{self._prefix}:{kind.name}", f"{self._prefix}:{kind.name}:changed"
        for group, rows in packed(newest(frame, kind), kind):
            # First: a reader that finds no rows under a listed group has lost nothing.
            self._call("SADD", index, group)
            for part in rows.iter_slices(_ROWS):
                columns = part.select("field", "order", "value").get_columns()
                told = [text for row in zip(*columns, strict=True) for text in row]
                self._script(self._key(kind, group), [str(self._keep_ms), channel, *told])

    def get(
        self, market: str | None = None, run: str | None = None, locations: Sequence[str] = ()
    ) -> pl.DataFrame | None:
        """Newest prices, narrowed; None before the first one arrived."""
        found = self._read(PRICES)
        return None if found is None else narrowed(found, market, run, locations)

    def get_ticks(self) -> pl.DataFrame | None:
        """Newest ticks; None before the first one arrived."""
        return self._read(TICKS)

    def _read(self, kind: Kind) -> pl.DataFrame | None:
        groups = sorted(self._call("SMEMBERS", f"{self._prefix}:{kind.name}"))
        held = [text for group in groups for text in self._call("HVALS", self._key(kind, group))]
        listed = ",".join(text.partition("|")[2] for text in held)
        return unpacked(f"[{listed}]", kind) if held else None

    def subscribe(self) -> Watch:
        """A channel of changes from now on."""
        with self._lock:
            if self._follower is None:
                channels = {f"{self._prefix}:{kind.name}:changed": kind for kind in (PRICES, TICKS)}
                self._follower = Follower(self._client, channels)
            return self._follower.add()

    def watched(self) -> bool:
        """Whether anybody here holds a channel."""
        return self._follower is not None and self._follower.watched()

    def unsubscribe(self, watch: Watch) -> None:
        """Close a channel."""
        with self._lock:
            if self._follower is not None:
                self._follower.remove(watch)

    def filled(self) -> bool:
        """Whether the server remembers that it was filled: one that was started empty does not."""
        return bool(self._call("EXISTS", f"{self._prefix}:filled"))

    def fill_done(self) -> None:
        """Let the server remember it."""
        self._call("SET", f"{self._prefix}:filled", "1")

    def close(self) -> None:
        """Stop following and let the connections go."""
        with self._lock:
            follower, self._follower = self._follower, None
        if follower is not None:
            follower.stop()
        self._client.close()

    def _key(self, kind: Kind, group: str) -> str:
        return f"{self._prefix}:{kind.name}:{{{group}}}"

    def _script(self, key: str, arguments: list[str]) -> None:
        from redis.exceptions import NoScriptError

        try:
            self._call("EVALSHA", _SHA, 1, key, *arguments)
        except NoScriptError:
            self._call("EVAL", _SCRIPT, 1, key, *arguments)

    def _call(self, *words: Any) -> Any:
        from redis import exceptions as told

        passing = (
            told.ConnectionError, told.TimeoutError, told.ReadOnlyError, told.OutOfMemoryError,
            # A cluster that lacks a node refuses even what other nodes hold.
            told.ClusterError, told.RedisClusterException, told.TryAgainError,
        )  # fmt: skip
        try:
            return self._client.execute_command(*words)
        except passing as error:
            raise TransientError(f"the cache at {self._place.shown} does not answer ({type(error).__name__})") from None

    def _check(self) -> None:
        """One call at the start: a wrong address, password or version is said then. Raises SettingsError."""
        from redis.exceptions import AuthenticationError, NoPermissionError, RedisClusterException, RedisError

        shown = self._place.shown
        try:
            # A cluster answers for each of its nodes.
            told = self._client.info("server")
        except (AuthenticationError, NoPermissionError):
            raise SettingsError(
                f"{NAME}: {shown} refuses these credentials: write redis://user:password@host"
            ) from None
        except (RedisError, RedisClusterException, OSError) as error:
            raise SettingsError(
                f"{NAME}: {shown} does not answer ({_first(error)}): start it or change {NAME}"
            ) from None
        version = str(
            next(iter(told.values()))["redis_version"] if "redis_version" not in told else told["redis_version"]
        )
        if int(version.split(".")[0]) < OLDEST:
            raise SettingsError(f"{NAME}: {shown} is Redis {version}: {OLDEST}.0 or newer is needed")


def open_redis(url: str, keep: timedelta | None = None, prefix: str = "c254") -> RedisPrices:
    """Open a Redis URL (see `connecting`). Raises SettingsError naming the setting and the fix."""
    return RedisPrices(place(url), keep, prefix)


def _first(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:160]
