"""`c254 quality`: run the checks, report them as a page, explain a day."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from carbon254.errors import WorkspaceError

from . import holding
from .console import (
    DEFAULT_WORKSPACE,
    AsJson,
    Workspace,
    fail,
    group,
    market_day,
    market_days,
    moment,
    out,
    progress,
    say,
    settings_of,
    show,
    to_read,
)  # fmt: skip

if TYPE_CHECKING:
    import polars as pl

    from carbon254.feeds import Feed
    from carbon254.quality import Finding

    from .judging import Bench, FeedVerdict, Judged

app = group("Judge the data: checks, scores, service levels.")

FeedName = Annotated[list[str] | None, typer.Option("--feed", help="Only this feed; may be repeated. All without it.")]
From = Annotated[str, typer.Option("--from", help="First market day, like 2025-07-01.")]
To = Annotated[str, typer.Option("--to", help="Last market day.")]
At = Annotated[str, typer.Option("--at", help="Judge what is due at this moment; else now, or the last arrival.")]
Again = Annotated[bool, typer.Option("--again", help="Read every row again, also where nothing changed.")]


@app.command("run")
def run(
    feed: FeedName = None,
    first: From = "",
    last: To = "",
    file: Annotated[
        Path | None,
        typer.Option("--file", help="Judge a Parquet, Arrow or CSV file of one feed.", exists=True, dir_okay=False),
    ] = None,
    at: At = "",
    again: Again = False,
    workspace: Workspace = DEFAULT_WORKSPACE,
    as_json: AsJson = False,
) -> None:
    """Judge partitions against their rules; exit 1 if a target is missed.

    Days that did not change are judged from their kept states and are not read again.
    Example: `c254 quality run --feed iso.da.lmp.spp --from 2025-07-01`
    """
    if file is not None:
        verdicts = [_of_file(file, feed or [])]
    else:
        with _bench(workspace, at, again) as (bench, entries):
            verdicts = _judge(bench, entries, feed or [], first, last)
    _tell(verdicts, as_json)
    _something(verdicts)
    if any(verdict.missed for verdict in verdicts) or _too_low(_overall(verdicts)):
        raise typer.Exit(1)


@app.command("report")
def report(
    to_file: Annotated[Path, typer.Option("--out", "-o", help="Where to write the page.")] = Path("quality.html"),
    feed: FeedName = None,
    first: From = "",
    last: To = "",
    at: At = "",
    workspace: Workspace = DEFAULT_WORKSPACE,
) -> None:
    """Write one HTML page with pictures that needs no internet: scores by day, completeness, nulls, anomalies.

    Example: `c254 quality report --out quality.html`
    """
    from carbon254.quality.report import page

    with _bench(workspace, at, again=False) as (bench, entries):
        verdicts = _judge(bench, entries, feed or [], first, last)
        told = bench.at
    _something(verdicts)
    to_file.write_text(page(told, [(one.feed, _days(one), one.services) for one in verdicts]), "utf-8")
    out.print(f"{to_file}: {sum(len(one.days) for one in verdicts):,} partitions of {len(verdicts)} feeds")


def _something(verdicts: Sequence[FeedVerdict]) -> None:
    """Nothing judged is no good score. Exits with 1 then."""
    if not any(one.days for one in verdicts):
        fail("nothing to judge: no partition of these feeds and days is stored; see: c254 feeds list")


@app.command("explain")
def explain(
    feed: Annotated[str, typer.Argument(help="The feed.")],
    day: Annotated[str, typer.Argument(help="The market day, like 2025-07-01.")],
    at: At = "",
    workspace: Workspace = DEFAULT_WORKSPACE,
    as_json: AsJson = False,
) -> None:
    """Each check of one day: its numbers, the first failing rows, and what to do.

    Example: `c254 quality explain iso.da.lmp.spp 2025-07-01`
    """
    wanted = market_day(day).isoformat()
    with _bench(workspace, at, again=False) as (bench, entries):
        (verdict,) = _judge(bench, entries, [feed], wanted, wanted)
    if not verdict.days:
        raise WorkspaceError(
            f"nothing of {feed} is stored for {wanted}; bring it in with: c254 feeds run --feed {feed} --from {wanted}"
        )
    judged = verdict.days[0]
    if as_json:
        typer.echo(json.dumps({"feed": feed, "partition": wanted, **judged.judgement.plain()}))
        return
    _explain(judged)


def _explain(judged: Judged) -> None:
    found = judged.judgement
    ordered = sorted(found.findings, key=_order)
    rows = [(one.check, one.verdict.value, one.value, one.limit, one.weight, one.why) for one in ordered]
    show(("check", "verdict", "value", "limit", "weight", "numbers"), rows, f"{judged.feed} {judged.partition}")
    for finding in found.failed:
        out.print(f"\n[red]{finding.check}[/red]: {finding.why}", highlight=False, soft_wrap=True)
        for row in finding.rows:
            out.print(f"  {row}", highlight=False, markup=False, soft_wrap=True)
        out.print(f"  → {finding.todo}", highlight=False, markup=False, soft_wrap=True)
    reached = "nothing could be judged" if found.score is None else f"{found.score:.2%} of the judged weight passed"
    unknown = sum(one.verdict == "unknown" for one in found.findings)
    out.print(f"\nscore: {reached}; {unknown} checks are unknown and count neither way", highlight=False)


def _order(finding: Finding) -> tuple[int, str]:
    return ("failed", "passed", "unknown").index(finding.verdict.value), finding.check


def _tell(verdicts: Sequence[FeedVerdict], as_json: bool) -> None:
    whole = _overall(verdicts)
    if as_json:
        typer.echo(json.dumps({"score": whole, "feeds": [_plain(one) for one in verdicts]}))
        return
    columns = ("feed", "days", "rows", "score", "completeness", "duplicates", "late", "failed checks", "unknown")
    show(columns, [_line(one) for one in verdicts])
    reread = sum(day.read for one in verdicts for day in one.days)
    days = sum(len(one.days) for one in verdicts)
    told = "nothing could be judged" if whole is None else f"overall score {whole:.2%} (target > 99 %)"
    out.print(f"{told}; {days:,} partitions, {reread:,} of them read now", highlight=False)
    missed = [f"{one.feed}: {', '.join(one.missed)}" for one in verdicts if one.missed]
    if missed:
        say("targets missed (✗): " + "; ".join(missed))
        say("see why with: c254 quality explain FEED DAY")


def _line(verdict: FeedVerdict) -> list[Any]:
    reached = [
        "unknown" if one.value is None else f"{one.value:.2%}{' ✗' if one.name in verdict.missed else ''}"
        for one in verdict.services
    ]
    findings = [finding for day in verdict.days for finding in day.judgement.findings]
    rows = sum(int(day.judgement.metrics["rows"]) for day in verdict.days)
    failed = sorted({finding.check for finding in findings if finding.verdict == "failed"})
    unknown = sorted({finding.check for finding in findings if finding.verdict == "unknown"})
    return [verdict.feed, len(verdict.days), rows, *reached, ", ".join(failed), len(unknown)]


def _plain(verdict: FeedVerdict) -> dict[str, Any]:
    return {
        "feed": verdict.feed,
        "services": {one.name: {"value": one.value, "target": one.target, "met": one.met} for one in verdict.services},
        "days": [{"partition": day.partition, "read": day.read, **day.judgement.plain()} for day in verdict.days],
    }


def _overall(verdicts: Sequence[FeedVerdict]) -> float | None:
    from carbon254.quality import score

    return score(finding for one in verdicts for day in one.days for finding in day.judgement.findings)


def _too_low(reached: float | None) -> bool:
    from carbon254.quality import Targets

    return reached is not None and reached <= Targets().score


def _days(verdict: FeedVerdict) -> list[tuple[str, Any]]:
    return [(day.partition, day.judgement) for day in verdict.days]


def _judge(bench: Bench, entries: dict[str, list[Any]], names: list[str], first: str, last: str) -> list[FeedVerdict]:
    from carbon254.feeds import feed as feed_named
    from carbon254.feeds import feeds

    lowest, last = market_days(first, last)
    highest = last or date.max.isoformat()
    chosen = [feed_named(name) for name in names] or [feeds()[name] for name in sorted(entries) if name in feeds()]
    found = []
    with progress("feeds", len(chosen)) as advance:
        for done, feed in enumerate(chosen, start=1):
            mine = entries.get(feed.topic, [])
            found.append(bench.feed(feed, mine, lambda partition: lowest <= partition <= highest))
            advance(done)
    return [one for one in found if one.days] or found


@contextmanager
def _bench(workspace: Path, at: str, again: bool) -> Iterator[tuple[Bench, dict[str, list[Any]]]]:
    """What judges a workspace, and its ledger's entries by feed."""
    import carbon254
    from carbon254.stores.metrics import open_metrics
    from carbon254.workspace import Workspace as Folder

    from .books import books
    from .judging import Bench

    workspace = to_read(workspace)
    folder = Folder(workspace)
    entries: dict[str, list[Any]] = {}
    with books(workspace) as (ledger, _):
        for entry in ledger.entries(limit=1_000_000):
            entries.setdefault(entry.feed, []).append(entry)
    arrived = [entry.last_received for some in entries.values() for entry in some if entry.last_received]
    # Where no node runs, time stands still at the last arrival: what came due since then nobody could have brought.
    now = datetime.now(UTC) if folder.running() or not arrived else max(arrived)
    store = open_metrics(settings_of(workspace).ledger_at(folder.path("quality.db")))
    bench = Bench(lambda: carbon254.open(workspace), store, moment(at, "UTC") if at else now, again=again)
    try:
        yield bench, entries
    finally:
        bench.close()
        store.close()


def _of_file(path: Path, names: list[str]) -> FeedVerdict:
    from carbon254.feeds import feed as feed_named

    from .judging import judge_file

    if len(names) != 1:
        raise typer.BadParameter("say whose rules hold: --file prices.parquet --feed iso.da.lmp.spp")
    feed = feed_named(names[0])
    return judge_file(_frame(path, feed), feed)


def _frame(path: Path, feed: Feed) -> pl.DataFrame:
    import polars as pl

    from carbon254.model import dataset

    readers = {".parquet": pl.read_parquet, ".arrow": pl.read_ipc, ".feather": pl.read_ipc, ".csv": pl.read_csv}
    if path.suffix not in readers:
        raise typer.BadParameter(f"{path.name}: name a file that ends with {', '.join(readers)}")
    try:
        frame = readers[path.suffix](path)
    except (pl.exceptions.PolarsError, OSError) as error:
        fail(f"{path} cannot be read as {path.suffix[1:]}: {error}")
        raise
    kind = dataset(feed.stream.dataset)
    if kind.partition not in frame.columns:
        raise typer.BadParameter(f"{path.name} has no column {kind.partition}, which {feed.topic} is dated by")
    instants = [one.name for one in kind.columns if one.type == "timestamp" and one.name in frame.columns]
    texts = [name for name in instants if frame.schema[name] == pl.String]
    return frame.with_columns(pl.col(name).str.to_datetime(time_unit="us", time_zone="UTC") for name in texts)


app.command()(holding.held)
app.command()(holding.release)
