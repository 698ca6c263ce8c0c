"""`c254 prices` and `c254 ladder`: prices now, at a past moment, at a settlement rung, or between two rungs."""

from __future__ import annotations

import json
import os
import warnings
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from carbon254.errors import Carbon254Error, RunsMixed

from .console import (
    DEFAULT_WORKSPACE,
    AsJson,
    Workspace,
    Zone,
    form_of,
    market_day,
    moment,
    say,
    show,
    stamp,
    zone_of,
)

if TYPE_CHECKING:
    from carbon254.reader import Result

_COLUMNS = ("market_run", "location", "interval_start", "lmp", "congestion", "loss", "known_at", "known_basis")
_INSTANTS = ("interval_start", "known_at")
_CHANGE = ("market_run", "location", "interval_start", "lmp_from", "lmp_to", "change", "known_from", "known_to")

Market = Annotated[str, typer.Argument(help="Market, e.g. MISO.")]
AsOf = Annotated[str, typer.Option("--as-of", help="What was known then; ISO 8601, read in --tz.")]
Rung = Annotated[str, typer.Option("--rung", help="What was known at this settlement rung, e.g. S14.")]
Against = Annotated[str, typer.Option("--against", help="A later rung: show the change from --rung to it.")]
Basis = Annotated[
    str, typer.Option("--basis", help="published (by known_at), strict (no assumed times) or received (by arrival).")
]


def prices(
    market: Market,
    start: Annotated[str, typer.Argument(help="ISO 8601, included; a date is its midnight in --tz.")],
    end: Annotated[str, typer.Argument(help="Not included.")],
    location: Annotated[
        list[str] | None, typer.Argument(help="Names or ids of places; all where none is given.")
    ] = None,
    run: Annotated[str | None, typer.Option("--run", help="Market run, e.g. DAM.")] = None,
    as_of: AsOf = "",
    rung: Rung = "",
    against: Against = "",
    basis: Basis = "",
    form: Annotated[str, typer.Option("--format", help="table, csv, json (one object a line) or arrow.")] = "table",
    tz: Zone = "UTC",
    workspace: Workspace = DEFAULT_WORKSPACE,
) -> None:
    """Interval prices of a span: current, as known at a moment, at a settlement rung, or the change between two.

    Name the run where several answer: they are told on standard error, and refused with C254_STRICT=1.
    Example: `c254 prices MISO 2025-07-01 2025-07-02 INDIANA.HUB --rung S7 --against S105`
    """
    if against and not rung:
        raise typer.BadParameter("--against needs --rung: the earlier of the two, e.g. --rung S7 --against S105")
    form = form_of(form, "table")
    if form == "table" and not against:
        asked = {"market": market, "start": start, "end": end, "location": location, "run": run}
        if _told_by_node(workspace, asked | {"as_of": as_of, "rung": rung, "basis": basis, "tz": tz}):
            return
    import carbon254
    from carbon254.calendars import market as market_named

    zone = zone_of(market_named(market).clock if tz.lower() == "market" else tz).key
    span, places = (moment(start, zone), moment(end, zone)), location or []
    with carbon254.open(workspace) as reader, warnings.catch_warnings():
        # What is warned of stands in the note, which is printed.
        warnings.simplefilter("ignore", RunsMixed)
        if against:
            _print(reader.change(market, *span, rung, against, places, run=run), _CHANGE, form, zone)
            return
        then = moment(as_of, zone) if as_of else None
        found = reader.prices(market, *span, places, run=run, as_of=then, rung=rung, basis=basis)
        _print(found, _COLUMNS, form, zone)


def ladder(
    market: Market,
    day: Annotated[str, typer.Option("--day", help="Market day: adds when each rung is reached.")] = "",
    as_json: AsJson = False,
) -> None:
    """A market's settlement ladder and day-ahead gate, and how sure we are of each step.

    Example: `c254 ladder MISO --day 2025-07-01`
    """
    from carbon254.api.vintages import ladder_facts, rungs_of_day

    facts = ladder_facts(market)
    days = rungs_of_day(market, market_day(day), datetime.now(UTC)) if day else []
    if as_json:
        told = [row | {"reached_at": stamp(row["reached_at"])} for row in days]
        typer.echo(json.dumps(facts | ({"of_day": told} if day else {})))
        return
    reached = {row["rung"]: (row["reached_at"], row["reached"]) for row in days}
    heads = ("rung", "set", "meaning", "basis", "source", *(("reached at", "reached") if day else ()))
    show(heads, [(*(rung[name] for name in heads[:5]), *reached.get(rung["rung"], ())) for rung in facts["rungs"]])
    gate = facts["gate"]
    say(f"day-ahead gate: {gate['time']} {gate['clock']}, {gate['days_before']} day before [{gate['basis']}]")
    say("basis: P primary source, S secondary, K not looked up. No rung is the last: operators restate years later.")


def _told_by_node(workspace: Path, asked: dict[str, Any]) -> bool:
    """Print what a running node answers, where it does and plain JSON holds it all; whether it did.

    What a node refuses, and what is refused here alone, is told by the longer way.
    """
    from .asking import ask, node_of

    url = node_of(workspace)
    if not url or os.environ.get("C254_STRICT"):
        return False
    try:
        found = ask(url, "/v1/prices", **asked)
    except Carbon254Error:
        return False
    if found["truncated"]:
        return False
    rows = [[_cell(name, row[name]) for name in _COLUMNS] for row in found["rows"]]
    show(_COLUMNS, rows)
    say(f"{len(rows):,} rows")
    if found.get("note"):
        say(found["note"])
    return True


def _cell(name: str, value: Any) -> Any:
    return datetime.fromisoformat(value) if value is not None and name in _INSTANTS else value


def _print(found: Result, columns: tuple[str, ...], form: str, zone: str) -> None:
    from .printing import Printer, told_in

    frame = found.to_polars()
    if form == "table":
        told = told_in(frame.select(columns), zone)
        show(told.columns, told.iter_rows())
        say(f"{frame.height:,} rows")
    else:
        printer = Printer(form)
        printer.write(frame, zone)
        printer.close()
    if found.note:
        say(found.note)
