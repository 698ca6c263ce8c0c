"""`c254`: every command. What is heavy is imported by the command that needs it."""

from __future__ import annotations

from typing import Annotated

import typer

from carbon254 import __version__

from . import (
    bootstrap,
    calendar,
    demo,
    dlq,
    doctor,
    feeds,
    generate,
    holding,
    instruments,
    lake,
    node,
    places,
    proving,
    quality,
    services,
    sql,
    trading,
    units,
    vintages,
)
from .console import group

app = group("Market prices from wire bytes to SQL, Python and a live page.\n\nStart with: `c254 demo`")
app.add_typer(feeds.app, name="feeds")
app.add_typer(dlq.app, name="dlq")
app.add_typer(lake.app, name="lake")
app.add_typer(calendar.app, name="calendar")
app.add_typer(quality.app, name="quality")
quality.app.command()(holding.held)
quality.app.command()(holding.release)
app.add_typer(places.app, name="places")
app.add_typer(instruments.app, name="instruments")
for answer in (trading.holidays, trading.blocks, trading.gas, trading.contract, trading.strip):
    calendar.app.command()(answer)
app.command("up")(node.up)
app.command("serve")(services.serve)
app.command("bootstrap")(bootstrap.bootstrap)
app.command("stop")(node.stop)
app.command("status")(node.status)
app.command("logs")(node.logs)
app.command("demo")(demo.demo)
app.command("sql")(sql.sql)
app.command("prices")(vintages.prices)
app.command("ladder")(vintages.ladder)
app.command("verify")(proving.verify)
app.command("generate")(generate.generate)
app.command("emulator")(generate.emulator)
app.command("doctor")(doctor.doctor)
app.command("units", context_settings={"ignore_unknown_options": True})(units.units)


@app.callback(invoke_without_command=True)
def main(version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    """Market prices from wire bytes to SQL, Python and a live page."""
    if version:
        typer.echo(__version__)
        raise typer.Exit
