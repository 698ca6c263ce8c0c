"""`c254 doctor`: what is well, what is not, and what to do about it."""

from __future__ import annotations

import shutil
import socket
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import typer

from .console import DEFAULT_WORKSPACE, Workspace, out

_PACKAGES = ("polars", "pyarrow", "chdb", "clickhouse-connect", "pyiceberg", "apsw", "httpx2", "fastapi")
_LOW_DISK_GB = 2.0
_PORT = 8254

Finding = tuple[str, str, str]


def doctor(workspace: Workspace = DEFAULT_WORKSPACE) -> None:
    """Check the machine, the workspace and the feeds' keys; exit 1 if something cannot work.

    Example: `c254 doctor --workspace workspace`
    """
    failed = False
    marks = {"ok": "[green]ok[/green]  ", "warn": "[yellow]warn[/yellow]", "fail": "[red]fail[/red]"}
    checks: tuple[Callable[[Path], Iterator[Finding]], ...] = (_python, _packages, _zones, _workspace, _port, _keys)
    for check in checks:
        for verdict, what, advice in check(workspace):
            out.print(
                f"{marks[verdict]}  {what}" + (f"  →  {advice}" if advice else ""), highlight=False, soft_wrap=True
            )
            failed |= verdict == "fail"
    raise typer.Exit(1 if failed else 0)


def _python(_: Path) -> Iterator[Finding]:
    good = sys.version_info >= (3, 11)
    yield ("ok" if good else "fail", f"Python {sys.version.split()[0]}", "" if good else "install Python 3.11 or newer")


def _packages(_: Path) -> Iterator[Finding]:
    for name in _PACKAGES:
        try:
            yield "ok", f"{name} {version(name)}", ""
        except PackageNotFoundError:
            yield "fail", f"{name} is missing", "install from requirements.txt: scripts/install"


def _zones(_: Path) -> Iterator[Finding]:
    from carbon254.calendars import zone as zone_named
    from carbon254.errors import BadLabel
    from carbon254.feeds import feeds

    for zone in sorted({found.stream.clock for found in feeds().values()}):
        try:
            zone_named(zone)
        except BadLabel:
            yield "fail", f"time zone {zone} is unknown", "install the tzdata package"
            return
    yield "ok", "time zones of every feed", ""


def _workspace(path: Path) -> Iterator[Finding]:
    from carbon254.errors import Carbon254Error
    from carbon254.workspace import Workspace as Folder

    there = next(folder for folder in (path.resolve(), *path.resolve().parents) if folder.exists())
    free = shutil.disk_usage(there).free / 1e9
    yield (
        "warn" if free < _LOW_DISK_GB else "ok",
        f"{free:,.1f} GB free",
        "" if free >= _LOW_DISK_GB else "free some disk",
    )
    folder = Folder(path)
    if not folder.path("workspace.json").exists():
        yield "warn", f"no workspace at {folder.root}", "make one: c254 demo"
        return
    running = folder.running()
    if running:
        yield "ok", f"workspace {folder.root}, run by the node at {running.url}", ""
        return
    try:
        from carbon254.app import open_node

        from .console import settings_of

        with open_node(settings_of(path), {}) as node:
            node.hot.query("SELECT 1")
        yield "ok", f"workspace {folder.root} opens", ""
    except Carbon254Error as error:
        yield "fail", f"workspace {folder.root}", str(error)


def _port(_: Path) -> Iterator[Finding]:
    with socket.socket() as probe:
        taken = probe.connect_ex(("127.0.0.1", _PORT)) == 0
    yield (
        ("warn", f"port {_PORT} is taken", "c254 up takes the next free one")
        if taken
        else ("ok", f"port {_PORT} is free", "")
    )


def _keys(_: Path) -> Iterator[Finding]:
    from carbon254.feeds import feeds

    from .console import secrets

    have = secrets()
    for provider in {found.stream.provider.id: found.stream.provider for found in feeds().values()}.values():
        missing = [name for name in provider.access.env if name not in have]
        if missing:
            yield (
                "warn",
                f"{provider.name} needs a key on the internet",
                f"set {' and '.join(missing)} ({provider.access.where})",
            )
