"""Clocks are handed in, so that any moment can be replayed.

`SystemClock` is the wall clock in UTC. `ManualClock` is turned by hand (tests, replays). `received` is the moment a
payload arrived: on the wall clock that is now; against the emulator it is the `Date` the emulator put on its answer,
so that two runs over the same span store the same times.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Protocol


class Clock(Protocol):
    """What the rooms below may ask about time. All instants are timezone-aware UTC."""

    def now(self) -> datetime: ...
    def monotonic(self) -> float: ...
    def sleep(self, seconds: float) -> None: ...
    def received(self, headers: Mapping[str, str]) -> datetime: ...


@dataclass(frozen=True)
class SystemClock:
    """The machine's own clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(max(0.0, seconds))

    def received(self, headers: Mapping[str, str]) -> datetime:
        return self.now()


@dataclass(frozen=True)
class ServerClock(SystemClock):
    """Arrival times from the answering server's `Date` header: the emulator's clock decides, not ours."""

    def received(self, headers: Mapping[str, str]) -> datetime:
        stamp = next((value for name, value in headers.items() if name.lower() == "date"), None)
        return parsedate_to_datetime(stamp).astimezone(UTC) if stamp else self.now()


@dataclass
class ManualClock:
    """A clock turned by hand; sleeping advances it."""

    instant: datetime
    elapsed_s: float = 0.0

    def now(self) -> datetime:
        return self.instant

    def monotonic(self) -> float:
        return self.elapsed_s

    def sleep(self, seconds: float) -> None:
        self.instant += timedelta(seconds=max(0.0, seconds))
        self.elapsed_s += max(0.0, seconds)

    def received(self, headers: Mapping[str, str]) -> datetime:
        return self.instant
