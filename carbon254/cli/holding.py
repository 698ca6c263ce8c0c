"""`c254 quality held` and `release`: what a check holds back from readers, and letting it out with a reason."""

from __future__ import annotations

import getpass
from collections.abc import Iterable, Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .console import (
    DEFAULT_WORKSPACE,
    AsJson,
    Workspace,
    existing,
    fail,
    market_day,
    out,
    say,
    secrets,
    settings_of,
    tell,
)

if TYPE_CHECKING:
    from carbon254.engine.releasing import Released

_COLUMNS = ("feed", "market day", "check", "rows", "since", "payload", "id of the first", "reason")
_ROWS = """SELECT row_id, feed, market_day, location_id, interval_start, check_id, row FROM quarantine
WHERE status = 'held' {mine} ORDER BY feed, held_at, interval_start, location_id"""
_GROUPS = """SELECT feed, market_day, check_id, count() AS rows, min(held_at) AS since, payload, min(row_id) AS id,
any(reason) AS reason FROM quarantine WHERE status = 'held' {mine}
GROUP BY feed, market_day, check_id, payload ORDER BY feed, market_day, since, check_id"""
_HELD_DAYS = """SELECT feed, market_day, status, score, completeness, failed_checks, why FROM verdicts
WHERE status = 'held' {mine} ORDER BY feed, market_day"""
_DAYS = ("feed", "market day", "status", "score", "completeness", "failed checks", "why")


def held(
    feed: Annotated[str, typer.Option("--feed", help="Only this feed.")] = "",
    rows: Annotated[bool, typer.Option("--rows", help="Each row, with its id and values.")] = False,
    workspace: Workspace = DEFAULT_WORKSPACE,
    as_json: AsJson = False,
) -> None:
    """What is held back from readers: rows in quarantine by check and payload, and market days whose verdict is held.

    Example: `c254 quality held`, or `c254 quality held --feed iso.da.lmp.spp --rows`
    """
    mine = ""
    if feed:
        from carbon254.feeds import feed as find
        from carbon254.stores.hot.literal import literal

        mine = f"AND feed = {literal(find(feed).topic)}"
    if rows:
        (found,) = _asked(workspace, _ROWS.format(mine=mine))
        tell(("id", "feed", "market day", "place", "interval start", "check", "row"), found, as_json)
        return
    groups, days = _asked(workspace, _GROUPS.format(mine=mine), _HELD_DAYS.format(mine=mine))
    if as_json:
        tell(_COLUMNS, groups, as_json)
        return
    _show(groups, days)


def release(
    feed: Annotated[str, typer.Argument(help="The feed.")],
    day: Annotated[str, typer.Argument(help="The market day, like 2025-07-01; not needed with --id.")] = "",
    reason: Annotated[str, typer.Option("--reason", help="Why; it goes into the audit trail.")] = "",
    row: Annotated[list[str] | None, typer.Option("--id", help="Only the row with this id; may be repeated.")] = None,
    workspace: Workspace = DEFAULT_WORKSPACE,
    as_json: AsJson = False,
) -> None:
    """Publish held rows, or accept a held day, by your decision. They are flagged, and who, when and why is kept.

    Without a reason nothing is released (exit 2). The rows are known to readers from now on, not from before.
    Needs the workspace to itself. Example:
    `c254 quality release iso.da.lmp.spp 2025-07-01 --reason "confirmed by the operator's notice 4711"`
    """
    if not reason.strip():
        fail('say why with --reason "…"; it goes into the audit trail', code=2)
    if not day and not row:
        fail("name the market day, or rows with --id; see: c254 quality held", code=2)
    done = _released(existing(workspace), feed, market_day(day) if day else None, row or [], reason)
    if as_json:
        out.print_json(data={"feed": done.feed, "rows": done.rows, "payloads": done.payloads, "day": done.day})
        return
    what = f"{done.rows:,} rows of {done.payloads:,} payloads went out" if done.rows else "no row was held"
    out.print(f"{feed}: {what}{'; the day is accepted as it stands' if done.day else ''}", highlight=False)


def _released(workspace: Path, feed: str, day: date | None, ids: list[str], reason: str) -> Released:
    from carbon254.app import open_node
    from carbon254.engine.quarantine import Release
    from carbon254.feeds import feed as find

    topic = find(feed).topic
    with open_node(settings_of(workspace), secrets()) as node:
        node.runner.drain()
        return node.pipeline.release(topic, day, ids, Release(node.clock.now(), _who(), reason.strip()))


def _asked(workspace: Path, *statements: str) -> list[list[list[Any]]]:
    """The rows of each statement, as people read them: from the running node in plain JSON where that tells them."""
    from .asking import node_of, query

    if url := node_of(workspace):
        answers = [query(url, statement) for statement in statements]
        if all(answer is not None for answer in answers):
            return [[_plain(row) for row in answer.rows] for answer in answers if answer is not None]
    import carbon254

    with carbon254.open(existing(workspace)) as reader:
        frames = [reader.sql(statement).to_polars() for statement in statements]
    return [[_plain(row) for row in frame.iter_rows()] for frame in frames]


def _show(groups: Sequence[Sequence[Any]], days: Sequence[Sequence[Any]]) -> None:
    if not groups and not days:
        out.print("nothing is held")
        return
    if groups:
        tell(_COLUMNS, groups, False)
    if days:
        out.print("market days with a held verdict:")
        tell(_DAYS, days, False)
    say('let something out with: c254 quality release FEED DAY --reason "…"')


def _plain(row: Iterable[Any]) -> list[Any]:
    """Cells as people read them; a payload's digest is told by its beginning."""
    told = [one.isoformat() if isinstance(one, date) and not hasattr(one, "hour") else one for one in row]
    return [f"{one[:12]}…" if isinstance(one, str) and len(one) == 64 else one for one in told]


def _who() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "unknown"
