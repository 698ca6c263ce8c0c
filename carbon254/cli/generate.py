"""`c254 generate` and `c254 emulator`: emulated markets, into a workspace or over HTTP."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from carbon254.nearest import pick

from .console import DEMO_WORKSPACE, EmulatorUrl, NewWorkspace, out, progress, say, show

if TYPE_CHECKING:
    from .running import Desk

_MODES = ("continuous", "historical", "high-volume", "malformed")
_TICK_BATCH = 10_000


def generate(
    mode: Annotated[str, typer.Option(help="continuous, historical, high-volume or malformed.")] = "historical",
    days: Annotated[int, typer.Option(min=1, help="Market days back from yesterday (historical).")] = 1,
    count: Annotated[int, typer.Option(min=1, help="Ticks (high-volume) or payloads (malformed).")] = 10_000,
    seed: Annotated[int, typer.Option(help="The same seed makes the same data.")] = 254,
    feed: Annotated[list[str] | None, typer.Option(help="Only these feeds (historical, continuous).")] = None,
    workspace: NewWorkspace = DEMO_WORKSPACE,
    emulator_url: EmulatorUrl = "",
) -> None:
    """Drive the emulator into a workspace.

    Examples: `c254 generate --mode historical --days 7`, `c254 generate --mode malformed --count 100`
    """
    from .running import opened, report

    mode, feed = pick("mode", mode, _MODES), _topics(feed)

    with _emulator(seed, emulator_url) as url, opened(workspace, url) as desk:
        if mode == "malformed":
            return _malformed(desk, count, seed)
        if mode == "high-volume":
            return _high_volume(desk, count, seed)
        if mode == "continuous":
            return _continuous(desk, feed)
        results = [_days(desk, topic, days) for topic in _price_feeds(feed)]
        desk.carry()
        report(desk, results, as_json=False)
    return None


def emulator(
    port: Annotated[
        int | None, typer.Option(help="Port to listen on, 0 for any free one; without it 8255, or the next free one.")
    ] = None,
    seed: Annotated[int, typer.Option(help="The same seed makes the same data.")] = 254,
    nodes: Annotated[int, typer.Option(help="So many locations a nodal market; 0 for the named ones.")] = 0,
    strict: Annotated[bool, typer.Option(help="Answer 429 to whoever asks too often, as the providers do.")] = False,
) -> None:
    """Answer like the providers, in their own formats, on 127.0.0.1, for any date.

    Example: `c254 emulator --port 8255`, then `C254_EMULATOR_URL=http://127.0.0.1:8255 c254 up`
    """
    from carbon254.emulator.server import serve

    from .ports import EMULATOR_PORT, listener

    with listener("127.0.0.1", EMULATOR_PORT if port is None else port, explicit=port is not None) as listening:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        out.print(f"emulator: [bold]{url}[/bold]  (state at /_emulator, stop with ctrl-C)", highlight=False)
        serve(listening, seed, nodes=nodes, strict=strict)


@contextmanager
def _emulator(seed: int, url: str) -> Iterator[str]:
    if url:
        yield url
        return
    from carbon254.emulator.server import running

    with running(seed=seed) as started:
        yield started.url


def _topics(chosen: list[str] | None) -> list[str]:
    """The feeds by their topics. Raises UnknownFeed."""
    from carbon254.feeds import feed

    return [feed(topic).topic for topic in chosen or ()]


def _price_feeds(chosen: list[str]) -> list[str]:
    from carbon254.feeds import feeds

    return chosen or [topic for topic, found in sorted(feeds().items()) if found.stream.dataset == "interval_prices"]


def _days(desk: Desk, topic: str, days: int):
    from carbon254.calendars import market_day_of, market_day_span
    from carbon254.feeds import feed

    from .running import from_provider

    clock = feed(topic).stream.clock
    yesterday = market_day_of(datetime.now(UTC), clock) - timedelta(days=1)
    start = market_day_span(yesterday - timedelta(days=days - 1), clock)[0]
    return from_provider(desk, topic, start, market_day_span(yesterday, clock)[1])


def _malformed(desk: Desk, count: int, seed: int) -> None:
    """Payloads that are wrong on purpose; says how many letters they should make, and how many they did."""
    from carbon254.emulator.malformed import malformed
    from carbon254.ingest import Arrived

    expected = 0
    with progress("payloads", count) as advance:
        for done, (topic, name, data, letters) in enumerate(malformed(count, seed), start=1):
            new = desk.accept(Arrived(topic, data, name, desk.clock.now()))
            expected += letters if new else 0
            advance(done)
        desk.carry()
    made = sum(one.letters for topic in desk.mine for one in desk.counts(topic))
    show(("payloads", "letters expected", "letters made"), [(count, expected, made)])
    out.print("see them: c254 dlq list", highlight=False)


def _high_volume(desk: Desk, count: int, seed: int) -> None:
    """Ticks as fast as they go."""
    import orjson

    from carbon254.emulator.ticks import ticks
    from carbon254.ingest import Arrived

    start = datetime.now(UTC).replace(microsecond=0) - timedelta(milliseconds=10 * count)
    with progress("ticks", count) as advance:
        for done in range(0, count, _TICK_BATCH):
            size = min(_TICK_BATCH, count - done)
            messages = ticks(seed, start + timedelta(milliseconds=10 * done), size)
            data = b"\n".join(orjson.dumps(message) for message in messages)
            desk.accept(Arrived("market.ticks", data, f"ticks {start:%Y%m%dT%H%M%S} {done}.ndjson", desk.clock.now()))
            advance(done + size)
        began = time.perf_counter()
        desk.carry()
    say(f"{count:,} ticks carried in {time.perf_counter() - began:.1f} s")


def _continuous(desk: Desk, chosen: list[str]) -> None:
    """The newest interval of each real-time feed, every minute, until stopped."""
    from carbon254.feeds import feed
    from carbon254.pipeline import fetch
    from carbon254.poller import newest

    topics = [topic for topic in _price_feeds(chosen) if chosen or ".rt." in topic]
    say(f"asking {', '.join(topics)} every minute; stop with ctrl-C")
    try:
        while True:
            for topic in topics:
                start, end = newest(feed(topic).stream, datetime.now(UTC))
                desk.mine.pop(topic, None)
                for one in fetch(desk.fetcher, desk.inbox, topic, start, end):
                    desk.keep(topic, one.taken)
                new = len(desk.mine.get(topic, ()))
                if new:
                    out.print(f"{datetime.now(UTC):%H:%M:%SZ} {topic}: {new} new payloads", highlight=False)
            desk.carry()
            time.sleep(60)
    except KeyboardInterrupt:
        return
