"""`c254 calendar`: what a market's label means in UTC, how an instant is printed, and how long a day is."""

from __future__ import annotations

import json
import re
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from carbon254.errors import BadLabel

from . import trading
from .console import AsJson, House, market_day, moment, out, say, show, stamp

if TYPE_CHECKING:
    from carbon254.calendars import Transition
    from carbon254.calendars.spoken import Reading

MarketName = Annotated[
    str, typer.Argument(help="CAISO, ERCOT, PJM, MISO, NYISO, ISONE, SPP, IESO, AESO, EIA-930, AEMO.")
]
Step = Annotated[str, typer.Option("--resolution", "-r", help="Length of the interval: 5m, 15m, 30m or 1h.")]
_STEPS = {
    "5m": timedelta(minutes=5),
    "15m": timedelta(minutes=15),
    "30m": timedelta(minutes=30),
    "1h": timedelta(hours=1),
}
_DAY = r"\d{4}-\d\d-\d\d|\d{1,2}/\d{1,2}/\d{4}"
_LABEL = r"H[EB]\s*\d{1,2}\s*[Xx*d]?|\d{1,2}:\d\d(?::\d\d)?\s*(?:[+-]\d\d:?\d\d|Z|[A-Z]{3}|[Xx*])?|\d\d[Xx*d]"


class Asking(House):
    """A group that takes a question in words where no command is named."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        if args and args[0] not in self.commands and not args[0].startswith("-"):
            args = ["ask", *args]
        return super().resolve_command(ctx, args)


app = typer.Typer(
    cls=Asking,
    no_args_is_help=True,
    help="Market time: labels, market days, changes of clock, holidays, blocks, gas days and contracts.\n\n"
    'Example: `c254 calendar "what is HE25 on 2025-11-02 at ERCOT in UTC?"`',
)


@app.command("ask")
def ask(
    question: Annotated[list[str], typer.Argument(help="A market, a day and a label, in any words.")],
    as_json: AsJson = False,
) -> None:
    """Answer a question in words; `ask` itself may be left out.

    Example: `c254 calendar ask "what is HE25 on 2025-11-02 at ERCOT in UTC?"`
    """
    from carbon254.calendars import markets
    from carbon254.calendars.spoken import interval_of

    words = " ".join(question)
    day = re.search(_DAY, words)
    rest = words.replace(day[0], " ") if day else words
    label = re.search(rf"(?<![\w:])(?:{_LABEL})(?![\w:])", rest)
    named = [found.id for found in markets().values() if re.search(rf"\b{_spelled(found.id)}\b", words, re.I)]
    missing = [what for what, found in (("a day", day), ("a label", label), ("a market", named)) if not found]
    if missing or not day or not label:
        raise BadLabel(
            f"the question names no {' and no '.join(part[2:] for part in missing)}; "
            'write it like: c254 calendar "HE25 on 2025-11-02 at ERCOT"'
        )
    _answer(interval_of(named[0], day[0], label[0]), as_json)


@app.command("utc")
def utc(
    market_name: MarketName,
    day: Annotated[str, typer.Argument(help="The market day, as 2025-11-02 or 11/02/2025.")],
    label: Annotated[str, typer.Argument(help="HE25, HE02, 02X, 01:05, '01:05 EST', 01:05-05:00.")],
    resolution: Step = "1h",
    as_json: AsJson = False,
) -> None:
    """The interval a label names, in UTC.

    Example: `c254 calendar utc NYISO 2025-11-02 "01:05 EST" --resolution 5m`
    """
    from carbon254.calendars.spoken import interval_of

    _answer(interval_of(market_name, day, label, _step(resolution)), as_json)


@app.command("label")
def label(
    market_name: MarketName,
    start: Annotated[str, typer.Argument(help="When the interval starts, as 2025-11-02T07:00Z.")],
    resolution: Step = "1h",
    as_json: AsJson = False,
) -> None:
    """How each of a market's files prints the interval that starts at an instant.

    Example: `c254 calendar label ERCOT 2025-11-02T07:00Z`
    """
    from carbon254.calendars import market
    from carbon254.calendars.spoken import labels_of

    printed = labels_of(market_name, moment(start, market(market_name).clock), _step(resolution))
    if as_json:
        out.print_json(json.dumps([{"convention": how.id, "file": how.title, "label": text} for how, text in printed]))
        return
    show(["convention", "file", "label"], [(how.id, how.title, text) for how, text in printed])


@app.command("day")
def day(
    market_name: MarketName,
    on: Annotated[str, typer.Argument(metavar="DAY", help="The market day.")],
    as_json: AsJson = False,
) -> None:
    """How long a market day is, where it lies in UTC, and how many intervals it has.

    Example: `c254 calendar day CAISO 2025-11-02`
    """
    from carbon254.calendars import market, market_day_span, transitions

    known, when = market(market_name), market_day(on)
    start, end = market_day_span(when, known.clock)
    hours = (end - start) / timedelta(hours=1)
    counts = {name: int(hours * 3600 / step.total_seconds()) for name, step in _STEPS.items()}
    changes = transitions(known.clock, start, end)
    if as_json:
        told = {"market": known.id, "day": str(when), "start": stamp(start), "end": stamp(end), "hours": hours}
        out.print_json(json.dumps({**told, "intervals": counts, "changes": [stamp(change.at) for change in changes]}))
        return
    rows = [
        ("market", f"{known.id}, {known.name}"),
        ("clock", known.clock),
        ("start", start),
        ("end", end),
        ("hours", hours),
    ]
    rows += [(f"intervals of {name}", count) for name, count in counts.items()]
    rows += [("change of clock", _told(change)) for change in changes]
    show(["", f"{when:%A} {when}"], rows)


@app.command("changes")
def changes(
    market_name: MarketName,
    year: Annotated[int, typer.Option("--year", help="The first year; this year where it is not given.")] = 0,
    years: Annotated[int, typer.Option("--years", min=1, max=200, help="How many years.")] = 1,
    as_json: AsJson = False,
) -> None:
    """When a market's clock changes.

    Example: `c254 calendar changes AESO --year 2025 --years 3`
    """
    from carbon254.calendars import market, transitions, zone

    known = market(market_name)
    first = year or datetime.now(UTC).year
    if not date.min.year < first < date.max.year - years:
        raise typer.BadParameter(f"{first} is out of range; write a year such as {datetime.now(UTC).year}")
    where = zone(known.clock)
    edges = (datetime(edge, 1, 1, tzinfo=where).astimezone(UTC) for edge in (first, first + years))
    found = transitions(known.clock, *edges)
    if as_json:
        out.print_json(
            json.dumps(
                [{"at": stamp(change.at), "from": change.name_before, "to": change.name_after} for change in found]
            )
        )
        return
    if not found:
        say(f"{known.id}: the clock {known.clock} does not change in that time")
        return
    show(["market day", "at", "change"], [(change.wall[0].date(), change.at, _told(change)) for change in found])


@app.command("conventions")
def list_conventions(
    market_name: Annotated[str, typer.Argument(metavar="[MARKET]", help="One market; all where it is missing.")] = "",
    as_json: AsJson = False,
) -> None:
    """The ways markets print time, and what tells a repeated hour.

    Example: `c254 calendar conventions NYISO`
    """
    from carbon254.calendars import conventions, conventions_of

    found = conventions_of(market_name) if market_name else list(conventions().values())
    if as_json:
        kept = ("id", "market", "title", "clock", "form", "edge", "repeat", "basis")
        out.print_json(json.dumps([{name: getattr(how, name) for name in kept} for how in found]))
        return
    rows = [
        (how.id, how.title, how.clock, f"{how.form} {how.edge}", f"{how.repeat} {how.sign}".strip()) for how in found
    ]
    show(["convention", "file", "clock", "names", "repeated hour"], rows)


def _answer(found: Reading, as_json: bool) -> None:
    from carbon254.calendars import zone

    where = zone(found.clock)
    local = [moment_.astimezone(where) for moment_ in (found.start, found.end)]
    if as_json:
        told = {"market": found.market, "day": str(found.day), "label": found.label, "how": found.how}
        told |= {"start": stamp(found.start), "end": stamp(found.end)}
        out.print_json(json.dumps(told | {"start_local": stamp(local[0]), "end_local": stamp(local[1])}))
        return
    span = f"[bold]{stamp(found.start)}[/bold] to [bold]{stamp(found.end)}[/bold]"
    out.print(f"{found.market} {found.label} on {found.day} = {span}", highlight=False)
    out.print(
        f"on its clock: {local[0]:%Y-%m-%d %H:%M %Z} to {local[1]:%Y-%m-%d %H:%M %Z} ({found.clock})", highlight=False
    )
    out.print(f"read as: {found.how}", highlight=False)


def _told(change: Transition) -> str:
    low, high = change.wall
    what = f"{low:%H:%M} to {high:%H:%M} is skipped" if change.skips else f"{low:%H:%M} to {high:%H:%M} comes twice"
    return f"{change.name_before} to {change.name_after}: {what}"


def _step(text: str) -> timedelta:
    if step := _STEPS.get(text.lower()):
        return step
    raise typer.BadParameter(f"{text!r} is not a length; write {', '.join(_STEPS)}")


def _spelled(name: str) -> str:
    return {"ISONE": "ISO-?NE", "EIA-930": "EIA-?930"}.get(name, name)


for answer in (trading.holidays, trading.blocks, trading.gas, trading.contract, trading.strip):
    app.command()(answer)
