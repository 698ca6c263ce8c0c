"""`c254 sql` and `c254 verify`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from .console import DEFAULT_WORKSPACE, AsJson, Workspace, Zone, complain, fail, out, say, show, zone_of


def sql(
    query: Annotated[str, typer.Argument(help="One read-only statement; standard input where it is missing.")] = "",
    file: Annotated[
        Path | None, typer.Option("--file", "-f", help="Read the statement from a file.", exists=True, dir_okay=False)
    ] = None,
    form: Annotated[str, typer.Option("--format", help="table, csv, json (one object a line) or arrow.")] = "table",
    tz: Zone = "UTC",
    workspace: Workspace = DEFAULT_WORKSPACE,
) -> None:
    """Ask the workspace in SQL (ClickHouse dialect): through its running node, or by opening it.

    Example: `c254 sql "SELECT market, count() FROM interval_prices GROUP BY market"`
    """
    import carbon254

    if tz == "market":
        raise typer.BadParameter("a statement may span markets; name a zone, like America/Chicago")
    zone_of(tz)
    statement = query or (file.read_text("utf-8") if file else sys.stdin.read())
    if not statement.strip():
        raise typer.BadParameter("there is no statement; write it behind the command, or name a file with --file")
    with carbon254.open(workspace) as reader:
        found = reader.sql(statement).to_polars()
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


def verify(
    hashes: Annotated[
        bool, typer.Option("--hash", help="Canonical hash of each table, whatever the order of arrival.")
    ] = False,
    workspace: Workspace = DEFAULT_WORKSPACE,
    as_json: AsJson = False,
) -> None:
    """Check every stored byte against its checksum; with --hash print the tables' canonical hashes.

    Two workspaces that saw the same arrivals have the same hashes; batch ids do not count. Needs the workspace to
    itself. Example: `c254 verify --hash`
    """
    from carbon254.app import open_node
    from carbon254.errors import CorruptPayload
    from carbon254.model import catalogue

    from .console import existing, progress, secrets, settings_of

    with open_node(settings_of(existing(workspace)), secrets()) as node:
        node.runner.drain()
        if hashes:
            rows = [(name, node.hot.count(name), node.hot.hash(name)) for name in catalogue()]
            if as_json:
                typer.echo(json.dumps({name: {"rows": count, "hash": digest} for name, count, digest in rows}))
            else:
                show(("table", "rows", "hash"), rows)
            return
        problems = node.log.check()
        ids = list(node.raw.ids())
        with progress("payloads", len(ids)) as advance:
            for done, sha256 in enumerate(ids, start=1):
                try:
                    node.raw.get(sha256)
                except CorruptPayload as error:
                    problems.append(str(error))
                advance(done)
    for problem in problems:
        complain(problem)
    if problems:
        fail(f"{len(problems)} problems")
    out.print(f"{len(ids):,} payloads and the log are sound", highlight=False)
