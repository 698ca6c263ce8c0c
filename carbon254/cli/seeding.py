"""What the demo starts from: market days of every price feed, benchmarks, forecasts, ticks; wrong payloads if asked."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import orjson

from carbon254.app import Node
from carbon254.calendars import market_day_of, market_day_span
from carbon254.emulator.malformed import malformed
from carbon254.emulator.server import Emulator
from carbon254.emulator.ticks import ticks
from carbon254.feeds import feeds
from carbon254.ingest import Arrived
from carbon254.model import Stream

from .console import progress
from .running import Desk, Result, from_provider

_BENCHMARK_DAYS = 95
_HUB_DAYS = 40
# A day-ahead market day that has reached every settlement run of its market, so that each can be asked for.
_SETTLED, _SETTLED_DAYS = "iso.da.lmp.miso", 110
_WEATHER_DAYS = range(12, -1, -3)
_TICKS = 200
_FAULTS = 20
_FILE_HOURS = 6


@dataclass(frozen=True)
class Plan:
    """How much to seed. `live_from` is where real-time prices stop for now, so that they can be seen to arrive."""

    now: datetime
    live_from: datetime
    days: int
    seed: int
    faults: bool


def seed_workspace(node: Node, emulator: Emulator, plan: Plan) -> tuple[list[Result], Desk]:
    """Bring the plan's data through the whole flow; returns what each feed came to."""
    desk = Desk(
        node.workspace,
        node.log,
        node.pipeline.inbox,
        node.pipeline.fetcher,
        node.clock,
        node,
        node.pipeline.checks,
        node.ledger,
    )
    spans = list(_spans(plan))
    results: dict[str, Result] = {}
    with progress("feeds", len(spans)) as advance:
        for done, (topic, start, end, clock) in enumerate(spans, start=1):
            emulator.clock(clock)
            result = from_provider(desk, topic, start, end)
            _add(results.setdefault(topic, result), result)
            advance(done)
        emulator.clock(None)
    results["market.ticks"] = _push_ticks(desk, plan)
    if plan.faults:
        for topic, name, data, _ in malformed(_FAULTS, plan.seed):
            new = desk.accept(Arrived(topic, data, name, plan.now))
            results[topic].new += new
    desk.carry()
    return list(results.values()), desk


def live_topics() -> list[str]:
    """Feeds whose intervals can be seen to arrive: a few minutes long, and published within the hour."""
    return [topic for topic, found in sorted(feeds().items()) if _is_live(found.stream)]


def tick_lines(seed: int, start: datetime, count: int, step: timedelta) -> bytes:
    """Tick messages as JSON lines."""
    return b"\n".join(orjson.dumps(message) for message in ticks(seed, start, count, step))


def _push_ticks(desk: Desk, plan: Plan) -> Result:
    topic = "market.ticks"
    result = Result(topic)
    data = tick_lines(plan.seed, plan.now - timedelta(seconds=_TICKS), _TICKS, timedelta(seconds=1))
    new = desk.accept(Arrived(topic, data, "demo ticks.ndjson", plan.now))
    result.new += new
    return result


def _add(total: Result, part: Result) -> None:
    if total is not part:
        total.new += part.new
        total.repeated += part.repeated
        total.unpublished += part.unpublished
        total.failed += part.failed
        total.errors += part.errors


def _spans(plan: Plan) -> Iterator[tuple[str, datetime, datetime, datetime | None]]:
    """(topic, start, end, emulator's clock or None for now) of everything that is asked for."""
    for topic, found in sorted(feeds().items()):
        stream = found.stream
        if stream.dataset == "interval_prices":
            held = plan.live_from if plan.live_from < plan.now and _is_live(stream) else None
            yield topic, *_market_days(stream, plan, held or plan.now), held
        elif stream.dataset == "energy_prices":
            yield topic, plan.now - timedelta(days=_BENCHMARK_DAYS), plan.now, None
        elif stream.dataset == "weather_forecasts":
            for days in _WEATHER_DAYS:
                at = plan.now - timedelta(days=days)
                yield topic, at, at + timedelta(hours=1), at if days else None
    opens, closes = market_day_span(_settled_day(plan), feeds()[_SETTLED].stream.clock)
    yield _SETTLED, opens, closes, closes
    # The electricity benchmark is a day-ahead hub; it must cover the dates of the others.
    hub = feeds()["iso.da.lmp.pjm"].stream
    day = market_day_of(plan.now, hub.clock) - timedelta(days=_HUB_DAYS)
    yield hub.topic, market_day_span(day, hub.clock)[0], plan.now - timedelta(days=1), None


def _settled_day(plan: Plan) -> date:
    return market_day_of(plan.now, feeds()[_SETTLED].stream.clock) - timedelta(days=_SETTLED_DAYS)


def _market_days(stream: Stream, plan: Plan, until: datetime) -> tuple[datetime, datetime]:
    """The last market days that are published by now, today's included."""
    today = market_day_of(plan.now, stream.clock)
    late = max(0, math.ceil(stream.publication.delay / timedelta(days=1)))
    first, _ = market_day_span(today - timedelta(days=plan.days - 1 + late), stream.clock)
    # Where a file holds one interval, a day is 288 requests: the last hours are enough to look at.
    if stream.span < timedelta(hours=1):
        newest = datetime.fromtimestamp(until.timestamp() // 300 * 300, UTC)
        first = max(first, newest - timedelta(hours=_FILE_HOURS))
    ahead = stream.publication.anchor == "market_day"
    return first, market_day_span(today, stream.clock)[1] if ahead else until


def _is_live(stream: Stream) -> bool:
    prompt = stream.publication.anchor == "interval_end" and stream.publication.delay < timedelta(hours=1)
    return stream.dataset == "interval_prices" and prompt and stream.resolution < timedelta(hours=1)
