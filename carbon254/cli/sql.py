"""`c254 sql`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from .console import DEFAULT_WORKSPACE, Workspace, Zone, say, show, zone_of


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
    import carbon254
    from carbon254.api.cells import readable_frame

    if tz == "market":
        raise typer.BadParameter("a statement may span markets; name a zone, like America/Chicago")
    zone_of(tz)
    statement = query or (file.read_text("utf-8") if file else sys.stdin.read())
    if not statement.strip():
        raise typer.BadParameter("there is no statement; write it behind the command, or name a file with --file")
    with carbon254.open(workspace) as reader:
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
    elif form in ("csv", "json", "arrow"):
        from .printing import Printer

        printer = Printer(form)
        printer.write(found, tz)
        printer.close()
    else:
        raise typer.BadParameter("--format is table, csv, json or arrow")
