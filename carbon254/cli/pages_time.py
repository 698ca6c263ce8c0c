"""The reference pages of the calendars, derived from their data files and from the clockwork itself."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import polars as pl

from carbon254.calendars import Convention, Transition, conventions, hours_in, markets, transitions, write
from carbon254.calendars.blocks import block_hours, blocks_of, regions
from carbon254.calendars.holidays import holiday_calendars
from carbon254.calendars.products import products

_HOUR = timedelta(hours=1)
_SAMPLE = datetime(2025, 1, 1, tzinfo=UTC)
_NEXT = datetime(2026, 1, 1, tzinfo=UTC)
_CHOSEN = ("5x16", "6x16", "2x16", "7x8", "peak", "offpeak", "7x24")


def conventions_page() -> str:
    """Markets and conventions, with what each prints around the changes of clock of one year."""
    lines = ["# How each market prints its times", "", "## Markets", ""]
    lines += ["| market | clock | short days 2007–2037 | long days | publishes |", "|---|---|---:|---:|---|"]
    days = pl.date_range(date(2007, 1, 1), date(2037, 12, 31), eager=True)
    for market in markets().values():
        hours = hours_in(days, market.clock)
        steps = ", ".join(f"{step // timedelta(minutes=1)} min" for step in market.resolutions)
        counts = f"{(hours == 23).sum()} | {(hours == 25).sum()}"
        lines.append(f"| {market.id}, {market.name} | {market.clock} | {counts} | {steps} |")
    lines += ["", "## Labels", "", _LABELS, ""]
    lines += ["| convention | what | names | spring: around the skipped hour | autumn: both passes | told apart by |"]
    lines += ["|---|---|---|---|---|---|"]
    for how in conventions().values():
        names = (
            f"{'hour' if how.form == 'hour' else 'wall time of the'} {how.edge}{'ing' if how.form == 'hour' else ''}"
        )
        lines.append(
            f"| `{how.id}` | {how.title} | {names} | {_around(how, True)} | {_around(how, False)} | {_apart(how)} |"
        )
    lines += ["", "## Where this is known from", ""]
    lines += [f"- `{how.id}`: {how.basis}." for how in conventions().values()]
    return "\n".join(lines) + "\n"


_LABELS = """What each file prints for four hours in a row: in spring around the hour that the clock skips
(9 March 2025), in autumn around the one that comes twice (2 November 2025). Markets on standard time all year print
every hour once."""

_WORDS = {
    "none": "nothing repeats",
    "utc": "stamps are UTC",
    "offset": "the offset",
    "zone": "the zone's name",
    "second_flag": "a flag, true on the second pass",
    "he25": "hours numbered 1 to 25",
    "late25": "the second pass is hour 25",
    "order": "the order of rows",
}


def _apart(how: Convention) -> str:
    return _WORDS.get(how.repeat, f"`{how.sign}` after the second pass")


def _around(how: Convention, skips: bool) -> str:
    change = next((one for one in transitions(how.clock, _SAMPLE, _NEXT) if one.skips == skips), None)
    if change is None:
        return "as on any day"
    opens = change.at - 2 * _HOUR
    starts = pl.Series([opens + number * _HOUR for number in range(4)], dtype=pl.Datetime("us", "UTC"))
    return ", ".join(f"`{_label(row, how, change)}`" for row in write(starts, how, _HOUR).iter_rows(named=True))


def _label(row: dict[str, object], how: Convention, change: Transition) -> str:
    mark = row.get("mark")
    shown = f"{row['hour']:02}" if how.form == "hour" else f"{row['stamp']:%H:%M}"
    if how.repeat == "utc":
        return f"{shown}Z"
    if isinstance(mark, bool):
        return f"{shown} {'true' if mark else 'false'}"
    return f"{shown}{' ' if how.repeat == 'zone' else ''}{mark or ''}"


def trading_page() -> str:
    """Regions with their peak hours, hours of some years, calendars of holidays, and contracts."""
    lines = ["# Blocks, holidays and contracts", "", "## Peak hours", ""]
    lines += ["| region | clock | peak hours | peak block | holidays | known from |", "|---|---|---|---|---|---|"]
    for one in regions().values():
        hours, known = f"HE{one.window[0] + 1:02}–HE{one.window[1]:02}", f"{one.source} [{one.basis}]"
        lines.append(f"| {one.id}, {one.title} | {one.clock} | {hours} | {one.peak} | {one.holidays} | {known} |")
    lines += ["", "## Hours of 2026", "", f"| region | {' | '.join(_CHOSEN)} |", f"|---|{'---:|' * len(_CHOSEN)}"]
    for one in regions().values():
        known = {block.id for block in blocks_of(one.id)}
        cells = [
            f"{block_hours(one.id, name, date(2026, 1, 1), date(2026, 12, 31)):,.0f}" if name in known else ""
            for name in _CHOSEN
        ]
        lines.append(f"| {one.id} | {' | '.join(cells)} |")
    lines += ["", "## Calendars of holidays", "", "| calendar | what | known from |", "|---|---|---|"]
    lines += [f"| {one.id} | {one.title} | {one.source} [{one.basis}] |" for one in holiday_calendars().values()]
    lines += [
        "",
        "## Contracts",
        "",
        "| code | product | exchange | size | tick | known from |",
        "|---|---|---|---|---|---|",
    ]
    for one in products().values():
        size = f"{one.size:,g} {one.unit}" if one.size else one.size_note
        tick = "" if one.tick is None else f"{one.tick:g} {one.currency}"
        lines.append(f"| {one.root} | {one.title} | {one.exchange} | {size} | {tick} | {one.source} [{one.basis}] |")
    return "\n".join([*lines, "", _MARKS]) + "\n"


_MARKS = """Marks: P the exchange's or the market's own text, S secondary, C computed, K general knowledge, to be
checked before money depends on it."""
