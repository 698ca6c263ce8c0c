"""`c254 dlq list | show | reprocess`: what could not be read, why, and reading it again."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from carbon254.errors import UnknownName
from carbon254.nearest import pick

from .console import DEFAULT_WORKSPACE, Workspace, group, out, plain, say, settings_of, show, stamp, to_read

if TYPE_CHECKING:
    from carbon254.stores.log import Letter, Log

# A node lists at most so many.
_MOST_OF_A_NODE = 10_000
app = group("Dead letters: list, show, reprocess.")
FeedId = Annotated[str, typer.Option("--feed", help="Only of this feed.")]


@app.command("list")
def list_letters(
    feed: FeedId = "",
    status: Annotated[str, typer.Option(help="open, resolved, or empty for both.")] = "open",
    limit: Annotated[int, typer.Option(help="At most so many.")] = 100,
    workspace: Workspace = DEFAULT_WORKSPACE,
) -> None:
    """Payloads and rows that could not be read, with their reasons.

    Example: `c254 dlq list --feed iso.rt.lmp.spp`
    """
    from .asking import ask, node_of

    heads = ("id", "feed", "payload", "line", "reason", "status")
    status = pick("status", status, ("open", "resolved")) if status else ""
    topic = _topic(feed)
    if (url := node_of(workspace)) and limit <= _MOST_OF_A_NODE:
        found = ask(url, "/v1/dead-letters", topic=topic, status=status, limit=limit)
        show(heads, [[_short(one, name) for name in heads] for one in found["letters"]])
        say(f"{len(found['letters']):,} of {found['total']:,} letters")
        return
    from .books import books

    with books(workspace) as (_, log):
        letters = log.letters(topic, status or None, limit)
        total = log.count_letters(topic, status or None)
    rows = [(x.id, x.topic.removeprefix("dlq."), x.payload[:12], x.line, x.reason, x.status) for x in letters]
    show(heads, rows)
    say(f"{len(letters):,} of {total:,} letters")


@app.command("show")
def show_letter(
    number: Annotated[int, typer.Argument(help="Id of the letter.")], workspace: Workspace = DEFAULT_WORKSPACE
) -> None:
    """One letter whole: where it came from, why it stopped, and its text.

    Example: `c254 dlq show 3`
    """
    from carbon254.stores.raw import open_raw

    from .books import books

    with books(workspace) as (_, log):
        letter = _letter(log, number)
    facts = {
        name: getattr(letter, name) for name in ("topic", "line", "reason", "stage", "parser", "status", "payload")
    }
    for name, value in facts.items():
        _fact(name, "" if value is None else str(value))
    workspace = to_read(workspace)
    settings = settings_of(workspace)
    raw = open_raw(settings.raw_at(workspace / "raw"), settings.s3_endpoint)
    for arrival in raw.provenance(letter.payload):
        _fact("arrived", f"{stamp(arrival.received_at)}  {arrival.name}  {arrival.url}".rstrip())
    if letter.raw:
        _fact("text", letter.raw)


def _fact(name: str, value: str) -> None:
    out.print(f"{name:>10}  {plain(value)}", highlight=False, markup=False, soft_wrap=True)


@app.command()
def reprocess(
    number: Annotated[list[int] | None, typer.Option("--id", help="Only these letters.")] = None,
    feed: FeedId = "",
    everything: Annotated[bool, typer.Option("--all", help="Every open letter.")] = False,
    corrected: Annotated[
        Path | None, typer.Option("--with", help="An edited copy of the payload.", exists=True, dir_okay=False)
    ] = None,
    workspace: Workspace = DEFAULT_WORKSPACE,
) -> None:
    """Read letters again: with the present parser, or from an edited copy. Raw bytes never change.

    Doing it twice stores nothing twice. Examples: `c254 dlq reprocess --all`,
    `c254 dlq reprocess --id 3 --with corrected.csv`
    """
    from carbon254.app import open_node

    from .console import existing, secrets

    if not (number or feed or everything):
        raise typer.BadParameter("name letters with --id, --feed or --all")
    topic = _topic(feed)
    with open_node(settings_of(existing(workspace)), secrets()) as node:
        node.runner.drain()
        letters = [_letter(node.log, one) for one in number] if number else []
        letters = letters or node.log.letters(topic, "open", limit=1_000_000)
        if corrected:
            resolved, left = node.pipeline.correct(letters, corrected.read_bytes(), corrected.name, node.clock.now())
        else:
            resolved, left = node.pipeline.reprocess(letters, "present parser")
        node.runner.drain()
    say(f"{resolved:,} letters resolved, {left:,} still open")


def _short(letter: dict[str, Any], name: str) -> Any:
    """A cell of the list, from a letter as a node tells it."""
    if name == "feed":
        return letter["topic"].removeprefix("dlq.")
    return letter[name][:12] if name == "payload" else letter[name]


def _topic(feed: str) -> str | None:
    """The topic of a feed's letters, or of rejected lists of places. Raises UnknownFeed."""
    if not feed:
        return None
    from carbon254.feeds import feeds
    from carbon254.names import sender

    return f"dlq.{sender(feed, feeds())}"


def _letter(log: Log, number: int) -> Letter:
    """The letter with this id. Raises UnknownName where there is none."""
    try:
        return log.letter(number)
    except KeyError as error:
        raise UnknownName(f"{error.args[0]}; see: c254 dlq list") from None
