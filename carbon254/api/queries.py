"""The statements readers run most, built once for HTTP and Python.

Values never become part of the text unescaped: they go through `literal`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

PRICE_COLUMNS = (
    "market", "market_run", "location", "location_id", "interval_start", "interval_end",
    "lmp", "energy", "congestion", "loss", "ghg", "known_at", "known_basis", "revision", "flags",
)  # fmt: skip
_KEY = "market, product, market_run, location_id, interval_start, interval_end"


def literal(value: str | datetime) -> str:
    """A value as SQL text. Datetimes must be aware; they become microsecond instants in UTC."""
    if isinstance(value, datetime):
        moment = value.astimezone(UTC)
        return f"fromUnixTimestamp64Micro({round(moment.timestamp() * 1_000_000)}, 'UTC')"
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def among(column: str, values: Sequence[str]) -> str:
    """`column IN (…)`."""
    return f"{column} IN ({', '.join(literal(value) for value in values)})"


def prices(
    market: str,
    start: datetime,
    end: datetime,
    locations: Sequence[str] = (),
    run: str | None = None,
    as_of: datetime | None = None,
    strict: bool = False,
) -> str:
    """Interval prices of [start, end), one row an interval: current, or as they were known at `as_of`.

    `strict` leaves out rows whose known_at was assumed. Locations match the provider's name or id.
    """
    where = [
        f"market = {literal(market)}",
        f"interval_start >= {literal(start)}",
        f"interval_start < {literal(end)}",
    ]
    if locations:
        where.append(f"({among('location', locations)} OR {among('location_id', locations)})")
    if run:
        where.append(f"market_run = {literal(run)}")
    if as_of:
        where.append(f"known_at <= {literal(as_of)}")
    if strict:
        where.append("known_basis != 'assumed'")
    columns = ", ".join(PRICE_COLUMNS)
    # The collapsed history leaves out a received row that repeats an assumed one; without assumed rows it must count.
    table = "interval_prices_versions" if strict else "interval_prices"
    return (
        f"SELECT {columns} FROM (SELECT * FROM {table} WHERE {' AND '.join(where)} "
        f"ORDER BY {_KEY}, known_at DESC, revision DESC, received_at DESC LIMIT 1 BY {_KEY}) "
        "ORDER BY market_run, location, interval_start, interval_end"
    )


def bars(location: str, width: str, start: datetime, end: datetime, market: str | None, run: str | None) -> str:
    """Bars of one location or instrument that start in [start, end)."""
    where = [
        f"(location = {literal(location)} OR location_id = {literal(location)})",
        f"width = {literal(width)}",
        f"bar_start >= {literal(start)}",
        f"bar_start < {literal(end)}",
    ]
    where += [f"market = {literal(market)}"] if market else []
    where += [f"market_run = {literal(run)}"] if run else []
    columns = (
        "market, market_run, location, location_id, width, bar_start, bar_end, "
        "open, high, low, close, mean, volume, count, expected, flags"
    )
    return f"SELECT {columns} FROM ohlc_bars WHERE {' AND '.join(where)} ORDER BY market, market_run, bar_start"


def ticks(start: datetime, end: datetime, instrument: str | None, tenant: str | None) -> str:
    """Ticks of [start, end), newest first."""
    where = [f"event_time >= {literal(start)}", f"event_time < {literal(end)}"]
    where += [f"instrument = {literal(instrument)}"] if instrument else []
    where += [f"tenant = {literal(tenant)}"] if tenant else []
    columns = "tenant, source, market, instrument, event_time, event_id, sequence, price, quantity, bid, ask, flags"
    return f"SELECT {columns} FROM market_ticks WHERE {' AND '.join(where)} ORDER BY event_time DESC"


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
    """The newest tick of each instrument within the newest day of ticks."""
    columns = (
        "tenant, source, instrument, event_time, event_id, sequence, price, quantity, bid, ask, received_at, flags"
    )
    return (
        f"SELECT {columns} FROM store.market_ticks "
        "WHERE event_time >= (SELECT max(event_time) FROM store.market_ticks) - INTERVAL 1 DAY "
        "ORDER BY event_time DESC, received_at DESC LIMIT 1 BY tenant, source, instrument"
    )
