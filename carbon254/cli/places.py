"""`c254 places …`: what places there are and were, under which names; lists of them, renames and merges.

The reference store is a database of its own: these commands work beside a running node, which takes up what they change
with its next payload.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .console import (
    DEFAULT_WORKSPACE,
    AsJson,
    NewWorkspace,
    Workspace,
    cell,
    complain,
    group,
    moment,
    out,
    plain,
    say,
    show,
    to_read,
    to_write,
)
from .listjournal import written_down

if TYPE_CHECKING:
    import polars as pl

    from carbon254.stores.reference import Reference, Resolved

app = group("Places: list, resolve, history, load, rename, merge, split.")
Market = Annotated[str, typer.Option("--market", "-m", help="Market, as the feeds call it, like PJM.")]
AsOf = Annotated[str, typer.Option("--as-of", help="As of this instant, or midnight of a market day; else the latest.")]
At = Annotated[str, typer.Option("--at", help="When it happened: an instant, or midnight of a market day.")]
Source = Annotated[str, typer.Option("--source", help="Where this is from; kept with what it changes.")]
_HISTORY = ("kind", "location_id", "name", "type", "region", "valid_from", "valid_to", "source", "attributes")


@app.command("list")
def list_places(
    market: Annotated[str, typer.Option("--market", "-m", help="Only of this market.")] = "",
    kind: Annotated[str, typer.Option("--kind", help="nodes, hubs, zones, constraints, or all.")] = "all",
    as_of: AsOf = "",
    limit: Annotated[int, typer.Option(help="At most so many; 0 for all.")] = 100,
    as_json: AsJson = False,
    workspace: Workspace = DEFAULT_WORKSPACE,
) -> None:
    """Places that are listed, now or as of a moment.

    Example: `c254 places list --market PJM --kind hubs --as-of 2025-07-01`
    """
    with reference_of(workspace) as reference:
        market = _market(reference, market) if market else ""
        found = reference.places(kind, market or None, _moment(as_of, market))
    shown = found.head(limit) if limit > 0 else found
    _table(shown, ("market", *_HISTORY[:-2]), as_json)
    if not as_json:
        say(f"{shown.height:,} of {found.height:,} places")


@app.command()
def resolve(
    name: Annotated[str, typer.Argument(help="An id, a name, or a name it once had.")],
    market: Market,
    as_of: AsOf = "",
    as_json: AsJson = False,
    workspace: Workspace = DEFAULT_WORKSPACE,
) -> None:
    """Which place a name means, through renames and merges; retired ones too.

    Example: `c254 places resolve "WESTERN HUB" --market PJM`
    """
    with reference_of(workspace) as reference:
        market = _market(reference, market)
        found = reference.resolve(market, name, _moment(as_of, market))
        names = reference.names(market, found.location_id)
    facts = _facts(found) | {"names": names}
    if as_json:
        sys.stdout.write(json.dumps(facts | {"attributes": dict(found.attributes)}, default=cell) + "\n")
        return
    for key, value in facts.items():
        told = "; ".join(map(str, value)) if isinstance(value, list) else cell(value)
        if told:
            out.print(f"{key:>12}  {plain(told)}", highlight=False, markup=False, soft_wrap=True)


@app.command()
def history(
    name: Annotated[str, typer.Argument(help="An id, or a name.")],
    market: Market,
    as_json: AsJson = False,
    workspace: Workspace = DEFAULT_WORKSPACE,
) -> None:
    """Every version of a place, and what it came from and became.

    Example: `c254 places history 51288 --market PJM`
    """
    with reference_of(workspace) as reference:
        market = _market(reference, market)
        found = reference.history(market, name)
        links = reference.links(market, found["location_id"][0])
    _table(found, _HISTORY, as_json)
    for link in links if not as_json else ():
        say(f"{link.kind} at {cell(link.at)}: {link.from_id} → {link.to_id}")


@app.command()
def load(
    file: Annotated[Path, typer.Argument(help="CSV, JSON lines or Parquet.", exists=True, dir_okay=False)],
    market: Market,
    kind: Annotated[str, typer.Option("--kind", help="nodes, hubs, zones or constraints.")] = "nodes",
    effective: Annotated[
        str, typer.Option(help="Holds from here: an instant, or a market day. Without it new places are since ever.")
    ] = "",
    complete: Annotated[
        bool, typer.Option("--complete", help="The list has every place of the kind: those not on it end.")
    ] = False,
    source: Source = "",
    as_json: AsJson = False,
    workspace: NewWorkspace = DEFAULT_WORKSPACE,
) -> None:
    """Take a list of places in. Columns: location_id; optional name, type, region, valid_from, valid_to; attributes.

    The same list again changes nothing. Rows that cannot be taken become dead letters; the rest is loaded.
    Example: `c254 places load pnodes.csv --market PJM --effective 2025-06-01 --complete`
    """
    from carbon254.stores.reference import market_name

    from . import placelists

    data = file.read_bytes()
    frame, unread = placelists.read(file.name, data)
    if complete and unread.height:
        say(f"{unread.height:,} lines could not be read, so nothing is retired: mend them, and load the list again")
    with reference_of(workspace, make=True) as reference:
        market = _market(reference, market)
        at, asked = _moment(effective, market), complete and not unread.height
        told = {"list": kind, "market": market, "name": file.name, "source": source or file.name, "complete": asked,
                "effective": at.isoformat() if at else ""}  # fmt: skip
        with written_down(to_write(workspace), reference, "places", told, data) as now:
            loaded = reference.load(kind, market, frame, at, source or file.name, asked, now)
    rejects = placelists.keep(workspace, f"{market_name(market)} {kind}", loaded, unread, data)
    counts = dict(zip(("opened", "closed", "corrected"), loaded.counts, strict=True))
    counts |= {"unchanged": loaded.unchanged, "rejected": rejects.height}
    if as_json:
        sys.stdout.write(json.dumps(counts) + "\n")
    else:
        show(tuple(counts), [tuple(counts.values())])
    for line, reason, _ in rejects.head(20).iter_rows():
        complain(f"line {line}: {reason}")
    if rejects.height:
        say("every rejected row is a dead letter: c254 dlq list --feed reference")
        raise typer.Exit(3)


@app.command()
def rename(
    old: Annotated[str, typer.Argument(help="The id it had.")],
    new: Annotated[str, typer.Argument(help="The id it has.")],
    market: Market,
    at: At,
    name: Annotated[str, typer.Option(help="Its new name; else it keeps the one it has.")] = "",
    source: Source = "",
    workspace: Workspace = DEFAULT_WORKSPACE,
) -> None:
    """A place has a new id from a moment on; the old one still finds it.

    Example: `c254 places rename OLD_NODE NEW_NODE --market SPP --at 2025-07-01`
    """
    with reference_of(workspace, writing=True) as reference:
        market = _market(reference, market)
        when = _when(at, market)
        told = {"market": market, "old": old, "new": new, "when": when.isoformat(), "source": source,
                "name": name or None}  # fmt: skip
        with written_down(to_write(workspace), reference, "rename", told) as now:
            reference.rename(market, old, new, when, source, name or None, now)
    say(f"{old} is {new} from {at}")


@app.command()
def merge(
    olds: Annotated[list[str], typer.Argument(help="The ids that end.")],
    into: Annotated[str, typer.Option("--into", help="The id they are part of.")],
    market: Market,
    at: At,
    source: Source = "",
    workspace: Workspace = DEFAULT_WORKSPACE,
) -> None:
    """Places become part of another from a moment on; their names still find it.

    Example: `c254 places merge NODE_A NODE_B --into NODE_C --market SPP --at 2025-07-01`
    """
    with reference_of(workspace, writing=True) as reference:
        market = _market(reference, market)
        when = _when(at, market)
        told = {"market": market, "olds": olds, "into": into, "when": when.isoformat(), "source": source}
        with written_down(to_write(workspace), reference, "merge", told) as now:
            reference.merge(market, olds, into, when, source, now)
    say(f"{', '.join(olds)} are part of {into} from {at}")


@app.command()
def split(
    old: Annotated[str, typer.Argument(help="The id that ends.")],
    into: Annotated[list[str], typer.Option("--into", help="An id that comes after it; once for each.")],
    market: Market,
    at: At,
    source: Source = "",
    workspace: Workspace = DEFAULT_WORKSPACE,
) -> None:
    """A place becomes several from a moment on; it still resolves, and names them.

    Example: `c254 places split NODE_C --into NODE_A --into NODE_B --market SPP --at 2025-07-01`
    """
    with reference_of(workspace, writing=True) as reference:
        market = _market(reference, market)
        when = _when(at, market)
        told = {"market": market, "old": old, "into": into, "when": when.isoformat(), "source": source}
        with written_down(to_write(workspace), reference, "split", told) as now:
            reference.split(market, old, into, when, source, now)
    say(f"{old} is {', '.join(into)} from {at}")


@contextmanager
def reference_of(workspace: Path, make: bool = False, writing: bool = False) -> Iterator[Reference]:
    """The reference store of a workspace, with what the feeds list. `make` makes the workspace where there is none;
    without `writing` the workspace may be one that may only be read."""
    from carbon254.stores.reference import open_reference
    from carbon254.workspace import Workspace as Folder

    from .console import settings_of

    if make:
        Folder(workspace).create()
    workspace = to_write(workspace) if writing or make else to_read(workspace)
    settings = settings_of(workspace)
    with open_reference(settings.reference_at(Folder(workspace).path("reference.db"))) as reference:
        if not reference.version():
            from .placelists import seed

            seed(reference, workspace)
        yield reference


def _market(reference: Reference, name: str) -> str:
    """A market that has a feed or a calendar, or places already. Raises UnknownName with the nearest ones."""
    from carbon254.calendars import markets
    from carbon254.feeds import feeds
    from carbon254.nearest import pick
    from carbon254.stores.reference import market_name

    known = {market_name(one.stream.market) for one in feeds().values()} | set(map(market_name, markets()))
    return pick("market", market_name(name), sorted(known | set(reference.markets())))


def _moment(text: str, market: str) -> datetime | None:
    return _when(text, market) if text else None


def _when(text: str, market: str) -> datetime:
    """An instant; a bare date or time is the market's own. Raises BadParameter."""
    from carbon254.feeds import feeds
    from carbon254.stores.reference import market_name

    named = market_name(market) if market else ""
    clocks = [one.stream.clock for one in feeds().values() if one.stream.market == named]
    return moment(text, clocks[0] if clocks else "UTC")


def _facts(found: Resolved) -> dict[str, Any]:
    via = [f"{link.kind} {link.from_id} → {link.to_id} at {cell(link.at)}" for link in found.via]
    return {
        "location_id": found.location_id,
        "name": found.name,
        "market": found.market,
        "kind": found.kind,
        "type": found.type,
        "region": found.region,
        "valid_from": found.valid_from,
        "valid_to": found.valid_to,
        "retired": found.retired,
        "matched": found.matched,
        "via": via,
        "successors": list(found.successors),
        "attributes": [f"{key}={value}" for key, value in found.attributes.items()],
    }


def _table(frame: pl.DataFrame, columns: tuple[str, ...], as_json: bool) -> None:
    if not as_json:
        show(columns, frame.select(columns).iter_rows())
        return
    from .printing import as_text

    sys.stdout.write(as_text(frame).write_ndjson())
