"""`c254 demo`: the main job end to end, offline, on the emulator; then the live page."""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from carbon254.workspace import stored_default

from .console import DEMO_WORKSPACE, AsJson, NewWorkspace, complain, out, show

if TYPE_CHECKING:
    from carbon254.app import Node
    from carbon254.emulator.server import Emulator

    from .running import Desk, Result
    from .seeding import Plan

_LIVE_HOURS = 1


def demo(
    workspace: NewWorkspace = DEMO_WORKSPACE,
    once: Annotated[bool, typer.Option("--once", help="End when everything is stored.")] = False,
    as_json: AsJson = False,
    port: Annotated[int | None, typer.Option(help="Port of the page; without it 8254, or the next free one.")] = None,
    days: Annotated[int, typer.Option(min=1, max=31, help="So many market days of prices.")] = 2,
    seed: Annotated[int, typer.Option(help="Seed of the emulated markets.")] = 254,
    with_faults: Annotated[bool, typer.Option("--with-faults", help="Add payloads that are wrong on purpose.")] = False,
) -> None:
    """Seven markets' prices from wire bytes to SQL, Python and a live page: no internet, no server to install.

    The data are emulated and have a workspace of their own. Exit 1 if a request failed.
    Example: `c254 demo --once --json`
    """
    from carbon254.memory import loading

    with loading():
        from carbon254.app import open_node
        from carbon254.emulator.server import running

        from .console import settings_of
        from .origin import keep_apart
        from .seeding import Plan, seed_workspace

    began, now = time.monotonic(), datetime.now(UTC)
    live_from = now if once else now - timedelta(hours=_LIVE_HOURS)
    plan = Plan(now, live_from, days, seed, with_faults)
    with running(seed=seed) as emulator:
        settings = settings_of(workspace, emulator_url=emulator.url, port=port)
        with open_node(settings, {}) as node:
            keep_apart(node.workspace, node.log, node.raw, settings)
            results, desk = seed_workspace(node, emulator, plan)
            table = overview(node, desk, results, time.monotonic() - began)
            _print(table, as_json)
            if not once:
                _serve(node, emulator, plan, explicit=bool(port), quiet=as_json)
    if table["errors"]:
        raise typer.Exit(1)


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
                "bars": sum(bars.get((stream.market, run.market_run), 0) for run in stream.every_run),
                "lag_unit": "records",
                "lag": sum(node.log.lag(name, "rows.") for name in ("project", "lake")),
            }
        )
    totals = {name: sum(line[name] for line in lines) for name in ("fetched", "parsed", "rejected", "stored", "bars")}
    errors = [f"{result.feed}: {error}" for result in results for error in result.errors]
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
    for error in table["errors"][:3]:
        complain(error)
    if as_json:
        typer.echo(json.dumps(table))
        return
    names = ("feed", "fetched", "parsed", "rejected", "stored", "bars", "lag")
    heads = (*names[:-1], "records to carry")
    show(heads, [[line[name] for name in names] for line in table["feeds"]])
    out.print(f"{table['totals']['stored']:,} rows stored in {table['elapsed_s']:.1f} s", highlight=False)


def _serve(node: Node, emulator: Emulator, plan: Plan, explicit: bool, quiet: bool) -> None:
    """The live page, fed by the emulator until asked to stop."""
    from carbon254.telemetry import configure_logging

    from .ports import listener
    from .serving import Served, carry
    from .streaming import Stream

    configure_logging(node.settings.log_level)
    served = Served(node, listener(node.settings.host, node.settings.port, explicit))
    stream = Stream(node, emulator, plan.seed, plan.live_from)
    carry(node, served, stream, lambda: None if quiet else _point(served.url, node))


def _point(url: str, node: Node) -> None:
    root = node.workspace.root
    where = "" if root == stored_default().resolve() else f" --workspace {os.path.relpath(root)}"
    question = '"SELECT market, max(interval_end) FROM current_prices GROUP BY market"'
    out.print(f"\nlive page: [bold]{url}[/bold]   API: {url}/docs", highlight=False, soft_wrap=True)
    command = "c254" if shutil.which("c254") else os.path.relpath(sys.argv[0])
    out.print(f"ask it:    {command} sql{where} {question}", highlight=False, soft_wrap=True)
    out.print("the last hour arrives now in quick steps, then each interval as it is published; stop with ctrl-C")
