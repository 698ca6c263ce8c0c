"""What the store holds, said beside an answer without rows: of the place asked for, else of its market."""

from __future__ import annotations

from collections.abc import Sequence

from carbon254.stores.hot.literal import literal

from .known import Fetch
from .marks import market_day_text
from .queries import among

_NOTHING = "nothing is stored for what was asked"


def prices_held(fetch: Fetch, market: str, locations: Sequence[str] = (), run: str | None = None) -> str:
    """The market days of interval prices that are stored of the places, of the market where there are none."""
    of_market = f"market = {literal(market)}"
    if locations:
        named = f"({among('location', locations)} OR {among('location_id', locations)})"
        here = _spans(fetch, "interval_prices_arrivals", f"{of_market} AND {named}", market)
        if here:
            return f"{_NOTHING}. {market} {locations[0]}: {_told(here, run)}"
    found = _spans(fetch, "interval_prices_arrivals", of_market, market)
    if not found:
        return f"{_NOTHING}; no price of {market} is stored yet. Bring some in with: c254 feeds run (c254 feeds list)"
    nothing = f"{_NOTHING}, of {locations[0]} at any time" if locations else _NOTHING
    return f"{nothing}. {market}: {_told(found, run)}"


def bars_held(fetch: Fetch, locations: Sequence[str], width: str) -> str:
    """The days of bars of a place or instrument that are stored."""
    named = f"({among('location', locations)} OR {among('location_id', locations)}) AND width = {literal(width)}"
    return dataset_held(fetch, "ohlc_bars", "bar_start", named, f"bars of {width} of {locations[0]}")


def dataset_held(fetch: Fetch, view: str, column: str, where: str, what: str) -> str:
    """The days of a dataset that are stored under `where`; `what` says of what."""
    clause = f" WHERE {where}" if where else ""
    row = fetch(f"SELECT count() AS n, min({column}) AS first, max({column}) AS last FROM {view}{clause}").to_pylist()
    if not row or not row[0]["n"]:
        return f"{_NOTHING}; nothing of {what} is stored yet"
    first, last = (str(moment)[:10] for moment in (row[0]["first"], row[0]["last"]))
    return f"{_NOTHING}. {what}: {first} … {last}"


def _spans(fetch: Fetch, view: str, where: str, market: str) -> list[tuple[str, str, str]]:
    """(run, first market day, last market day), in the order of the runs."""
    found = fetch(
        "SELECT CAST(market_run, 'String') AS run, min(interval_start) AS first, max(interval_start) AS last "
        f"FROM {view} WHERE {where} GROUP BY run ORDER BY run"
    ).to_pylist()
    day = lambda moment: market_day_text(moment, market)  # noqa: E731
    return [(row["run"], day(row["first"]), day(row["last"])) for row in found]


def _told(spans: list[tuple[str, str, str]], run: str | None) -> str:
    whole = f"{min(first for _, first, _ in spans)} … {max(last for _, _, last in spans)}"
    each = "; ".join(f"{of} {first} … {last}" for of, first, last in spans)
    missing = f"; none of {run}" if run and run not in {of for of, _, _ in spans} else ""
    return f"{whole} ({each}{missing})"
