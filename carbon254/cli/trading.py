"""`c254 calendar` for trading: holidays, peak blocks, gas days, futures contracts and delivery strips."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Annotated, Any

import typer

from .console import AsJson, market_day, moment, out, show

_Region = Annotated[str, typer.Argument(help="PJM, NYISO, ISONE, ERCOT, CAISO, WECC, SPP, MISO, AESO, IESO, AEMO, …")]
_Reference = Annotated[
    str,
    typer.Option(
        "--reference", help="The trading day that BalMo, weekend or CLZ5 counts from; today where it is missing."
    ),
]


def holidays(
    year: Annotated[int, typer.Argument(help="The year; this one where it is missing.")] = 0,
    calendar: Annotated[
        str, typer.Option("--calendar", "-c", help="NERC, NYMEX, US_FEDERAL, … or any other known one.")
    ] = "NERC",
    as_json: AsJson = False,
) -> None:
    """The days a calendar keeps.

    Example: `c254 calendar holidays 2026 --calendar NYMEX`
    """
    from carbon254.calendars.holidays import holidays_of

    kept = holidays_of(year or datetime.now(UTC).year, calendar)
    rows = [(one.day, f"{one.day:%A}", one.name, one.nominal if one.observed else None, one.basis) for one in kept]
    _table(["day", "weekday", "holiday", "kept for", "basis"], rows, as_json)


def blocks(
    region: _Region,
    year: Annotated[
        int, typer.Option("--year", help="Hours in this year; the present one where nothing is given.")
    ] = 0,
    day: Annotated[str, typer.Option("--day", help="Hours on this day instead.")] = "",
    at: Annotated[str, typer.Option("--at", help="Tell which blocks this instant lies in.")] = "",
    as_json: AsJson = False,
) -> None:
    """A region's peak blocks and their hours.

    Example: `c254 calendar blocks PJM --year 2026`, `c254 calendar blocks ERCOT --at 2026-07-04T18:00Z`
    """
    from carbon254.calendars.blocks import block_hours, blocks_of, in_block, region_named

    where = region_named(region)
    if at:
        when = moment(at, where.clock)
        rows: list[Sequence[Any]] = [
            (one.id, one.title, bool(in_block(when, where.id, one.id))) for one in blocks_of(where.id)
        ]
        _table(["block", "meaning", "in it"], rows, as_json)
        return
    asked = year or datetime.now(UTC).year
    first, last = (market_day(day),) * 2 if day else (date(asked, 1, 1), date(asked, 12, 31))
    rows = [(one.id, one.title, block_hours(where.id, one.id, first, last)) for one in blocks_of(where.id)]
    _table(["block", "meaning", "hours"], rows, as_json)
    if not as_json:
        span = f"{first}" if first == last else f"{first} to {last}"
        out.print(f"{where.title}: {span} on the clock {where.clock}, holidays {where.holidays}", highlight=False)


def gas(
    when: Annotated[
        str, typer.Argument(help="A gas day, or an instant such as 2026-03-08T12:00Z; now where it is missing.")
    ] = "now",
    kind: Annotated[str, typer.Option("--kind", help="US (09:00 Central) or EU (06:00 Central European).")] = "US",
    as_json: AsJson = False,
) -> None:
    """The gas day, its hours, and the deadlines of its nomination cycles.

    Example: `c254 calendar gas 2026-03-07`
    """
    from carbon254.calendars.gas import gas_day, gas_day_hours, gas_day_of, gas_day_span
    from carbon254.calendars.nominations import nominations
    from carbon254.errors import UnknownProduct

    day = market_day(when) if len(when) == len("YYYY-MM-DD") else gas_day_of(moment(when, gas_day(kind).clock), kind)
    start, end = gas_day_span(day, kind)
    try:
        cycles = nominations(day, kind)
    except UnknownProduct:
        cycles = []
    rows = [(f"{day} opens", start), (f"{day} ends", end), ("hours", float(gas_day_hours(day, kind)))]
    rows += [(f"{one.cycle}: nominate by", one.deadline) for one in cycles]
    _table(["gas day", "UTC"], rows, as_json)


def contract(
    code: Annotated[str, typer.Argument(help="CLZ25, NG Jan-26, HOM26, …")],
    reference: _Reference = "",
    as_json: AsJson = False,
) -> None:
    """A futures contract: when it expires, what it delivers, its size and tick.

    Example: `c254 calendar contract CLZ25`
    """
    from carbon254.calendars.contracts import parse_contract

    found = parse_contract(code, market_day(reference) if reference else datetime.now(UTC).date())
    product = found.product
    rows = [
        ("contract", f"{found} ({found.code})"),
        ("product", f"{product.title}, {product.exchange}"),
        ("last trade day", found.last_trade_day),
        ("delivery", f"{found.first_delivery_day} to {found.last_delivery_day}"),
        ("size", f"{product.size:g} {product.unit}" if product.size else product.size_note),
        ("tick", None if product.tick is None else f"{product.tick:g} {product.currency}/{product.unit}"),
        ("rule known from", f"{product.source} [{product.basis}]"),
    ]
    _table(["", ""], rows, as_json)


def strip(
    name: Annotated[str, typer.Argument(help="Jan-26, Q1-26, Cal-26, Summer-26, BalMo, weekend, next day, …")],
    region: _Region = "PJM",
    reference: _Reference = "",
    as_json: AsJson = False,
) -> None:
    """A delivery period's days, and its hours by block.

    Example: `c254 calendar strip Q1-26 ERCOT`
    """
    from carbon254.calendars.blocks import blocks_of
    from carbon254.calendars.strips import strip as read

    period = read(name, market_day(reference) if reference else datetime.now(UTC).date())
    rows: list[Sequence[Any]] = [(one.id, period.hours(region, one.id)) for one in blocks_of(region)]
    _table(["block", "hours"], rows, as_json)
    if not as_json:
        out.print(f"{period.name}: {period.first} to {period.last}, {len(period.days)} days", highlight=False)


def _table(columns: list[str], rows: Sequence[Sequence[Any]], as_json: bool) -> None:
    if not as_json:
        show(columns, rows)
        return
    told = (
        [dict(zip(columns, row, strict=True)) for row in rows]
        if all(columns) and len(columns) > 2
        else {row[0]: row[1] for row in rows}
    )
    out.print_json(json.dumps(told, default=lambda value: value.isoformat().replace("+00:00", "Z")))
