"""`c254 sql`."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path
from typing import Annotated

import typer

from carbon254.errors import RunsMixed

from .console import DEFAULT_WORKSPACE, Workspace, Zone, form_of, say, show, zone_of


def sql(
    query: Annotated[str, typer.Argument(help="One read-only statement; standard input where it is missing.")] = "",
    file: Annotated[
        Path | None, typer.Option("--file", "-f", help="Read the statement from a file.", exists=True, dir_okay=False)
    ] = None,
    form: Annotated[str, typer.Option("--format", help="table, csv, json (one object a line) or arrow.")] = "table",
    tz: Zone = "UTC",
    receipt: Annotated[
        Path | None, typer.Option(help="Write a receipt that `c254 verify --receipt` proves later.", dir_okay=False)
    ] = None,
    workspace: Workspace = DEFAULT_WORKSPACE,
) -> None:
    """Ask the workspace in SQL (ClickHouse dialect): through its running node, or by opening it.

    Example: `c254 sql "SELECT market, count() FROM interval_prices GROUP BY market"`
    """
    if tz.lower() == "market":
        raise typer.BadParameter("a statement may span markets; name a zone, like America/Chicago")
    # UTC needs no calendar, and loading them takes longer than a node's answer.
    tz, form = "UTC" if tz.upper() == "UTC" else zone_of(tz).key, form_of(form, "table")
    statement = query or (file.read_text("utf-8") if file else sys.stdin.read())
    if not statement.strip():
        raise typer.BadParameter("there is no statement; write it behind the command, or name a file with --file")
    from .asking import node_of

    url = node_of(workspace)
    if url and receipt is None and form != "arrow" and _asked(url, statement, form, tz):
        return
    import carbon254
    from carbon254.api.cells import readable_frame

    with carbon254.open(workspace) as reader, warnings.catch_warnings():
        # What is warned of stands in the note, which is printed.
        warnings.simplefilter("ignore", RunsMixed)
        answer = reader.sql(statement, receipt=receipt is not None)
    if receipt is not None and answer.receipt is not None:
        receipt.write_text(answer.receipt.to_json(), "utf-8")
        say(f"receipt: {receipt} ({answer.receipt.rows.count:,} rows, known at {answer.receipt.known_at})")
    found = answer.to_polars() if form == "arrow" else readable_frame(answer.to_arrow())
    if form == "table":
        from .printing import told_in

        told = told_in(found, tz)
        show(told.columns, told.iter_rows())
        say(f"{found.height:,} rows")
    else:
        from .printing import Printer

        printer = Printer(form)
        printer.write(found, tz)
        printer.close()
    if answer.note:
        say(answer.note)


def _asked(url: str, statement: str, form: str, tz: str) -> bool:
    """Print what the node answers, where JSON can tell it all; whether it could."""
    from . import asking

    found = asking.query(url, statement)
    if found is None:
        return False
    told = found if tz == "UTC" else asking.told_in(found, tz)
    if form == "table":
        show(told.names, told.rows)
        say(f"{len(told.rows):,} rows")
    else:
        asking.write(told, form)
    return True
