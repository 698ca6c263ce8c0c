"""`c254 up | stop | status | logs`: a node, in the foreground or in the background."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from .console import DEFAULT_WORKSPACE, EmulatorUrl, NewWorkspace, Workspace, err, existing, fail, out

_LOG = "node.log"
_CONSUMERS = ("normalise", "project", "bars", "lake")
_START_TIMEOUT_S = 60.0
_STOP_TIMEOUT_S = 60.0

Port = Annotated[
    int | None, typer.Option(help="Port to listen on, 0 for any free one; without it 8254, or the next free one.")
]


def up(
    workspace: NewWorkspace = DEFAULT_WORKSPACE,
    port: Port = None,
    emulator_url: EmulatorUrl = "",
    feed: Annotated[list[str] | None, typer.Option(help="Poll only these feeds; all that can be reached else.")] = None,
    poll: Annotated[bool, typer.Option(help="Poll the feeds.")] = True,
    only: Annotated[
        list[str] | None, typer.Option(help="Run only these consumers: normalise, project, bars, lake.")
    ] = None,
    detach: Annotated[bool, typer.Option(help="Run in the background; see c254 logs, c254 stop.")] = False,
) -> None:
    """Start a node: consumers, API and the live page on 127.0.0.1.

    Example: `c254 up --workspace workspace --feed iso.rt.lmp.nyiso`
    """
    from carbon254.feeds import feed as find
    from carbon254.nearest import pick

    feed = [find(topic).topic for topic in feed or ()]
    only = [pick("consumer", name, _CONSUMERS) for name in only or ()]
    if detach:
        return _background(workspace)
    from carbon254.app import SHARES, base_urls, open_node
    from carbon254.poller import Poller, reachable
    from carbon254.telemetry import configure_logging

    from .console import secrets, settings_of
    from .origin import keep_apart
    from .serving import Served, carry, is_up, listener

    settings = settings_of(workspace, port=port, emulator_url=emulator_url)
    configure_logging(settings.log_level)
    listening = listener(settings.host, settings.port, explicit=bool(port))
    shares = {name: prefixes for name, prefixes in SHARES.items() if not only or name in only}
    with open_node(settings, secrets(), shares=shares) as node:
        topics = (feed or reachable(secrets(), base_urls(settings))) if poll and not only else []
        if topics:
            keep_apart(node.workspace, node.log, node.raw, settings)
        served = Served(node, listening, carries=only or ())
        poller = Poller(node.pipeline, node.clock, topics)
        carry(node, served, poller, lambda: is_up("carbon254", served.url), only or ())
    return None


def stop(workspace: Workspace = DEFAULT_WORKSPACE) -> None:
    """Stop the node that runs the workspace, and wait until it is down.

    Example: `c254 stop`
    """
    from carbon254.workspace import DEMO
    from carbon254.workspace import Workspace as Folder

    running = Folder(workspace).running()
    if running is None:
        demo = Folder(DEMO).running() if workspace != DEMO else None
        beside = f"; the demo runs in {DEMO}: c254 stop --workspace {DEMO}" if demo else ""
        err.print(f"no node runs {workspace}{beside}")
        return
    os.kill(running.pid, signal.SIGTERM)
    end = time.monotonic() + _STOP_TIMEOUT_S
    while Folder(workspace).running() is not None:
        if time.monotonic() > end:
            fail(f"process {running.pid} has not stopped yet; see: c254 logs")
        time.sleep(0.1)
    err.print("stopped")


def status(
    workspace: Workspace = DEFAULT_WORKSPACE,
    quiet: Annotated[bool, typer.Option(help="Print nothing: exit 0 if a node runs, 1 if none does.")] = False,
) -> None:
    """What the workspace holds, and whether a node runs.

    Example: `c254 status`
    """
    from carbon254.workspace import Workspace as Folder

    folder = Folder(workspace)
    running = folder.running()
    if quiet:
        raise typer.Exit(0 if running else 1)
    if not folder.path("workspace.json").exists():
        existing(workspace)
    where = f"node at {running.url} (process {running.pid})" if running else "no node runs it"
    kind = " of emulated data" if folder.emulated() else ""
    out.print(f"{folder.root}: {folder.size() / 1e6:,.1f} MB{kind}, {where}", highlight=False)
    from .books import standing

    standing(workspace, "")


def logs(
    workspace: Workspace = DEFAULT_WORKSPACE,
    lines: Annotated[int, typer.Option(help="The last so many lines.")] = 50,
) -> None:
    """What the node in the background wrote.

    Example: `c254 logs --lines 200`
    """
    path = workspace / _LOG
    if not path.exists():
        fail(f"{path} is not there; only a node in the background writes it: c254 up --detach")
    for line in path.read_text("utf-8", "replace").splitlines()[-lines:]:
        typer.echo(line)


def _background(workspace: Path) -> None:
    """The same command without --detach, in a session of its own, its output in the workspace."""
    from carbon254.workspace import Workspace as Folder

    folder = Folder(workspace)
    folder.create()
    arguments = [argument for argument in sys.argv[1:] if argument != "--detach"]
    with (workspace / _LOG).open("ab") as journal:
        child = subprocess.Popen(
            [sys.executable, "-m", "carbon254.cli", *arguments],
            stdout=journal,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
    end = time.monotonic() + _START_TIMEOUT_S
    # A node that ran the workspace before is not the one that was asked for.
    while (running := folder.running()) is None or running.pid != child.pid:
        if child.poll() is not None or time.monotonic() > end:
            logs(workspace, lines=5)
            fail("the node did not start; the lines above say why")
        time.sleep(0.1)
    out.print(f"carbon254 is up: [bold]{running.url}[/bold]  (c254 logs, c254 stop)", highlight=False)
