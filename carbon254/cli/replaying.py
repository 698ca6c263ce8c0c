"""What `c254 feeds replay` does: the span that was meant, the rebuild, and the proof of it."""

from __future__ import annotations

import getpass
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from carbon254.names import in_order

from .console import existing, fail, market_day, moment, progress, say, secrets, settings_of, to_write
from .proving import compared, show_proof

if TYPE_CHECKING:
    from carbon254.app import Node


@dataclass(frozen=True)
class Asked:
    """The options as they were typed."""

    feed: str
    start: str
    end: str
    partition: str
    arrived_from: str
    arrived_to: str
    prove: bool
    workers: int
    why: str


def replayed(workspace: Path, asked: Asked, as_json: bool) -> bool:
    """Rebuild and tell; False where a proof says that a partition came out otherwise than it stood."""
    import json

    from carbon254.app import open_node
    from carbon254.engine.rebuilder import How

    with open_node(settings_of(existing(workspace)), secrets()) as node, progress(f"replaying {asked.feed}") as advance:
        span = _span(node, asked)
        if span is None:
            say("nothing of this feed arrived then; nothing was rebuilt")
            if asked.prove:
                _nothing(asked)
            return True
        node.runner.drain()
        pipeline, how = node.pipeline, How(asked.workers, None, _who(), asked.why)
        before = pipeline.prove(asked.feed, *span) if asked.prove else None
        done = pipeline.replay(asked.feed, *span, node.clock.now(), advance, how)
        after = pipeline.prove(asked.feed, *span) if asked.prove else None
        if after is not None:
            pipeline.prover.note(after, node.clock.now())
    if before is not None and after is not None:
        show_proof(before, after, as_json, done.rows, done.payloads)
    elif as_json:
        typer.echo(json.dumps({"rows": done.rows, "payloads": done.payloads, "partitions": done.partitions}))
    if not as_json:
        days = f"{done.partitions[0]} … {done.partitions[-1]}" if done.partitions else "none"
        say(f"rebuilt {done.rows:,} rows of {asked.feed} from {done.payloads:,} payloads; market days: {days}")
    if before is not None and after is not None and not compared(before, after):
        _nothing(asked)
    return before is None or after is None or before.root == after.root


def unlocked(workspace: Path, feed: str, why: str) -> None:
    """Take the lease of a feed's rebuild from whoever holds it, and write down who did and why."""
    from datetime import UTC

    from carbon254.engine.rebuilder import lease_of, table_lease_of
    from carbon254.pipeline import sources
    from carbon254.stores.ledger import Act, open_ledger
    from carbon254.workspace import Workspace

    folder, now = Workspace(to_write(workspace)), datetime.now(UTC)
    ledger = open_ledger(settings_of(folder.root).ledger_at(folder.path("ledger.db")))
    try:
        names = lease_of(feed), table_lease_of(sources()[feed].dataset.name)
        mine = ledger.lease(names[0])
        # The table's lease may be that of another feed's rebuild, which goes on.
        held = [one for one in map(ledger.lease, names) if one and mine and one.holder == mine.holder]
        taken = [gone for one in held if (gone := ledger.unlock(one.name, f"unlocked by {_who()}", now))]
        if not taken:
            say(f"nobody is rebuilding {feed}; nothing was unlocked")
            return
        told = f"took the lease of {taken[0].holder}" + (f": {why}" if why else "")
        ledger.record([Act(now, _who(), "unlock", feed, "", told)])
    finally:
        ledger.close()
    say(f"{feed} can be rebuilt again; what {taken[0].holder} still writes of it is refused")


def _nothing(asked: Asked) -> None:
    fail(f"nothing to compare: no row of {asked.feed} is of that span; see what there is: "
         f"c254 feeds list --feed {asked.feed}")  # fmt: skip


def _span(node: Node, asked: Asked) -> tuple[datetime, datetime] | None:
    """The whole market days that were meant: a partition is rebuilt as one, or not at all."""
    from carbon254.engine.proof import day_span, whole_days
    from carbon254.feeds import feed
    from carbon254.pipeline import sources

    source = sources()[feed(asked.feed).topic]
    clock = source.stream.clock
    if asked.partition:
        return day_span(source.stream, market_day(asked.partition))
    if asked.arrived_from:
        edges = in_order(moment(asked.arrived_from, clock), moment(asked.arrived_to, clock))
        found = node.pipeline.rebuilder.arrived(asked.feed, *edges)
        return None if found is None else whole_days(source, found[0], found[1] + timedelta(microseconds=1))
    low, high = moment(asked.start, clock), moment(asked.end, clock)
    return whole_days(source, *in_order(low, high))


def _who() -> str:
    try:
        return getpass.getuser()
    except OSError:
        return "unknown"
