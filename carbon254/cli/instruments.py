"""`c254 instruments …`: what the symbols of pushed ticks are prices of: commodity, region, product tier, place, unit.

Kept in the reference store, which is a database of its own: these commands work beside a running node, which takes up
what they change with its next payload.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from carbon254.nearest import pick

from .console import (
    DEFAULT_WORKSPACE,
    AsJson,
    Workspace,
    cell,
    complain,
    existing,
    group,
    out,
    plain,
    say,
    tell,
    to_write,
)
from .listjournal import written_down
from .places import reference_of

if TYPE_CHECKING:
    import polars as pl

app = group("Instruments: list, show, import.")
_LISTED = ("instrument", "name", "commodity", "region", "product_tier", "market", "location_id", "unit", "source")
_UNKNOWN = """SELECT instrument, tenant, source, market, count() AS ticks, max(event_time) AS last
FROM market_ticks WHERE bitAnd(flags, {flag}) != 0 GROUP BY ALL ORDER BY ticks DESC, instrument"""


@app.command("list")
def list_instruments(
    market: Annotated[str, typer.Option("--market", "-m", help="Only of this market or exchange.")] = "",
    commodity: Annotated[str, typer.Option("--commodity", help="Only of this commodity, like power.")] = "",
    unknown: Annotated[
        bool, typer.Option("--unknown", help="Instead: what stored ticks name and no list has.")
    ] = False,
    limit: Annotated[int, typer.Option(help="At most so many; 0 for all.")] = 100,
    as_json: AsJson = False,
    workspace: Workspace = DEFAULT_WORKSPACE,
) -> None:
    """Instruments that are listed, with what ticks of them are enriched with; or those that ticks name and none lists.

    Example: `c254 instruments list --commodity natural_gas`, or `c254 instruments list --unknown`
    """
    if unknown:
        _unknown(workspace, limit, as_json)
        return
    with reference_of(workspace) as reference:
        everything = reference.instruments()
        found = reference.instruments(
            _among(everything, "market", market) if market else None,
            _among(everything, "commodity", commodity) if commodity else None,
        )
        facts = reference.instrument_facts().select("instrument", "commodity", "region", "product_tier")
    shown = found.drop("commodity", "region", "product_tier").join(facts, on="instrument", maintain_order="left")
    cut = shown.head(limit) if limit > 0 else shown
    tell(_LISTED, cut.select(_LISTED).iter_rows(), as_json)
    if not as_json:
        say(f"{cut.height:,} of {shown.height:,} instruments")


def _among(listed: pl.DataFrame, column: str, name: str) -> str:
    """The name as it is kept. Raises UnknownName with the nearest ones."""
    return pick(f"{column} of an instrument", name, listed[column].drop_nulls().unique().sort().to_list())


@app.command()
def show(
    instrument: Annotated[str, typer.Argument(help="The instrument, as ticks name it.")],
    as_json: AsJson = False,
    workspace: Workspace = DEFAULT_WORKSPACE,
) -> None:
    """One instrument: what it is, where it stands in the taxonomy, and every fact that is kept of it.

    Example: `c254 instruments show POWER_SP15_REAL_TIME`
    """
    import polars as pl

    with reference_of(workspace) as reference:
        found = reference.instrument(instrument)
        enriched = reference.instrument_facts().filter(pl.col("instrument") == instrument).row(0, named=True)
        facts = reference.metadata("instrument", instrument)
        path = [enriched[name] for name in ("commodity", "region", "product_tier") if enriched[name]]
        below = reference.taxonomy("/".join(path[:2]))["path"].to_list()
    told = found | enriched | {"taxonomy": "; ".join(below)} | dict(facts.select("key", "value").iter_rows())
    if as_json:
        sys.stdout.write(json.dumps(told, default=cell) + "\n")
        return
    for key, value in told.items():
        if text := cell(value):
            out.print(f"{key:>14}  {plain(text)}", highlight=False, markup=False, soft_wrap=True)


@app.command("import")
def import_instruments(
    file: Annotated[Path, typer.Argument(help="CSV, JSON lines or Parquet.", exists=True, dir_okay=False)],
    new: Annotated[
        bool, typer.Option("--new-commodities", help="Commodities that the taxonomy lacks are no typing errors.")
    ] = False,
    source: Annotated[str, typer.Option("--source", help="Where this is from; kept with what it changes.")] = "",
    as_json: AsJson = False,
    workspace: Workspace = DEFAULT_WORKSPACE,
) -> None:
    """Take a list of instruments in. Columns: instrument, commodity; optional name, market, region, location_id,
    product, product_tier, unit; other columns are kept as facts.

    The same list again changes nothing; ticks that come later are enriched with it, stored ones by a replay. Rows that
    cannot be taken become dead letters; the rest is taken in. Example: `c254 instruments import desk.csv`
    """
    from . import instrumentlists, placelists

    data = file.read_bytes()
    frame, unread = placelists.read(file.name, data)
    with reference_of(workspace, make=True) as reference:
        told = {"name": file.name, "source": source or file.name, "new": new}
        with written_down(to_write(workspace), reference, "instruments", told, data):
            done = instrumentlists.load(reference, frame, source or file.name, new)
    rejects = placelists.keep(workspace, "instruments", done.loaded, unread, data)
    counts = {"rows": done.rows, "news": done.news, "rejected": rejects.height}
    if as_json:
        sys.stdout.write(json.dumps(counts) + "\n")
    else:
        tell(tuple(counts), [tuple(counts.values())], False)
    for line, reason, _ in rejects.head(20).iter_rows():
        complain(f"line {line}: {reason}")
    if rejects.height:
        say("every rejected row is a dead letter: c254 dlq list --feed reference")
        raise typer.Exit(3)


def _unknown(workspace: Path, limit: int, as_json: bool) -> None:
    import carbon254
    from carbon254.model import Flag

    with carbon254.open(existing(workspace)) as reader:
        found = reader.sql(_UNKNOWN.format(flag=Flag.UNKNOWN_INSTRUMENT.value)).to_polars()
    cut: pl.DataFrame = found.head(limit) if limit > 0 else found
    tell(tuple(found.columns), cut.iter_rows(), as_json)
    if not as_json and found.height:
        say("list them with: c254 instruments import FILE; stored ticks take it up with: c254 feeds replay")
