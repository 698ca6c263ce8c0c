"""What a provider's desk may know when it answers: the seed, the emulator's clock, and the revisions made so far.

A `World` is one moment, and immutable. What has been published at that moment, and when, follows from the feed's card:
an answer's `Date` is the publication of the last interval in it plus 1 to 20 seconds that depend on the address, so it
never depends on when the question was asked. A revised market day is published again, `after_s` later.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from email.utils import format_datetime
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

import numpy as np

from carbon254.calendars import market_day_span
from carbon254.calendars.zones import zone as zone_named
from carbon254.feeds.catalogue import feed
from carbon254.model import Stream

from .market import MARKETS, Ints, Prices, prices
from .noise import key, mix, uniform
from .places import Places, places

_SECRETS = ("api_key", "subscription-key", "Ocp-Apim-Subscription-Key")
_MAX_DELAY_S = 20


@dataclass(frozen=True, slots=True)
class Ask:
    """A question as it came: the path below the provider's prefix and the decoded query, order kept."""

    provider: str
    path: str
    query: tuple[tuple[str, str], ...] = ()
    accept: str = ""

    def get(self, name: str, default: str = "") -> str:
        """The first value of a parameter, whatever the case of its name."""
        return next((value for have, value in self.query if have.lower() == name.lower()), default)

    def all(self, name: str) -> list[str]:
        return [value for have, value in self.query if have.lower() == name.lower()]

    @property
    def address(self) -> str:
        """The question in one line, without credentials: what the seeded delay depends on."""
        asked = sorted(pair for pair in self.query if pair[0] not in _SECRETS)
        return f"{self.provider}{self.path}?{urlencode(asked)}"


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes back. `published` is epoch seconds for the `Date` header; None means the emulator's now."""

    body: bytes
    media: str = "text/csv"
    status: int = 200
    published: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)

    def date(self, now: int) -> str:
        moment = datetime.fromtimestamp(now if self.published is None else self.published, UTC)
        return format_datetime(moment, usegmt=True)


@dataclass(frozen=True, slots=True)
class Revision:
    """A market day of a feed whose prices are published once more, some of them changed.

    `share` of the (location, interval) pairs get `bump` $/MWh more congestion; `location` (id or name) and `interval`
    (UTC start) narrow it. `after_s` is how much later than the first publication the new one is dated.
    """

    topic: str
    market_day: date
    share: float = 0.05
    bump: float = 1.0
    after_s: int = 86_400
    location: str = ""
    interval: datetime | None = None
    ordinal: int = 1


@dataclass(frozen=True, slots=True)
class Release:
    """How many of the asked intervals are out, and when the answer with them was published (epoch seconds)."""

    count: int
    published: int


@dataclass(frozen=True, slots=True)
class World:
    """One moment of the emulator. `now` is epoch seconds; `nodes` scales the number of locations (0: the table's)."""

    seed: int
    now: int
    nodes: int = 0
    revisions: tuple[Revision, ...] = ()

    def places(self, provider: str) -> Places:
        return places(provider, self.nodes)

    def delay(self, address: str, topic: str = "") -> int:
        """1 to 20 seconds, from the address."""
        return 1 + mix_one(self.seed, topic, address) % _MAX_DELAY_S

    def release(self, topic: str, address: str, starts: Ints) -> Release:
        """Which of the ascending interval starts are published now. `count` 0 means nothing is."""
        stream = feed(topic).stream
        due = publication(stream, starts) + self.delay(address, topic)
        count = int(np.searchsorted(due, self.now, side="right"))
        if not count:
            return Release(0, self.now)
        later = np.zeros(count, np.int64)
        for revision in self._revisions(topic):
            later += _of_day(stream, revision.market_day, starts[:count]) * revision.after_s
        return Release(count, int((due[:count] + later).max()))

    def prices(self, topic: str, chosen: Places, starts: Ints, run: str = "") -> Prices:
        """The prices as last published, of the feed's own market run where none is named."""
        return self.history(topic, chosen, starts, run)[-1]

    def history(self, topic: str, chosen: Places, starts: Ints, run: str = "") -> list[Prices]:
        """The prices as first published, then after each revision."""
        stream = feed(topic).stream.of_run(run)
        market = MARKETS[stream.provider.id]
        live = stream.product_tier != "day_ahead"
        found = [prices(self.seed, market, stream.market_run, live, chosen.keys, starts)]
        for revision in self._revisions(topic):
            found.append(found[-1].bumped(self._touched(revision, stream, chosen, starts), revision.bump))
        return found

    def _revisions(self, topic: str) -> list[Revision]:
        return [revision for revision in self.revisions if revision.topic == topic]

    def _touched(self, revision: Revision, stream: Stream, chosen: Places, starts: Ints) -> np.ndarray:
        inside = _of_day(stream, revision.market_day, starts)
        if revision.interval is not None:
            inside = inside & (starts == int(revision.interval.timestamp()))
        named = np.ones(len(chosen), bool)
        if revision.location:
            named = np.array([revision.location in pair for pair in zip(chosen.ids, chosen.names, strict=True)], bool)
        root = key("revision", self.seed, revision.topic, revision.ordinal)
        drawn = uniform(mix(root, chosen.keys[None, :], starts[:, None])) < revision.share
        return inside[:, None] & named[None, :] & drawn


def mix_one(*parts: str | int) -> int:
    """A hash of a few words."""
    return key("one", *parts)


def starts_between(begin: datetime, end: datetime, step_s: int) -> Ints:
    """Interval starts (epoch seconds) in [begin, end), on the market's grid wherever the span begins."""
    first = -(-int(begin.timestamp()) // step_s) * step_s
    return np.arange(first, int(end.timestamp()), step_s, dtype=np.int64)


def day_starts(day: date, clock: str, step_s: int) -> Ints:
    """Interval starts of a market day: 23, 24 or 25 hours of them."""
    return starts_between(*market_day_span(day, clock), step_s)


def publication(stream: Stream, starts: Ints) -> Ints:
    """When each interval is published, by the card, in epoch seconds."""
    delay = int(stream.publication.delay.total_seconds())
    if stream.publication.anchor == "interval_end":
        return starts + int(stream.resolution.total_seconds()) + delay
    zone = zone_named(stream.clock)
    out = np.empty_like(starts)
    for day in _days(starts, zone):
        out[_of_day(stream, day, starts)] = int(market_day_span(day, stream.clock)[0].timestamp()) + delay
    return out


def _days(starts: Ints, zone: ZoneInfo) -> Sequence[date]:
    return sorted({datetime.fromtimestamp(int(start), zone).date() for start in starts})


def _of_day(stream: Stream, day: date, starts: Ints) -> np.ndarray:
    begin, end = market_day_span(day, stream.clock)
    return (starts >= begin.timestamp()) & (starts < end.timestamp())
