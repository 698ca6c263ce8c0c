"""`c254 up | stop | status | logs`: a node, in the foreground or in the background."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .console import DEFAULT_WORKSPACE, EmulatorUrl, NewWorkspace, Workspace, err, fail, out, plain

if TYPE_CHECKING:
    from carbon254.workspace import Running
    from carbon254.workspace import Workspace as Folder

_LOG = "node.log"
_CONSUMERS = ("normalise", "project", "bars", "lake")
_STALLED_S, _LONGEST_S = 60.0, 900.0
_LAST = 12
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
    from carbon254.memory import loading

    with loading():
        from carbon254.app import SHARES, open_node
        from carbon254.connections import base_urls
        from carbon254.poller import Poller, reachable
        from carbon254.telemetry import configure_logging

        from .console import secrets, settings_of
        from .origin import keep_apart
        from .ports import listener
        from .serving import Served, carry, is_up

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
    try:
        os.kill(running.pid, signal.SIGTERM)
    except ProcessLookupError:
        # It went by itself since we looked; what follows sees that.
        pass
    except PermissionError:
        fail(f"process {running.pid} runs as another user: stop it as that user", 2)
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
    folder.existing()
    where = f"node at {running.url} (process {running.pid})" if running else "no node runs it"
    kind = " of emulated data" if folder.emulated() else ""
    out.print(f"{folder.root}: {folder.size() / 1e6:,.1f} MB{kind}, {where}", highlight=False)
    from .standing import tell_condition, told_by

    tell_condition(folder, running)
    if running and told_by(running.url):
        return
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
        said_before = journal.tell()
        child = subprocess.Popen(
            [sys.executable, "-m", "carbon254.cli", *arguments],
            stdout=journal,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
    try:
        running = _started(folder, child)
    except BaseException as stopped:
        # Whoever asked goes away, or gives up: a node nobody waits for any more must not be left half started.
        if child.poll() is None:
            child.terminate()
        if isinstance(stopped, TimeoutError):
            _show_last(workspace / _LOG, said_before)
            fail(f"the node did not start: {stopped}")
        raise
    out.print(f"carbon254 is up: [bold]{running.url}[/bold]  (c254 logs, c254 stop)", highlight=False)


def _started(folder: Folder, child: subprocess.Popen[bytes]) -> Running:
    """The node, once it says where it is. Raises TimeoutError when it ended, or has not moved for a while.

    A busy machine makes a start slow, not wrong: it is waited for as long as it works or writes.
    """
    began = moved = time.monotonic()
    before = _progress(folder, child.pid)
    # A node that ran the workspace before is not the one that was asked for.
    while (running := folder.running()) is None or running.pid != child.pid:
        if (code := child.poll()) is not None:
            ended = f"signal {-code} ({signal.Signals(-code).name}) ended it" if code < 0 else f"it ended with {code}"
            raise TimeoutError(f"{ended}; the lines above are its last")
        if (now := _progress(folder, child.pid)) != before:
            moved, before = time.monotonic(), now
        elif time.monotonic() - moved > _STALLED_S:
            raise TimeoutError(f"process {child.pid} neither worked nor wrote anything for {_STALLED_S:.0f} s")
        if time.monotonic() - began > _LONGEST_S:
            raise TimeoutError(f"process {child.pid} works still, and was not ready within {_LONGEST_S:.0f} s")
        time.sleep(0.1)
    return running


def _progress(folder: Folder, pid: int) -> tuple[int, int]:
    """What moves while a node starts: processor ticks it used (known on Linux), and bytes that it wrote to its log."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()
        worked = int(fields[11]) + int(fields[12])
    except (OSError, IndexError):
        worked = 0
    log = folder.path(_LOG)
    return worked, log.stat().st_size if log.exists() else 0


def _show_last(log: Path, begin: int) -> None:
    """The last lines that were written since `begin` (bytes); says so where there are none."""
    with log.open("rb") as journal:
        journal.seek(begin)
        lines = journal.read().decode("utf-8", "replace").splitlines()
    for line in lines[-_LAST:] or [f"(it wrote nothing to {log})"]:
        err.print(plain(line), highlight=False, markup=False, soft_wrap=True)
