"""`c254`: every command. A command's module is imported when the command is named, or listed with all others."""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from importlib import import_module
from typing import Annotated, Any

import typer

from carbon254 import __version__

from .console import House, group

# Command → the function that answers it in a module of this package; or the group of commands.
_PLACES = {
    "up": "node:up",
    "serve": "services:serve",
    "bootstrap": "bootstrap:bootstrap",
    "stop": "node:stop",
    "status": "node:status",
    "logs": "node:logs",
    "demo": "demo:demo",
    "sql": "sql:sql",
    "prices": "vintages:prices",
    "ladder": "vintages:ladder",
    "verify": "proving:verify",
    "generate": "generate:generate",
    "emulator": "generate:emulator",
    "doctor": "doctor:doctor",
    "upgrade": "upgrade:upgrade",
    "rebuild": "rebuild:rebuild",
    "units": "units:units",
    "feeds": "feeds:app",
    "dlq": "dlq:app",
    "lake": "lake:app",
    "calendar": "calendar:app",
    "quality": "quality:app",
    "places": "places:app",
    "instruments": "instruments:app",
}
_SETTINGS = {"units": {"ignore_unknown_options": True}}


class _Loaded(MutableMapping[str, Any]):
    """Commands by name, each made when it is first asked for."""

    def __init__(self) -> None:
        self._made: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in self._made:
            self._made[name] = _make(name, _PLACES[name])
        return self._made[name]

    def __setitem__(self, name: str, command: Any) -> None:
        self._made[name] = command

    def __delitem__(self, name: str) -> None:
        del self._made[name]

    def __contains__(self, name: object) -> bool:
        return name in self._made or name in _PLACES

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys((*_PLACES, *self._made)))

    def __len__(self) -> int:
        return sum(1 for _ in self)


def _make(name: str, place: str) -> Any:
    module, _, attribute = place.partition(":")
    found = getattr(import_module(f"{__package__}.{module}"), attribute)
    holder = group("")
    if isinstance(found, typer.Typer):
        holder.add_typer(found, name=name)
    else:
        holder.command(name, context_settings=_SETTINGS.get(name))(found)
    return typer.main.get_group(holder).commands[name]


class Commands(House):
    """The group of all commands."""

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        self.commands = _Loaded()


app = group("Market prices from wire bytes to SQL, Python and a live page.\n\nStart with: `c254 demo`", Commands)


@app.callback(invoke_without_command=True)
def main(version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    """Market prices from wire bytes to SQL, Python and a live page."""
    if version:
        typer.echo(__version__)
        raise typer.Exit
