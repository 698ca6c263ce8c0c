"""The statements readers run most, built once for HTTP and Python.

Values never become part of the text unescaped: they go through `literal`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from carbon254.model.ladders import Rung
from carbon254.model.ticks import NUMBER_IN_ID
from carbon254.stores.hot.literal import literal

from .known import Known

NOW = Known()

PRICE_COLUMNS = (
    "market", "market_run", "location", "location_id", "interval_start", "interval_end",
    "lmp", "energy", "congestion", "loss", "ghg", "known_at", "known_basis", "revision", "flags",
)  # fmt: skip
BAR_COLUMNS = (
    "market", "market_run", "location", "location_id", "width", "bar_start", "bar_end", "open", "high", "low", "close",
    "mean", "volume", "count", "expected", "flags", "tenant", "source",
)  # fmt: skip
BAR_ORDER = ("market", "market_run", "tenant", "source", "bar_start")
# The order of `model.ticks`, backwards.
_LAST_TICK_FIRST = (
    f"event_time DESC, coalesce(sequence, toUInt64OrNull(extract(event_id, '{NUMBER_IN_ID}'))) DESC NULLS LAST, "
    f"received_at DESC, payload DESC, position DESC NULLS LAST"
)
_KEY = "market, product, market_run, location_id, interval_start, interval_end"


def among(column: str, values: Sequence[str]) -> str:
    """`column IN (…)`."""
    return f"{column} IN ({', '.join(literal(value) for value in values)})"


def equal(**wanted: str | None) -> str:
    """`column = value` of those that are given, joined by AND."""
    return " AND ".join(f"{column} = {literal(value)}" for column, value in wanted.items() if value)


def span_where(
    market: str, start: datetime, end: datetime, locations: Sequence[str] = (), run: str | None = None
) -> str:
    """The rows of interval prices that start in [start, end); locations match the provider's name or id.

    Names are looked up first: a filter on the id reaches the table, one on the name would read every row.
    """
    where = [
        f"market = {literal(market)}",
        f"interval_start >= {literal(start)}",
        f"interval_start < {literal(end)}",
    ]
    where += [f"market_run = {literal(run)}"] if run else []
    if locations:
        named = f"({among('location', locations)} OR {among('location_id', locations)})"
        spanned = " AND ".join(where)
        where.append(f"location_id IN (SELECT location_id FROM interval_prices_arrivals WHERE {spanned} AND {named})")
    return " AND ".join(where)


def prices(
    market: str,
    start: datetime,
    end: datetime,
    locations: Sequence[str] = (),
    run: str | None = None,
    known: Known = NOW,
    now: datetime | None = None,
) -> str:
    """Interval prices of [start, end), one row an interval: current, as known at a moment, or at a rung.

    Locations match the provider's name or id. Rows whose rung is not reached at `now` are left out.
    """
    where = span_where(market, start, end, locations, run)
    columns = ", ".join(PRICE_COLUMNS)
    order = "ORDER BY market_run, location, interval_start, interval_end"
    if known.now:
        return (
            f"SELECT {columns} FROM (SELECT * FROM interval_prices WHERE {where} "
            f"ORDER BY {_KEY}, known_at DESC, revision DESC, received_at DESC LIMIT 1 BY {_KEY}) {order}"
        )
    if known.rung:
        columns += ", rung_reached_at"
        where += f" AND rung_reached_at <= {literal(now)}" if now else ""
    return f"SELECT {columns} FROM {known.view('interval_prices')} WHERE {where} {order}"


def change(
    market: str,
    start: datetime,
    end: datetime,
    between: tuple[Rung, Rung],
    locations: Sequence[str] = (),
    run: str | None = None,
    now: datetime | None = None,
) -> str:
    """The price at one rung beside the price at a later one, and their difference, an interval a row."""
    where = span_where(market, start, end, locations, run)
    where += f" AND rung_reached_at <= {literal(now)}" if now else ""
    earlier, later = between
    view = f"interval_prices_change(from_rung = {literal(earlier.name)}, to_rung = {literal(later.name)})"
    return f"SELECT * FROM {view} WHERE {where} ORDER BY market_run, location, interval_start, interval_end"


def benchmarks(start: date, end: date, commodity: str | None = None, known: Known = NOW) -> str:
    """Benchmarks of the dates [start, end): one a commodity and date."""
    view = "energy_prices" if known.now else known.view("energy_prices")
    where = benchmarks_where(start, end, commodity)
    return f"SELECT * FROM {view} WHERE {where} ORDER BY commodity, price_date"


def benchmarks_where(start: date, end: date, commodity: str | None) -> str:
    """The rows of benchmarks of the dates [start, end)."""
    where = [f"price_date >= '{start.isoformat()}'", f"price_date < '{end.isoformat()}'"]
    return " AND ".join([*where, *([f"commodity = {literal(commodity)}"] if commodity else [])])


def forecasts(
    start: datetime, end: datetime, location: str | None = None, known: Known = NOW, gate: str = "", every: bool = False
) -> str:
    """Forecasts of the periods that start in [start, end): the newest issue of each, or every one.

    As known at a moment, or, with the market `gate` names, when its day-ahead gate closed.
    """
    where = forecasts_where(start, end, location)
    newest = "" if every or gate else " LIMIT 1 BY source, location, forecast_time"
    if gate:
        view = f"weather_forecasts_at_gate(market = {literal(gate)})"
    else:
        view = "current_weather_forecasts" if known.now else known.view("weather_forecasts")
    return (
        f"SELECT * FROM (SELECT * FROM {view} WHERE {where} "
        f"ORDER BY source, location, forecast_time, issued_at DESC{newest}) "
        "ORDER BY source, location, forecast_time, issued_at"
    )


def forecasts_where(start: datetime, end: datetime, location: str | None) -> str:
    """The rows of forecasts of the periods that start in [start, end)."""
    where = [f"forecast_time >= {literal(start)}", f"forecast_time < {literal(end)}"]
    return " AND ".join([*where, *([f"location = {literal(location)}"] if location else [])])


@dataclass(frozen=True, slots=True)
class BarsAsked:
    """Bars of a place or instrument (every spelling and id that mean it) that start in [start, end)."""

    locations: Sequence[str]
    width: str
    start: datetime
    end: datetime
    market: str | None = None
    run: str | None = None
    tenant: str | None = None
    source: str | None = None


def bars(asked: BarsAsked, known: Known = NOW) -> str:
    """The bars, of prices as known then; those of each tenant and source by themselves."""
    columns, order = ", ".join(BAR_COLUMNS), ", ".join(BAR_ORDER)
    return f"SELECT {columns} FROM {bars_view(known)} WHERE {bars_where(asked)} ORDER BY {order}"


def bars_view(known: Known = NOW) -> str:
    """The view of bars as known then, ready to stand behind FROM."""
    return "ohlc_bars" if known.now else known.view("ohlc_bars")


def bars_where(asked: BarsAsked) -> str:
    """The rows of bars that are asked for. Ids reach the tables of prices, names would not: `asked` has the ids."""
    where = [
        among("location_id", asked.locations),
        f"width = {literal(asked.width)}",
        f"bar_start >= {literal(asked.start)}",
        f"bar_start < {literal(asked.end)}",
    ]
    narrowed = equal(market=asked.market, market_run=asked.run, tenant=asked.tenant, source=asked.source)
    return " AND ".join([*where, *([narrowed] if narrowed else [])])


def ticks(
    start: datetime,
    end: datetime,
    instrument: str | None,
    tenant: str | None,
    known: Known = NOW,
    source: str | None = None,
) -> str:
    """Ticks of [start, end), newest first."""
    view = "market_ticks" if known.now else known.view("market_ticks")
    columns = (
        "tenant, source, market, instrument, event_time, event_id, sequence, price, quantity, bid, ask, flags, "
        "received_at, commodity, region, product_tier, location_id, unit"
    )
    where = ticks_where(start, end, instrument, tenant, source)
    return f"SELECT {columns} FROM {view} WHERE {where} ORDER BY {_LAST_TICK_FIRST}"


def ticks_where(
    start: datetime, end: datetime, instrument: str | None, tenant: str | None, source: str | None = None
) -> str:
    """The rows of ticks of [start, end)."""
    where = [f"event_time >= {literal(start)}", f"event_time < {literal(end)}"]
    where += [f"instrument = {literal(instrument)}"] if instrument else []
    where += [f"tenant = {literal(tenant)}"] if tenant else []
    where += [f"source = {literal(source)}"] if source else []
    return " AND ".join(where)


def newest_intervals() -> str:
    """The newest interval start of each market and run."""
    return (
        "SELECT market, market_run, max(interval_start) AS top FROM store.interval_prices GROUP BY market, market_run"
    )


def newest_prices(since: Sequence[tuple[str, str, datetime]]) -> str:
    """The newest interval of each place, in its newest version, from the given (market, run, instant) on.

    Reads the table and not the view: the newest version of the newest interval needs no history.
    """
    spans = " OR ".join(
        f"(market = {literal(market)} AND market_run = {literal(run)} AND interval_start >= {literal(start)})"
        for market, run, start in since
    )
    columns = ", ".join((*PRICE_COLUMNS, "location_type", "received_at"))
    return (
        f"SELECT {columns} FROM store.interval_prices WHERE {spans} ORDER BY market, market_run, location_id, "
        "interval_start DESC, known_at DESC, revision DESC, received_at DESC LIMIT 1 BY market, market_run, location_id"
    )


def newest_ticks() -> str:
    """The newest tick of each tenant, source and instrument within the newest day of ticks."""
    columns = (
        "tenant, source, instrument, event_time, event_id, sequence, price, quantity, bid, ask, received_at, "
        "payload, position, flags"
    )
    return (
        f"SELECT {columns} FROM store.market_ticks "
        "WHERE event_time >= (SELECT max(event_time) FROM store.market_ticks) - INTERVAL 1 DAY "
        f"ORDER BY {_LAST_TICK_FIRST} LIMIT 1 BY tenant, source, instrument"
    )
