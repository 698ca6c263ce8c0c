"""Market runs that answer a question which named none: told for one release, refused under C254_STRICT=1.

A day-ahead price and a real-time price of one hour are two prices. Rows of both under each other look like a series
and are none, and what is folded over them (a mean, a bar, a resample) is a number that nobody traded at.
"""

from __future__ import annotations

from collections.abc import Iterable

from carbon254.errors import SeveralRuns

from .known import Fetch, Known

_LATER = "C254_STRICT=1 refuses this now, a later release always"


def runs_answering(fetch: Fetch, where: str, known: Known) -> list[str]:
    """The market runs of the interval prices that `where` finds, as known then, in order."""
    view = "interval_prices_arrivals"
    found = _runs(fetch, view, where)
    # Every stored row of a key has one that stands; what was known then may be of fewer runs.
    return found if known.now or len(found) < 2 else _runs(fetch, known.view("interval_prices"), where)


def _runs(fetch: Fetch, view: str, where: str) -> list[str]:
    found = fetch(f"SELECT DISTINCT CAST(market_run, 'String') AS run FROM {view} WHERE {where} ORDER BY run")
    return found["run"].to_pylist() if found.num_columns else []


def several(series: Iterable[tuple[str, str]]) -> str:
    """What to say of rows of these (market, run); empty where they are of one of each."""
    pairs = sorted(set(series))
    markets = list(dict.fromkeys(market for market, _ in pairs))
    if len(markets) > 1:
        told = ", ".join(f"{market} {run}" for market, run in pairs)
        one = markets[0]
        return f'several markets answer: {told}; name one as the market (market="{one}")'
    runs = [run for _, run in pairs]
    if len(runs) > 1:
        one = runs[0]
        return (
            f"{markets[0]}: {len(runs)} market runs answer: {', '.join(runs)}; "
            f'name one as the run (run="{one}", --run {one})'
        )
    return ""


def told_or_refused(text: str, strict: bool) -> str:
    """What to say beside the rows; empty where nothing is mixed. Raises SeveralRuns where `strict`."""
    if text and strict:
        raise SeveralRuns(text)
    return f"{text}; {_LATER}" if text else ""
