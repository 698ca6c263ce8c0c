"""`c254 rebuild STORE`: a store that was lost, emptied or swapped, made again from what is left."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from .console import DEFAULT_WORKSPACE, Workspace, existing, progress, say, secrets, settings_of


class Store(StrEnum):
    """What can be made again."""

    hot = "hot"
    lake = "lake"
    ledger = "ledger"
    quality = "quality"
    reference = "reference"
    log = "log"


def rebuild(
    store: Annotated[Store, typer.Argument(case_sensitive=False, help="hot, lake, ledger, quality, reference or log.")],
    workspace: Workspace = DEFAULT_WORKSPACE,
) -> None:
    """Make a store again that was lost, emptied, or replaced by an older copy; nothing is fetched.

    `hot` and `lake` come from the raw payloads, and so do `ledger` and `log`; `quality` from judging finished days
    again; `reference` from the feeds' lists and those that were loaded. What people decided is taken from the journal
    beside the raw payloads. A store that lacks nothing comes out as it was. Needs the workspace to itself.
    `c254 status` and `c254 doctor` tell which store lacks something. Example: `c254 rebuild hot`
    """
    folder = existing(workspace)
    if store is Store.reference:
        from .listjournal import rebuild_reference

        say(f"the reference store was made again: {rebuild_reference(folder)}")
        return
    from carbon254.app import open_node
    from carbon254.engine.marking import LOG
    from carbon254.engine.noted import COMMANDS

    named = {command: name for name, command in COMMANDS.items()} | {"log": LOG}
    name = named[store.value]
    with open_node(settings_of(folder), secrets()) as node, progress(f"rebuilding the {name}") as advance:
        node.runner.drain()
        told = node.remaker().remake(name, advance)
    say(f"the {name} was made again: {told}")
