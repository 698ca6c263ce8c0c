"""`c254 feeds …`: what there is, and bringing it in. The same verbs answer as `feeds …`."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer

from carbon254.errors import NothingYet, PayloadRefused, UnknownFeed

from .console import (
    DEFAULT_WORKSPACE,
    AsJson,
    EmulatorUrl,
    NewWorkspace,
    Workspace,
    Zone,
    fail,
    group,
    moment,
    plain,
    tell,
)

app = group("Feeds: list, run, parse, status, history, replay, unlock, watermark.")
FeedId = Annotated[str, typer.Option("--feed", help="Topic of the feed, like `iso.rt.lmp.caiso`.")]
Backend = Annotated[
    str,
    typer.Option("--backend", help="Ledger to ask: sqlite, postgres or clickhouse; the settings' own if not given."),
]
Partition = Annotated[str, typer.Option("--partition", help="Market day, like 2025-07-01.")]


@app.command("list")
def list_feeds(
    feed: FeedId = "",
    partition: Partition = "",
    state: Annotated[str, typer.Option(help="pending, running, completed, failed or replaying.")] = "",
    limit: Annotated[int, typer.Option(help="At most so many rows of the ledger.", min=1)] = 100,
    backend: Backend = "",
    workspace: Workspace = DEFAULT_WORKSPACE,
    as_json: AsJson = False,
) -> None:
    """What feeds there are; with a partition or state, what the ledger says of them.

    Example: `c254 feeds list`, or `c254 feeds list --state failed`
    """
    from carbon254.feeds import feed as find
    from carbon254.feeds import feeds

    feed = find(feed).topic if feed else ""
    if partition or state or backend:
        from .books import entries

        entries(workspace, feed, partition, state, limit, backend, as_json)
        return
    rows = []
    for topic, found in sorted(feeds().items()):
        stream = found.stream
        if feed and feed != topic:
            continue
        access = stream.provider.access
        key = "none" if access.kind == "none" else " + ".join(access.env)
        key += ", or none" if stream.public else ""
        minutes = f"{int(stream.resolution.total_seconds() // 60)} min"
        rows.append((topic, stream.title, stream.market_run, minutes, stream.dataset, key))
    tell(("feed", "what", "run", "interval", "dataset", "key"), rows[:limit], as_json)


@app.command()
def parse(
    files: Annotated[
        list[Path], typer.Argument(help="Files as the provider publishes them.", exists=True, dir_okay=False)
    ],
    feed: FeedId = "",
    form: Annotated[str, typer.Option("--format", help="csv, json (one object a line) or arrow (a stream).")] = "csv",
    tz: Zone = "UTC",
) -> None:
    """Print files' normalised rows, without a workspace.

    Rejected rows go to standard error with line and reason, and what became of the records where not all were read.
    Exit 3 if any row was rejected, 2 if a file is not understood. Example:
    `c254 feeds parse RTBM-LMP-SL-202503310840.csv`
    """
    from .console import form_of, zone_of
    from .printing import Account, Printer, batches, choose

    form = form_of(form)
    tz = "market" if tz.lower() == "market" else zone_of(tz).key
    rejected, printer = 0, Printer(form)
    for path in files:
        data = path.read_bytes()
        try:
            chosen = choose(path.name, data, feed or None)
            zone = chosen.stream.clock if tz == "market" else tz
            account = Account(chosen)
            for frame, rejects in batches(chosen, path.name, data, account):
                printer.write(frame, zone)
                for line, reason, raw in rejects:
                    where = path.name if line is None else f"{path.name}: line {line}"
                    typer.echo(plain(f"{where}: {reason}" + (f" | {raw}" if raw else "")), err=True)
                rejected += len(rejects)
            if told := account.told():
                typer.echo(plain(f"{path.name}: {told}"), err=True)
        except NothingYet as empty:
            fail(f"{path.name}: unpublished: {str(empty).removeprefix(f'{path.name}: ')}", code=2)
        except (PayloadRefused, UnknownFeed) as refusal:
            fail(f"{path.name}: {refusal}".replace(f"{path.name}: {path.name}", path.name), code=2)
    printer.close()
    if rejected:
        raise typer.Exit(3)


@app.command()
def run(
    feed: FeedId,
    start: Annotated[str, typer.Option("--from", help="First interval: a date (market day), ISO time or now.")] = "",
    end: Annotated[str, typer.Option("--to", help="End, not included; a date, ISO time or now.")] = "",
    file: Annotated[
        list[Path] | None, typer.Option(help="Take these files instead of fetching.", exists=True, dir_okay=False)
    ] = None,
    location: Annotated[list[str] | None, typer.Option(help="Only these places, where the provider can.")] = None,
    public: Annotated[
        bool, typer.Option("--public", help="Ask for the provider's files that need no key, also where one is set.")
    ] = False,
    afresh: Annotated[bool, typer.Option("--afresh", help="Ask for answers again that did not change since.")] = False,
    workspace: NewWorkspace = DEFAULT_WORKSPACE,
    emulator_url: EmulatorUrl = "",
    as_json: AsJson = False,
) -> None:
    """Take a span, or files, of a feed through the whole flow.

    Exit 3 if a row was rejected, 1 if a request failed. Examples:
    `c254 feeds run --feed iso.da.lmp.spp --from 2025-07-01 --to 2025-07-03`,
    `c254 feeds run --feed iso.rt.lmp.spp --file RTBM-LMP-SL-202503310840.csv`
    """
    from carbon254.feeds import feed as find

    from .running import from_files, from_provider, opened, report

    stream = find(feed).stream
    feed = stream.topic
    if not file and not start:
        raise typer.BadParameter("name a span with --from and --to, or files with --file")
    low = moment(start, stream.clock) if start else None
    high = moment(end, stream.clock) if end else None
    if low:
        from carbon254.names import in_order

        low, high = in_order(low, high or low + timedelta(days=1))
    with opened(workspace, emulator_url) as desk:
        desk.fetcher.afresh = afresh
        if file or not (low and high):
            result = from_files(desk, feed, file or [])
        else:
            result = from_provider(desk, feed, low, high, location or [], public)
        desk.carry()
        report(desk, [result], as_json)
    if result.failed:
        raise typer.Exit(1)
    if result.rejected:
        raise typer.Exit(3)


@app.command()
def status(
    feed: FeedId = "", backend: Backend = "", workspace: Workspace = DEFAULT_WORKSPACE, as_json: AsJson = False
) -> None:
    """How a feed stands: watermark, rows, open dead letters, and its last partitions with expected against received.

    Example: `c254 feeds status --feed iso.rt.lmp.spp`
    """
    from .asking import node_of
    from .standing import told_by

    if not (feed or backend) and (url := node_of(workspace)) and told_by(url, as_json):
        return
    from carbon254.feeds import feed as find

    from .books import standing

    standing(workspace, find(feed).topic if feed else "", backend, as_json)


@app.command()
def watermark(
    feed: FeedId,
    partition: Partition = "",
    backend: Backend = "",
    workspace: Workspace = DEFAULT_WORKSPACE,
    as_json: AsJson = False,
) -> None:
    """The end of the newest interval received, in UTC.

    Example: `c254 feeds watermark --feed iso.rt.lmp.spp --partition 2025-07-01`
    """
    from carbon254.feeds import feed as find

    from .books import newest

    newest(workspace, find(feed).topic, partition, backend, as_json)


@app.command()
def history(
    feed: FeedId,
    partition: Partition = "",
    limit: Annotated[int, typer.Option(help="At most so many lines, the newest ones.", min=1)] = 100,
    backend: Backend = "",
    workspace: Workspace = DEFAULT_WORKSPACE,
    as_json: AsJson = False,
) -> None:
    """What a feed went through: changes of state, and who did what, when and why; of all partitions, or of one.

    Example: `c254 feeds history --feed iso.rt.lmp.spp`, or with `--partition 2025-07-01`
    """
    from carbon254.feeds import feed as find

    from .books import trail

    trail(workspace, find(feed).topic, partition, limit, backend, as_json)


@app.command()
def replay(
    feed: FeedId,
    start: Annotated[str, typer.Option("--from", help="First interval: a date (market day), ISO time or now.")] = "",
    end: Annotated[str, typer.Option("--to", help="End, not included.")] = "now",
    partition: Partition = "",
    arrived_from: Annotated[str, typer.Option(help="Instead: what arrived from then.")] = "",
    arrived_to: Annotated[str, typer.Option(help="… to then, not included.")] = "now",
    prove: Annotated[bool, typer.Option("--prove", help="Print a Merkle root before and after.")] = False,
    workers: Annotated[int, typer.Option(help="Payloads read at a time; the result is the same.", min=1, max=64)] = 1,
    why: Annotated[str, typer.Option(help="The reason, for the audit trail.")] = "",
    workspace: Workspace = DEFAULT_WORKSPACE,
    as_json: AsJson = False,
) -> None:
    """Rebuild partitions from raw bytes, with the network off. Never appends: rebuilt rows replace the old.

    With --prove the root is over (payload hashes, code version, hash of the rows) of each partition, before and after;
    exit 1 if a partition came out otherwise than it stood, which is named. Raw payloads that are missing are named, and
    nothing is changed. Example: `c254 feeds replay --feed iso.rt.lmp.caiso --from 2025-07-01T00:00Z --to now --prove`
    """
    from carbon254.feeds import feed as find

    from .replaying import Asked, replayed

    if not (start or partition or arrived_from):
        raise typer.BadParameter("name what to rebuild with --from, --partition or --arrived-from")
    asked = Asked(find(feed).topic, start, end, partition, arrived_from, arrived_to, prove, workers, why)
    if not replayed(workspace, asked, as_json):
        raise typer.Exit(1)


@app.command()
def unlock(
    feed: FeedId,
    why: Annotated[str, typer.Option(help="The reason, for the audit trail.")] = "",
    workspace: Workspace = DEFAULT_WORKSPACE,
) -> None:
    """Take away the lease of a rebuild whose process is gone, so that the feed can be rebuilt again.

    Seldom needed: in a workspace of its own a lease ends with its process, on servers three minutes after its last
    heartbeat. A holder that still lives is refused its next write. Works beside a running node.
    Example: `c254 feeds unlock --feed iso.rt.lmp.spp --why "the machine was lost"`
    """
    from carbon254.feeds import feed as find

    from .replaying import unlocked

    unlocked(workspace, find(feed).topic, why)


@app.command()
def lineage(
    feed: Annotated[str, typer.Argument(help="The feed.")],
    day: Annotated[str, typer.Argument(help="The market day, like 2025-07-01.")],
    workspace: Workspace = DEFAULT_WORKSPACE,
    as_json: AsJson = False,
) -> None:
    """What a market day was made of and what was made of it: payloads, rows, bars, and the repairs it has seen.

    Example: `c254 feeds lineage iso.rt.lmp.spp 2025-07-01`
    """
    from .lineage import told

    told(workspace, feed, day, as_json)
