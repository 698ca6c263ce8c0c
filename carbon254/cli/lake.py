"""`c254 lake …`: how the lake lies, its upkeep, and views for other engines."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from carbon254.errors import SettingsError
from carbon254.nearest import pick

from .console import (
    DEFAULT_WORKSPACE,
    AsJson,
    Workspace,
    complain,
    group,
    out,
    progress,
    say,
    settings_of,
    show,
    tell,
    to_read,
    to_write,
)

if TYPE_CHECKING:
    from carbon254.stores.lake import Lake
    from carbon254.stores.log import Log

app = group("The lake: how it lies, its upkeep, and views for other engines.")
Names = Annotated[list[str] | None, typer.Option("--dataset", help="Only of this dataset; all of them else.")]
_ORPHAN_DAYS = "3d"
_SHOWN = 40


@app.command()
def stats(
    dataset: Annotated[str, typer.Option("--dataset", help="The partitions of this dataset, with their tiers.")] = "",
    orphans: Annotated[
        bool, typer.Option("--orphans", help="Also list the files, to count those that no snapshot names.")
    ] = False,
    workspace: Workspace = DEFAULT_WORKSPACE,
    as_json: AsJson = False,
) -> None:
    """How each table lies: rows, files, what would be merged, partitions by tier, snapshots, and its log offset.

    Examples: `c254 lake stats`, `c254 lake stats --dataset interval_prices`
    """
    now = datetime.now(UTC)
    with _lake(workspace) as lake:
        if dataset:
            parts = lake.parts(_names([dataset])[0], now)
            columns = ("partition", "tier", "days", "rows", "files", "bytes", "smallest", "to_merge")
            return tell(columns, [tuple(getattr(one, name) for name in columns) for one in parts], as_json)
        found = lake.stats(now)
        left = {}
        if orphans:
            left = {one.table: lake.orphans(one.table, now - _age(_ORPHAN_DAYS)) for one in found}
    columns = (
        "table", "rows", "files", "bytes", "smallest", "to_merge", "partitions", "hot", "warm", "cold", "snapshots",
        "oldest", "offset",
    )  # fmt: skip
    rows = [tuple(getattr(one, name) for name in columns) for one in found]
    if orphans:
        columns = (*columns, "orphans", "orphan_bytes")
        rows = [(*row, len(left[row[0]]), sum(file.bytes for file in left[row[0]])) for row in rows]
    return tell(columns, rows, as_json)


@app.command()
def compact(
    dataset: Names = None,
    older_than: Annotated[
        str, typer.Option("--older-than", help="Only partitions that ended this long ago: 12h, 7d.")
    ] = "",
    workspace: Workspace = DEFAULT_WORKSPACE,
    as_json: AsJson = False,
) -> None:
    """Merge the small files of each partition into few, sorted by place and time. No row is lost, doubled or changed.

    May run beside a node, and be stopped at any time; a second run finds nothing left to do.
    Example: `c254 lake compact --dataset interval_prices --older-than 1d`
    """
    from carbon254.engine.upkeep import compacted

    now, age, found = datetime.now(UTC), _age(older_than) if older_than else None, []
    with _lake_and_log(workspace) as (lake, log), progress("partitions") as advance:
        for name in _names(dataset):
            todo = sum(1 for part in lake.parts(name, now) if part.to_merge)
            for done in compacted(log, lake, name, now, age):
                found.append(done)
                advance(sum(1 for one in found if one.table == name), todo)
    merged = [one for one in found if not one.why]
    columns = ("table", "partition", "tier", "rows", "files_before", "files_after", "bytes_before", "bytes_after")
    rows = [tuple(getattr(one, name) for name in columns) for one in merged]
    if as_json:
        tell(columns, rows, as_json)
    elif merged:
        show([name.replace("_", " ") for name in columns], rows[-_SHOWN:])
        files, into = sum(one.files_before for one in merged), sum(one.files_after for one in merged)
        size, less = sum(one.bytes_before for one in merged), sum(one.bytes_after for one in merged)
        say(f"{files:,} files became {into:,}, {size / 1e6:,.1f} MB became {less / 1e6:,.1f} MB")
    for one in found:
        if one.why:
            complain(f"left as it is: {one.why}; see: c254 verify")
    if not found:
        say("nothing to merge")
    if len(merged) < len(found):
        raise typer.Exit(1)


@app.command()
def expire(
    keep_days: Annotated[
        int | None, typer.Option("--keep-days", min=0, help="Keep snapshots of so many days; C254_LAKE_KEEP_DAYS else.")
    ] = None,
    dataset: Names = None,
    workspace: Workspace = DEFAULT_WORKSPACE,
    as_json: AsJson = False,
) -> None:
    """Forget old snapshots, and remove the files that only they name. The current rows stay, all of them.

    Snapshots that a tag or a branch stands on stay too. Example: `c254 lake expire --keep-days 7`
    """
    from carbon254.engine.upkeep import expired

    days = settings_of(workspace).lake_keep_days if keep_days is None else keep_days
    before = datetime.now(UTC) - timedelta(days=days)
    with _lake_and_log(workspace) as (lake, log), progress("snapshots") as advance:
        found = [expired(log, lake, name, before, advance) for name in _names(dataset)]
    columns = ("table", "snapshots", "kept", "files", "bytes")
    gone = [one for one in found if one.snapshots]
    if as_json or gone:
        tell(columns, [tuple(getattr(one, name) for name in columns) for one in gone], as_json)
    if not gone:
        say(f"no snapshot is older than {days} days")


@app.command()
def orphans(
    older_than: Annotated[
        str, typer.Option("--older-than", help="Only files written this long ago: a running commit's files are young.")
    ] = _ORPHAN_DAYS,
    delete: Annotated[bool, typer.Option("--delete", help="Delete them.")] = False,
    dataset: Names = None,
    workspace: Workspace = DEFAULT_WORKSPACE,
    as_json: AsJson = False,
) -> None:
    """List the files that no snapshot names: left by commits that died or lost a race. Deletes only when asked.

    Example: `c254 lake orphans --older-than 7d --delete`
    """
    before = datetime.now(UTC) - _age(older_than)
    with _lake(workspace, writing=delete) as lake, progress("snapshots") as advance:
        found = [one for name in _names(dataset) for one in lake.orphans(name, before, advance)]
        files, size = lake.remove(found) if delete else (len(found), sum(one.bytes for one in found))
    columns = ("table", "path", "bytes", "written")
    rows = [tuple(getattr(one, name) for name in columns) for one in found]
    if as_json:
        return tell(columns, rows, as_json)
    if rows:
        show(columns, rows[:_SHOWN])
    did = "deleted" if delete else "are named by no snapshot; --delete removes them"
    return say(f"{files:,} files of {size / 1e6:,.1f} MB {did}" if rows else "every file is named by a snapshot")


@app.command()
def export(
    target: Annotated[
        Path, typer.Argument(help="The folder that gets commodity_data/<table>; made where there is none.")
    ],
    dataset: Names = None,
    workspace: Workspace = DEFAULT_WORKSPACE,
    as_json: AsJson = False,
) -> None:
    """Write what stands now as plain Iceberg tables that DuckDB, Trino, Spark and ClickHouse read by their place.

    Data files are linked where the disk allows it, else copied. Done again, each table gets its next version.
    Example: `c254 lake export /data/for-spark --dataset interval_prices`
    """
    from carbon254.disk import told_of

    found = []
    with _lake(workspace) as lake, progress("files") as advance, told_of(target):
        for name in _names(dataset):
            if done := lake.export(name, target, advance):
                found.append(done)
    columns = ("table", "rows", "files", "copied", "metadata")
    if not found and not as_json:
        return say("the lake has no tables yet: nothing was written")
    return tell(columns, [tuple(getattr(one, name) for name in columns) for one in found], as_json)


@app.command()
def views(
    tables: Annotated[str, typer.Option("--tables", help="Trino catalog that has the lake's tables.")] = "lake",
    views: Annotated[str, typer.Option("--views", help="Trino catalog that the views are made in.")] = "desk",
    place: Annotated[str, typer.Option("--place", help="Where their schema keeps its files, if it must be said.")] = "",
) -> None:
    """Print the statements that give Trino's readers the same `commodity_data` as `c254 sql`.

    Example: `c254 lake views --place s3://desk/views | trino --server https://trino:8443`
    """
    from carbon254.stores.lake.trino import reader_views

    for name in (tables, views):
        if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
            raise SettingsError(f"{name!r} is not a catalog's name: letters, digits and _, as in Trino's own settings")
    if tables == views:
        raise SettingsError("--views must be another catalog than --tables: both have a schema commodity_data")
    if "'" in place:
        raise SettingsError("--place has a quote in it: write s3://bucket/prefix")
    for statement in reader_views(tables, views, place):
        out.print(f"{statement};", highlight=False, markup=False, soft_wrap=True)


@contextmanager
def _lake(workspace: Path, writing: bool = False) -> Iterator[Lake]:
    """The lake of a workspace, which a node may have open as well; without `writing` it may be one to read only."""
    from carbon254.connections import lake_of
    from carbon254.workspace import Workspace as Folder

    workspace = to_write(workspace) if writing else to_read(workspace)
    lake = lake_of(settings_of(workspace), Folder(workspace))
    try:
        yield lake
    finally:
        lake.close()


@contextmanager
def _lake_and_log(workspace: Path) -> Iterator[tuple[Lake, Log]]:
    """And the log, which keeps the digests of its files."""
    from carbon254.connections import open_named_log
    from carbon254.workspace import Workspace as Folder

    with _lake(workspace, writing=True) as lake:
        log = open_named_log(settings_of(workspace), Folder(workspace))
        try:
            yield lake, log
        finally:
            log.close()


def _names(given: list[str] | None) -> list[str]:
    """The datasets asked for, all where none is. Raises UnknownName with the nearest ones."""
    from carbon254.model import catalogue

    return [pick("dataset", name, catalogue()) for name in given] if given else list(catalogue())


def _age(text: str) -> timedelta:
    """`7d`, `12h`. Raises SettingsError with an example."""
    found = re.fullmatch(r"(\d{1,5})([dh])", text.strip())
    if not found:
        raise SettingsError(f"{text!r} is not an age; write 7d for days or 12h for hours")
    return timedelta(**{{"d": "days", "h": "hours"}[found[2]]: int(found[1])})
