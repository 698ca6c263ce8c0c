"""What a feed says about itself: plain records read from `feed.toml`, known to stages without knowing the feed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any


@dataclass(frozen=True, slots=True)
class Access:
    """How the provider lets us in.

    `kind` is none, header, query, basic or oauth; `env` names the variables that hold the credential, `where` is the
    page a person gets it from, `name` the header or query parameter it travels in.
    """

    kind: str = "none"
    env: tuple[str, ...] = ()
    name: str = ""
    where: str = ""


@dataclass(frozen=True, slots=True)
class Provider:
    """One publisher: a folder below `feeds/`."""

    id: str
    name: str
    market: str
    time_zone: str
    base_url: str
    homepage: str
    licence: str
    redistribution: str
    min_interval_s: float
    burst: int = 1
    access: Access = Access()
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Public:
    """What a provider that lets in with a key publishes of a stream for everybody: `files` says which, `base_url` is
    their site, and `repeat` what separates the repeated autumn hour in them."""

    files: str
    base_url: str
    repeat: str


@dataclass(frozen=True, slots=True)
class Publication:
    """When a span is normally published: `delay` after the anchor (interval_end, or market_day: its local midnight)."""

    anchor: str
    delay: timedelta


@dataclass(frozen=True, slots=True)
class Rounding:
    """To what a provider rounds each number it publishes: a `step`, and `most` where a long statement shows a coarser
    one. In the price's unit; 0 where nobody says."""

    step: float = 0.0
    most: float = 0.0


@dataclass(frozen=True, slots=True)
class Stream:
    """One stream of a provider; its topic is the feed id.

    `label` says what a bare local stamp means (interval_start, interval_end); `clock` is the IANA zone it is told in
    (a fixed offset for markets without daylight saving); `repeat` says what separates the repeated autumn hour: utc
    (a twin column), offset, mark (a flag), row_order, or none (a clock that never repeats). `signs` multiplies
    components so that lmp = energy + congestion + loss + ghg; `derive` names a component computed from the others;
    `complete` means a payload lists every location of its intervals, so that a missing one is a retraction;
    `public` tells what of it needs no key although the provider wants one;
    `horizon` is how far ahead of its arrival a payload prints intervals; `area` is the market area of places that are
    not listed (the market itself where it is empty).

    One payload may hold rows of several market runs: `market_run` is the stream's own, `runs` holds the others by name,
    each as the stream with that run's traits. Whatever depends on a row's run asks `of_run`, never the stream.
    On Kafka its topics have so many `partitions`; what is published outside is kept for `retention`.
    """

    topic: str
    title: str
    provider: Provider
    dataset: str
    market_run: str
    resolution: timedelta
    clock: str
    label: str
    repeat: str
    publication: Publication
    slo: timedelta
    span: timedelta
    product: str = "energy"
    commodity: str = "power"
    product_tier: str = ""
    signs: Mapping[str, float] = field(default_factory=dict)
    derive: str = ""
    complete: bool = False
    horizon: timedelta = timedelta(0)
    area: str = ""
    rounding: Rounding = Rounding()
    public: Public | None = None
    partitions: int = 1
    retention: timedelta = timedelta(days=7)
    options: Mapping[str, Any] = field(default_factory=dict)
    runs: Mapping[str, Stream] = field(default_factory=dict)

    @property
    def market(self) -> str:
        return self.provider.market

    def of_run(self, name: str) -> Stream:
        """The stream with the traits of a market run; its own where the card does not name the run."""
        return self.runs.get(name, self)

    @property
    def every_run(self) -> tuple[Stream, ...]:
        """The stream's own run, then the others of its card."""
        return (self, *self.runs.values())


def by_run(streams: Iterable[Stream]) -> dict[tuple[str, str], Stream]:
    """(market, market run) → the stream with that run's traits; a stream's own run comes before another's side run."""
    listed = list(streams)
    found = {(run.market, name): run for stream in listed for name, run in stream.runs.items()}
    return found | {(stream.market, stream.market_run): stream for stream in listed}
