"""A provider in memory: what it has published, what it answers, and every way in which it may answer badly.

Files are corrected and lose places as the simulator says. A request is answered by the file as it is, by an older
one, late, not yet, not at all, cut off, or by a page of HTML; `taken` holds what a caller was given whole.
"""

from __future__ import annotations

import hashlib
import random
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import httpx2 as httpx
from flow.conftest import spp

from carbon254.clock import ManualClock

from .twin import FIVE, Payload

PLACES = ("A", "B", "C", "D")
HOWS = {"whole": 12, "older": 1, "late": 2, "not yet": 1, "error": 2, "refused": 1, "cut": 1, "html": 1}
Prices = tuple[tuple[str, float], ...]
_PAGE = "<html><body>{} is unavailable, please come back later</body></html>"
_NAME = re.compile(r"RTBM-LMP-SL-(\d{12})\.csv")


@dataclass
class FakeWeb:
    """The files of one day. `clock` is the caller's: an answer takes a microsecond at least, so that none tie."""

    start: datetime
    chance: random.Random
    clock: ManualClock
    files: dict[datetime, list[Prices]] = field(default_factory=dict)
    taken: list[Payload] = field(default_factory=list)
    asked: int = 0

    def publish(self, interval: int) -> None:
        """A file of an interval, or its correction; now and then one place is gone for good."""
        start = self.start + interval * FIVE
        versions = self.files.setdefault(start, [])
        places = [place for place, _ in versions[-1]] if versions else list(PLACES)
        if len(places) == len(PLACES) and versions and self.chance.random() < 0.2:
            places.remove(self.chance.choice(places))
        versions.append(tuple((place, self.chance.randint(1_000, 4_000) / 100) for place in places))

    def client(self) -> httpx.Client:
        """What the fetcher talks through, in place of a network."""
        return httpx.Client(transport=httpx.MockTransport(self._answer))

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.asked += 1
        self.clock.sleep(1e-6)
        start, how = _interval(request), self.chance.choices(list(HOWS), list(HOWS.values()))[0]
        if how == "refused":
            raise httpx.ConnectError("refused", request=request)
        if how == "error":
            return _sent(self.chance.choice((500, 502, 503)))
        if how == "late":
            self.clock.sleep(self.chance.uniform(1, 120))
        versions = self.files.get(start)
        if how == "not yet" or not versions or start > self.clock.now():
            return _sent(404)
        prices = () if how == "html" else self.chance.choice(versions) if how == "older" else versions[-1]
        return self._give(request, start, prices, how)

    def _give(self, request: httpx.Request, start: datetime, prices: Prices, how: str) -> httpx.Response:
        data = spp(dict(prices), f"{start + FIVE:%m/%d/%Y %H:%M:%S}") if prices else _PAGE.format(start).encode()
        etag = hashlib.sha256(data).hexdigest()[:16]
        if request.headers.get("if-none-match") == etag:
            return _sent(304)
        if how != "cut":
            self.taken.append(Payload(f"{start:%Y-%m-%dT%H:%MZ}", start, prices, self.clock.now()))
        body = data[:-20] if how == "cut" else data
        return _sent(200, body, {"etag": etag, "content-length": str(len(data))})


class _Body(httpx.SyncByteStream):
    """Bytes that come as from a network: read once, by whoever asks first."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def __iter__(self) -> Iterator[bytes]:
        yield self._data


def _sent(status: int, data: bytes = b"", headers: Mapping[str, str] | None = None) -> httpx.Response:
    return httpx.Response(status, stream=_Body(data), headers=dict(headers or {}))


def _interval(request: httpx.Request) -> datetime:
    """Files are named by their interval's end in the market's time, which is UTC-6 or UTC-5: asked as the name says."""
    from carbon254.calendars.zones import zone

    found = _NAME.search(str(request.url))
    if found is None:
        return datetime.min.replace(tzinfo=UTC)
    end = datetime.strptime(found[1], "%Y%m%d%H%M").replace(tzinfo=zone("America/Chicago"))
    return end.astimezone(UTC) - timedelta(minutes=5)
