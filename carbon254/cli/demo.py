"""`c254 demo`: the main job end to end, offline, on the emulator; then the live page."""

from __future__ import annotations

import json
import math
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .console import DEFAULT_WORKSPACE, AsJson, Workspace, complain, out, progress, show

if TYPE_CHECKING:
    from carbon254.app import Node
    from carbon254.emulator.server import Emulator

    from .running import Desk, Result

BENCHMARK_DAYS = 95
_HUB_DAYS = 40
_WEATHER_DAYS = range(12, -1, -3)
_TICKS = 200


def demo(
    workspace: Workspace = DEFAULT_WORKSPACE,
    once: Annotated[bool, typer.Option("--once", help="End when everything is stored.")] = False,
    as_json: AsJson = False,
    port: Annotated[int, typer.Option(help="Port of the page; the next free one where 8254 is taken.")] = -1,
    seed: Annotated[int, typer.Option(help="Seed of the emulated markets.")] = 254,
) -> None:
    """Seven markets' prices from wire bytes to SQL, Python and a live page: no internet, no server to install.

    Example: `c254 demo --once --json`
    """
    from carbon254.app import open_node
    from carbon254.emulator.server import running

    from .console import settings_of

    began = time.monotonic()
    with running(seed=seed) as emulator:
        settings = settings_of(workspace, emulator_url=emulator.url, port=None if port < 0 else port)
        with open_node(settings, {}) as node:
            now = datetime.now(UTC)
            results, desk = seed_workspace(node, emulator, now)
            table = overview(node, desk, results, time.monotonic() - began)
            _print(table, as_json)
            if not once:
                _serve(node, emulator, settings.host, settings.port, explicit=port > 0, seed=seed)


def seed_workspace(node: Node, emulator: Emulator, now: datetime) -> tuple[list[Result], Desk]:
    """Two market days of every price feed, 95 days of benchmarks, forecasts of several issues, and some ticks."""
    from carbon254.ingest import Arrived

    from .running import Desk, Result, from_provider

    desk = Desk(node.log, node.pipeline.inbox, node.pipeline.fetcher, node.clock, node)
    spans = list(_spans(now))
    results: dict[str, Result] = {}
    with progress("feeds", len(spans)) as advance:
        for done, (topic, start, end, clock) in enumerate(spans, start=1):
            emulator.clock(clock)
            result = from_provider(desk, topic, start, end)
            known = results.setdefault(topic, result)
            if known is not result:
                known.new += result.new
                known.repeated += result.repeated
                known.errors += result.errors
            advance(done)
        emulator.clock(None)
    results["market.ticks"] = Result("market.ticks")
    desk.before["market.ticks"] = desk.counts("market.ticks")
    data = _tick_lines(254, now - timedelta(seconds=_TICKS), _TICKS, timedelta(seconds=1))
    _, new = desk.inbox.accept(Arrived("market.ticks", data, "demo ticks.ndjson", now))
    results["market.ticks"].new += new
    desk.carry()
    return list(results.values()), desk


def _spans(now: datetime) -> Iterator[tuple[str, datetime, datetime, datetime | None]]:
    """(topic, start, end, emulator's clock or None for now) of everything the demo asks for."""
    from carbon254.calendars import market_day_of, market_day_span
    from carbon254.feeds import feeds

    for topic, found in sorted(feeds().items()):
        stream = found.stream
        today = market_day_of(now, stream.clock)
        if stream.dataset == "interval_prices":
            # Yesterday, or the day before it that is published by now.
            back = 1 + max(0, math.ceil(stream.publication.delay / timedelta(days=1)))
            first, _ = market_day_span(today - timedelta(days=back), stream.clock)
            # Five-minute files come one an interval: the last hours are enough to look at.
            if stream.span < timedelta(hours=1):
                first = max(first, _floor(now) - timedelta(hours=6))
            last = market_day_span(today, stream.clock)[1] if _ahead(stream) else now
            yield topic, first, last, None
        elif stream.dataset == "energy_prices":
            yield topic, now - timedelta(days=BENCHMARK_DAYS), now, None
        elif stream.dataset == "weather_forecasts":
            for days in _WEATHER_DAYS:
                at = now - timedelta(days=days)
                yield topic, at, at + timedelta(hours=1), at if days else None
    hub = feeds()["iso.da.lmp.pjm"].stream
    day = market_day_of(now, hub.clock) - timedelta(days=_HUB_DAYS)
    yield hub.topic, market_day_span(day, hub.clock)[0], now - timedelta(days=1), None


def _ahead(stream: Any) -> bool:
    return stream.publication.anchor == "market_day"


def _floor(moment: datetime) -> datetime:
    return datetime.fromtimestamp(moment.timestamp() // 300 * 300, UTC)


def overview(node: Node, desk: Desk, results: list[Result], elapsed_s: float) -> dict[str, Any]:
    """Feeds × payloads fetched, rows parsed, rejected, stored, bars, lag."""
    from carbon254.feeds import feeds

    from .running import settle

    stored = _by_feed(node)
    bars = _bars(node)
    lines = []
    for result in results:
        settle(desk, result)
        stream = feeds()[result.feed].stream
        lines.append(
            {
                "feed": result.feed,
                "fetched": result.new + result.repeated,
                "parsed": result.rows,
                "rejected": result.rejected,
                "stored": stored.get(result.feed, 0),
                "bars": bars.get((stream.market, stream.market_run), 0),
                "lag": sum(node.log.lag(name, "rows.") for name in ("project", "bars", "lake")),
            }
        )
    totals = {name: sum(line[name] for line in lines) for name in ("fetched", "parsed", "rejected", "stored", "bars")}
    errors = [error for result in results for error in result.errors]
    return {"feeds": lines, "totals": totals, "errors": errors, "elapsed_s": round(elapsed_s, 1)}


def _by_feed(node: Node) -> dict[str, int]:
    tables = ("interval_prices", "energy_prices_history", "weather_forecasts", "market_ticks")
    union = " UNION ALL ".join(f"SELECT feed, count() AS n FROM {table} GROUP BY feed" for table in tables)
    return {row["feed"]: row["n"] for row in node.hot.query(union).to_pylist()}


def _bars(node: Node) -> dict[tuple[str, str], int]:
    found = node.hot.query("SELECT market, market_run, count() AS n FROM ohlc_bars GROUP BY market, market_run")
    counted = {(row["market"], row["market_run"]): row["n"] for row in found.to_pylist()}
    # Ticks carry the market their sender named; their bars are told by the run.
    counted["PUSHED", "tick"] = sum(count for (_, run), count in counted.items() if run == "tick")
    return counted


def _print(table: dict[str, Any], as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(table))
        return
    names = ("feed", "fetched", "parsed", "rejected", "stored", "bars", "lag")
    show(names, [[line[name] for name in names] for line in table["feeds"]])
    for error in table["errors"][:3]:
        complain(error)
    out.print(f"{table['totals']['stored']:,} rows stored in {table['elapsed_s']:.1f} s", highlight=False)


def _serve(node: Node, emulator: Emulator, host: str, port: int, explicit: bool, seed: int) -> None:
    """The live page, fed by the emulator until asked to stop."""
    from carbon254.telemetry import configure_logging

    from .node import wait_for_signal
    from .serving import Served, listener

    configure_logging(node.settings.log_level)
    served = Served(node, listener(host, port, explicit))
    stopping = threading.Event()
    node.runner.start()
    served.start()
    node.workspace.announce(served.url)
    feeder = threading.Thread(target=_feed, args=(node, seed, stopping), name="c254-demo", daemon=True)
    feeder.start()
    out.print(f"\nlive page: [bold]{served.url}[/bold]   API: {served.url}/docs", highlight=False)
    out.print(
        'ask it:    c254 sql "SELECT market, max(interval_end) FROM current_prices GROUP BY market"', highlight=False
    )
    out.print("stop with ctrl-C", highlight=False)
    wait_for_signal()
    stopping.set()
    feeder.join(10)
    served.stop()


def _feed(node: Node, seed: int, stopping: threading.Event) -> None:
    """Newest intervals as they are published, and a tick a second."""
    from carbon254.ingest import Arrived
    from carbon254.poller import Poller, reachable

    topics = [topic for topic in reachable({}, {}) if topic.startswith("iso.rt")] + ["iso.rt.lmp.pjm"]
    poller = Poller(node.pipeline, node.clock, dict.fromkeys(topics))
    poller.start()
    while not stopping.wait(1.0):
        now = datetime.now(UTC).replace(microsecond=0)
        data = _tick_lines(seed, now, 5, timedelta(milliseconds=200))
        node.pipeline.inbox.accept(Arrived("market.ticks", data, f"{now:%H%M%S}.ndjson", datetime.now(UTC)))
    poller.stop()


def _tick_lines(seed: int, start: datetime, count: int, step: timedelta) -> bytes:
    import orjson

    from carbon254.emulator.ticks import ticks

    return b"\n".join(orjson.dumps(message) for message in ticks(seed, start, count, step))
