"""What every command shares: where output goes, how errors look, how times are read and told."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from zoneinfo import ZoneInfo

import typer
from typer.core import TyperGroup

from carbon254.disk import disk_trouble
from carbon254.errors import BadLabel, Carbon254Error, WrongQuestion, WrongSpan
from carbon254.nearest import pick
from carbon254.workspace import DEFAULT, DEMO, stored_default

from .parameters import read_late

if TYPE_CHECKING:
    from rich.console import Console

    from carbon254.settings import Settings

_WIDE = 200


# A pipe has no width of its own; tables must not be cut to a terminal that is not there.
class _Late:
    """A console of rich that is made when something is first printed: a command that prints nothing pays nothing."""

    def __init__(self, stderr: bool) -> None:
        self._stderr = stderr

    @cached_property
    def console(self) -> Console:
        from rich.console import Console

        stream = sys.stderr if self._stderr else sys.stdout
        return Console(stderr=self._stderr, width=None if stream.isatty() else _WIDE)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.console, name)


out, err = _Late(stderr=False), _Late(stderr=True)
# Bytes of a payload may hold what a terminal would obey; tabs and line breaks may stay.
_CONTROL = dict.fromkeys((*range(9), 11, 12, *range(14, 32), *range(127, 160)), "�")

# The workspace of the command that runs, so that what its disk refuses is told with its name.
_asked: dict[str, Path] = {}


def _named(workspace: Path) -> Path:
    _asked["workspace"] = workspace
    return workspace


def _stored(context: typer.Context, workspace: Path) -> Path:
    """Where none is named and only the demo has run, its workspace, which is said."""
    source = context.get_parameter_source("workspace")
    if source is None or source.name != "DEFAULT" or workspace != DEFAULT:
        return _named(workspace)
    found = stored_default()
    if found != workspace:
        say(f"{found}: emulated data of the demo, for there is no {workspace} yet")
    return _named(found)


_HELP = "Folder that holds everything the node keeps."
# The one that a command brings something into; a command that reads falls back on the demo's.
NewWorkspace = Annotated[Path, typer.Option("--workspace", "-w", envvar="C254_WORKSPACE", help=_HELP, callback=_named)]
Workspace = Annotated[Path, typer.Option("--workspace", "-w", envvar="C254_WORKSPACE", help=_HELP, callback=_stored)]
Zone = Annotated[
    str, typer.Option("--tz", help="Tell times in this IANA zone, or `market` for the market's own clock.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, and nothing else, on standard output.")]
EmulatorUrl = Annotated[
    str, typer.Option("--emulator-url", envvar="C254_EMULATOR_URL", help="Fetch from this emulator instead.")
]
DEFAULT_WORKSPACE, DEMO_WORKSPACE = DEFAULT, DEMO


FORMS = ("csv", "json", "arrow")


class House(TyperGroup):
    """A command group whose expected errors are one line on standard error, without a traceback."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(self.commands)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        found = super().get_command(ctx, cmd_name)
        if found is not None:
            read_late(found.get_params(ctx))
        return found

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        read_late(self.get_params(ctx))
        return super().parse_args(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        # What a command makes, in a workspace or beside it, is its user's alone.
        os.umask(0o077)
        try:
            return super().invoke(ctx)
        except WrongQuestion as error:
            # What was asked cannot be; a program that calls us tells it from what went wrong on the way.
            fail(str(error), 2)
        except BrokenPipeError:
            # The reader went away (`| head`); what it wanted it has.
            sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123
            raise typer.Exit(0) from None
        except (typer.Exit, typer.Abort):
            raise
        except Exception as error:
            trouble = disk_trouble(error, _asked.get("workspace", DEFAULT_WORKSPACE).absolute())
            if trouble is not None:
                fail(str(trouble), 2)
            if not isinstance(error, Carbon254Error):
                raise
            fail(str(error))


def group(said: str, kind: type[House] = House) -> typer.Typer:
    """A group of commands as all of ours are; `said` is its help."""
    return typer.Typer(
        cls=kind, no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode="markdown", help=said
    )


def fail(message: str, code: int = 1) -> None:
    """End with one red line."""
    complain(f"error: {message}")
    raise typer.Exit(code)


def complain(message: str) -> None:
    """One red line on standard error; what it quotes is shown as it is."""
    from rich.markup import escape

    err.print(f"[red]{escape(plain(message))}[/red]", highlight=False, soft_wrap=True)


def say(message: str) -> None:
    """One line on standard error, as it is."""
    err.print(plain(message), highlight=False, markup=False, soft_wrap=True)


def plain(text: str) -> str:
    """Text of others, safe to show: a terminal obeys none of it."""
    return text.translate(_CONTROL)


def settings_of(workspace: Path, **changes: Any) -> Settings:
    """Settings from the environment, with what the command line says instead."""
    from carbon254.settings import load_settings

    given = {name: value for name, value in changes.items() if value not in (None, "")}
    return load_settings(workspace=workspace, **given)


def existing(workspace: Path) -> Path:
    """The folder, if it is a workspace. Raises NoWorkspace: only commands that bring data in make a new one."""
    from carbon254.workspace import Workspace as Folder

    Folder(workspace).existing()
    return workspace


def to_write(workspace: Path) -> Path:
    """The folder of a workspace that may be written. Raises NoWorkspace, DiskRefused."""
    from carbon254.mirror import refuse_read_only

    refuse_read_only(existing(workspace))
    return workspace


def to_read(workspace: Path) -> Path:
    """The folder of a workspace, or a mirror of one that may only be read. Raises NoWorkspace, DiskTrouble."""
    from carbon254.mirror import readable

    return readable(existing(workspace))


def secrets() -> dict[str, str]:
    """Credentials by the names the cards give, from the environment."""
    from carbon254.feeds import feeds

    names = {name for found in feeds().values() for name in found.stream.provider.access.env}
    return {name: os.environ[name] for name in names if os.environ.get(name)}


def show(columns: Sequence[str], rows: Iterable[Sequence[Any]], title: str = "") -> None:
    """A table; numbers to the right, nothing for None."""
    from rich.table import Table
    from rich.text import Text

    from .tables import write

    found = [list(row) for row in rows]
    table = Table(title=title or None, title_justify="left", header_style="bold")
    for index, name in enumerate(columns):
        numeric = bool(found) and all(isinstance(row[index], int | float | None) for row in found)
        table.add_column(Text(plain(name)), justify="right" if numeric else "left", no_wrap=index == 0)
    write(out.console, table, [[plain(cell(value)) for value in row] for row in found])


def tell(columns: Sequence[str], rows: Iterable[Sequence[Any]], as_json: bool) -> None:
    """A table, or the same as a JSON list of objects."""
    if not as_json:
        show(columns, rows)
        return
    names = [name.replace(" ", "_") for name in columns]
    plain_rows = [dict(zip(names, (cell(v) if isinstance(v, date) else v for v in row), strict=True)) for row in rows]
    out.print_json(data=plain_rows)


def cell(value: Any) -> str:
    """A value as people read it."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return stamp(value)
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:g}" if isinstance(value, float) else str(value)


def stamp(moment: datetime) -> str:
    """ISO 8601, `Z` for UTC, seconds and parts of them only where there are any."""
    parts = "microseconds" if moment.microsecond else "seconds"
    return moment.isoformat(timespec=parts).replace("+00:00", "Z")


def moment(text: str, zone: str) -> datetime:
    """An instant from ISO 8601, a date (its start in `zone`), a word such as `yesterday`, or `now`.

    Raises BadParameter for what is none, and for a time that the zone's clock skips or shows twice.
    """
    from carbon254.calendars import moment_of

    zone_of(zone)
    try:
        return moment_of(text, zone, datetime.now(UTC), "2025-07-01, 2025-07-01T14:00Z, yesterday or now")
    except BadLabel as error:
        raise typer.BadParameter(str(error)) from None


def form_of(name: str, *also: str) -> str:
    """A format that answers are printed in. Raises UnknownName."""
    return pick("format", name, (*also, *FORMS))


def market_days(first: str, last: str) -> tuple[str, str]:
    """First and last market day, both included, as ISO text; either may be left out. Raises WrongSpan."""
    low, high = (market_day(text).isoformat() if text else "" for text in (first, last))
    if low and high and high < low:
        raise WrongSpan(f"--to {high} is before --from {low}")
    return low, high


def market_day(text: str) -> date:
    """A market day from its ISO date. Raises BadParameter with an example."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not a market day; write one like 2025-07-01") from None


def zone_of(name: str) -> ZoneInfo:
    """A time zone by its IANA name. Raises BadParameter."""
    from carbon254.calendars.zones import zone, zone_name

    try:
        return zone(zone_name(name))
    except BadLabel as error:
        raise typer.BadParameter(str(error)) from None


@contextmanager
def progress(title: str, total: int | None = None) -> Iterator[Any]:
    """A bar on a terminal, silence elsewhere. Yields a function of (done, total)."""
    if not sys.stderr.isatty():
        yield lambda done, of=None: None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=err.console, transient=True) as bar:
        task = bar.add_task(title, total=total)

        def advance(done: int, of: int | None = None) -> None:
            if of is not None:
                bar.update(task, total=of)
            bar.update(task, completed=done)

        yield advance
