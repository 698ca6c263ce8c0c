"""What `c254 feeds lineage` prints: a market day from its payloads to what was made of them."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from carbon254.errors import WorkspaceError

from .console import market_day, out, secrets, settings_of, show, stamp, to_read

if TYPE_CHECKING:
    from carbon254.engine.repair import Lineage


def told(workspace: Path, feed: str, day: str, as_json: bool) -> None:
    """Print the lineage. Raises WorkspaceError where no payload held the day."""
    found = _lineage(to_read(workspace), feed, day)
    if as_json:
        out.print_json(
            data=asdict(found), default=lambda value: stamp(value) if isinstance(value, datetime) else str(value)
        )
        return
    show(
        ("payload", "name", "received", "rows", "of them current", "held"),
        [(f"{p.sha256[:12]}…", p.name, p.received_at, p.rows, p.standing, p.held) for p in found.payloads],
        f"{found.feed} {found.day}",
    )
    show(
        ("table", "partition", "rows", "made of", "last changed by"),
        [(n.table, n.partition, n.rows, n.made_of, _short(n.newest)) for n in found.nodes],
    )
    for act in found.repairs:
        out.print(f"{stamp(act.at)}  {act.what}: {act.why}", highlight=False, markup=False, soft_wrap=True)


def _lineage(workspace: Path, feed: str, day: str) -> Lineage:
    from carbon254.app import open_node
    from carbon254.feeds import feed as find
    from carbon254.pipeline import sources

    topic, wanted = find(feed).topic, market_day(day)
    with open_node(settings_of(workspace), secrets()) as node:
        node.catch_up()
        found = node.pipeline.repair.lineage(sources()[topic], wanted)
    if not found.payloads:
        raise WorkspaceError(
            f"no payload of {topic} held {day}; bring it in with: c254 feeds run --feed {topic} --from {day}"
        )
    return found


def _short(text: str) -> str:
    return f"{text[:12]}…" if len(text) == 64 else text
