"""`c254 doctor`: what is well, what is not, and what to do about it."""

from __future__ import annotations

import os
import shutil
import socket
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import typer

from .console import DEFAULT_WORKSPACE, Workspace, out

_PACKAGES = ("polars", "pyarrow", "chdb", "clickhouse-connect", "pyiceberg", "apsw", "httpx2", "fastapi")
_LOW_DISK_GB = 2.0

Finding = tuple[str, str, str]


def doctor(workspace: Workspace = DEFAULT_WORKSPACE) -> None:
    """Check the machine, the workspace, the feeds' keys and providers; exit 1 if something cannot work.

    Example: `c254 doctor --workspace workspace`
    """
    failed = False
    marks = {"ok": "[green]ok[/green]  ", "warn": "[yellow]warn[/yellow]", "fail": "[red]fail[/red]"}
    checks: tuple[Callable[[Path], Iterator[Finding]], ...] = (
        _python, _packages, _zones, _workspace, _port, _keys, _providers,
    )  # fmt: skip
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
    from importlib.metadata import PackageNotFoundError, version

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
    from carbon254.disk import disk_trouble
    from carbon254.errors import Carbon254Error, DiskTrouble, NoWorkspace
    from carbon254.workspace import Workspace as Folder

    there = next(folder for folder in (path.resolve(), *path.resolve().parents) if folder.exists())
    free = shutil.disk_usage(there).free / 1e9
    yield (
        "warn" if free < _LOW_DISK_GB else "ok",
        f"{free:,.1f} GB free",
        "" if free >= _LOW_DISK_GB else "free some disk",
    )
    folder = Folder(path)
    try:
        folder.existing()
    except NoWorkspace:
        yield "warn", f"no workspace at {folder.root}", "make one: c254 demo"
        return
    except DiskTrouble as trouble:
        yield "fail", f"workspace {folder.root}", str(trouble)
        return
    running = folder.running()
    if running:
        yield "ok", f"workspace {folder.root}, run by the node at {running.url}", ""
        return
    try:
        from carbon254.app import open_node

        from .console import settings_of, to_read

        place = to_read(path)
        with open_node(settings_of(place), {}) as node:
            node.hot.query("SELECT 1")
            condition, identity = node.condition, node.workspace.identity
        for why in condition.lost.values():
            what, _, advice = why.partition("; make it again: ")
            yield "fail", what, advice
        for store, what in condition.notes.items():
            yield "warn", f"the {store}: {what}", ""
        if identity.copy_of:
            yield "ok", f"workspace {folder.root} is a copy of another: it is {identity.uuid}", ""
        if place.resolve() == folder.root:
            yield "ok", f"workspace {folder.root} opens", ""
        else:
            yield "warn", f"workspace {folder.root} may only be read", "to bring data in, mount it for writing"
    except Exception as error:
        trouble = disk_trouble(error, folder.root)
        if trouble is None and not isinstance(error, Carbon254Error):
            raise
        yield "fail", f"workspace {folder.root}", str(trouble or error)


def _port(path: Path) -> Iterator[Finding]:
    from carbon254.workspace import Workspace as Folder

    from .console import settings_of
    from .ports import holder

    port = settings_of(path).port
    running = Folder(path).running()
    if running and urlsplit(running.url).port == port:
        yield "ok", f"port {port} is held by this workspace's own node (process {running.pid})", ""
        return
    if not port:
        yield "ok", "any free port will do (C254_PORT=0)", ""
        return
    with socket.socket() as probe:
        taken = probe.connect_ex(("127.0.0.1", port)) == 0
    yield (
        ("warn", f"port {port} is taken by {holder(port)}", "c254 up takes the next free one")
        if taken
        else ("ok", f"port {port} is free", "")
    )


def _keys(_: Path) -> Iterator[Finding]:
    from carbon254.feeds import feeds

    from .console import secrets

    have = secrets()
    public = {found.stream.provider.id for found in feeds().values() if found.stream.public}
    for provider in {found.stream.provider.id: found.stream.provider for found in feeds().values()}.values():
        missing = [name for name in provider.access.env if name not in have]
        if missing:
            yield (
                "warn",
                f"{provider.name} needs a key on the internet"
                + (", its public files do not" * (provider.id in public)),
                f"set {' and '.join(missing)} ({provider.access.where})",
            )


def _providers(path: Path) -> Iterator[Finding]:
    from carbon254.feeds import feeds
    from carbon254.feeds.budget import open_budget

    from .answering import answers
    from .console import settings_of

    settings = settings_of(path)
    every = {found.stream.provider.id: found.stream.provider for found in feeds().values()}
    root = settings.emulator_url.rstrip("/")
    urls = {name: f"{root}/{name}" if root else one.base_url for name, one in every.items()} | settings.base_urls
    asked = {name: (one, urls[name]) for name, one in every.items() if urls[name]}
    file = path.resolve() / "budget.db"
    if not file.exists() or not os.access(file, os.W_OK) or not os.access(file.parent, os.W_OK):
        # Nobody fetches into this workspace: there is no budget to share.
        yield from answers(asked, lambda _host, _provider: 0.0)
        return
    budget = open_budget(file)
    try:
        yield from answers(
            asked, lambda host, one: budget.take(host, one.min_interval_s, one.burst, datetime.now(UTC).timestamp())
        )
    finally:
        budget.close()
