"""`c254 feeds …`: what there is, and bringing it in. The same verbs answer as `feeds …`."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer

from carbon254.errors import PayloadRefused, UnknownFeed

from .console import (
    DEFAULT_WORKSPACE,
    AsJson,
    EmulatorUrl,
    House,
    Workspace,
    Zone,
    existing,
    fail,
    market_day,
    moment,
    plain,
    progress,
    say,
    show,
)

app = typer.Typer(
    cls=House,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    help="Feeds: list, run, parse, status, replay, watermark.",
)
FeedId = Annotated[str, typer.Option("--feed", help="Topic of the feed, like `iso.rt.lmp.caiso`.")]
Partition = Annotated[str, typer.Option("--partition", help="Market day, like 2025-07-01.")]


@app.command("list")
def list_feeds(
    feed: FeedId = "",
    partition: Partition = "",
    state: Annotated[str, typer.Option(help="pending, running, completed, failed or replaying.")] = "",
    limit: Annotated[int, typer.Option(help="At most so many rows of the ledger.")] = 100,
    workspace: Workspace = DEFAULT_WORKSPACE,
) -> None:
    """What feeds there are; with a partition or state, what the ledger says of them.

    Example: `c254 feeds list`, or `c254 feeds list --state failed`
    """
    from carbon254.feeds import feeds

    if partition or state:
        from .books import entries

        entries(workspace, feed, partition, state, limit)
        return
    rows = []
    for topic, found in sorted(feeds().items()):
        stream = found.stream
        if feed and feed != topic:
            continue
        access = stream.provider.access
        key = "none" if access.kind == "none" else " + ".join(access.env)
        minutes = f"{int(stream.resolution.total_seconds() // 60)} min"
        rows.append((topic, stream.title, stream.market_run, minutes, stream.dataset, key))
    show(("feed", "what", "run", "interval", "dataset", "key"), rows)


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

    Rejected rows go to standard error with line and reason. Exit 3 if any row was rejected, 2 if a file is not
    understood. Example: `c254 feeds parse RTBM-LMP-SL-202503310840.csv`
    """
    from .console import zone_of
    from .printing import Printer, batches, choose

    if form not in ("csv", "json", "arrow"):
        raise typer.BadParameter("--format is csv, json or arrow")
    if tz != "market":
        zone_of(tz)
    rejected, printer = 0, Printer(form)
    for path in files:
        data = path.read_bytes()
        try:
            chosen = choose(path.name, data, feed or None)
            zone = chosen.stream.clock if tz == "market" else tz
            for frame, rejects in batches(chosen, path.name, data):
                printer.write(frame, zone)
                for line, reason, raw in rejects:
                    typer.echo(plain(f"{path.name}: line {line}: {reason}" + (f" | {raw}" if raw else "")), err=True)
                rejected += len(rejects)
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
    workspace: Workspace = DEFAULT_WORKSPACE,
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
    if not file and not start:
        raise typer.BadParameter("name a span with --from and --to, or files with --file")
    with opened(workspace, emulator_url) as desk:
        if file:
            result = from_files(desk, feed, file)
        else:
            low = moment(start, stream.clock)
            high = moment(end, stream.clock) if end else low + timedelta(days=1)
            result = from_provider(desk, feed, low, high, location or [])
        desk.carry()
        report(desk, [result], as_json)
    if result.failed:
        raise typer.Exit(1)
    if result.rejected:
        raise typer.Exit(3)


@app.command()
def status(feed: FeedId = "", workspace: Workspace = DEFAULT_WORKSPACE) -> None:
    """How a feed stands: watermark, rows, open dead letters, and its last partitions.

    Example: `c254 feeds status --feed iso.rt.lmp.spp`
    """
    from carbon254.feeds import feed as find

    from .books import standing

    standing(workspace, find(feed).topic if feed else "")


@app.command()
def watermark(feed: FeedId, partition: Partition = "", workspace: Workspace = DEFAULT_WORKSPACE) -> None:
    """The end of the newest interval received, in UTC.

    Example: `c254 feeds watermark --feed iso.rt.lmp.spp --partition 2025-07-01`
    """
    from carbon254.feeds import feed as find

    from .books import newest

    newest(workspace, find(feed).topic, partition)


@app.command()
def replay(
    feed: FeedId,
    start: Annotated[str, typer.Option("--from", help="First interval: a date (market day), ISO time or now.")] = "",
    end: Annotated[str, typer.Option("--to", help="End, not included.")] = "now",
    partition: Partition = "",
    arrived_from: Annotated[str, typer.Option(help="Instead: what arrived from then.")] = "",
    arrived_to: Annotated[str, typer.Option(help="… to then, not included.")] = "now",
    workspace: Workspace = DEFAULT_WORKSPACE,
) -> None:
    """Rebuild partitions from raw bytes, with the network off. Never appends: rebuilt rows replace the old.

    Example: `c254 feeds replay --feed iso.rt.lmp.caiso --from 2025-07-01T00:00Z --to now`
    """
    from carbon254.calendars import market_day_span
    from carbon254.feeds import feed as find

    from .console import secrets, settings_of

    clock = find(feed).stream.clock
    if not (start or partition or arrived_from):
        raise typer.BadParameter("name what to rebuild with --from, --partition or --arrived-from")
    from carbon254.app import open_node

    with open_node(settings_of(existing(workspace)), secrets()) as node, progress(f"replaying {feed}") as advance:
        if partition:
            low, high = market_day_span(market_day(partition), clock)
        elif arrived_from:
            span = node.pipeline.rebuilder.arrived(feed, moment(arrived_from, clock), moment(arrived_to, clock))
            if span is None:
                return say("nothing of this feed arrived then; nothing was rebuilt")
            low, high = span[0], span[1] + timedelta(microseconds=1)
        else:
            low, high = moment(start, clock), moment(end, clock)
        node.runner.drain()
        done = node.pipeline.replay(feed, low, high, node.clock.now(), advance)
    days = f"{done.partitions[0]} … {done.partitions[-1]}" if done.partitions else "none"
    say(f"rebuilt {done.rows:,} rows of {feed} from {done.payloads:,} payloads; market days: {days}")
    return None
