"""As known when: a moment, a settlement rung, or now; and by what rows count as known.

`published` goes by `known_at` (received live, else published, else assumed), `strict` leaves assumed rows out,
`received` goes by `received_at`: what this workspace held.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pyarrow as pa

from carbon254.calendars import market as market_named
from carbon254.calendars import market_day_of
from carbon254.errors import QueryRefused
from carbon254.model.ladders import Rung
from carbon254.model.ladders import rung as rung_named
from carbon254.nearest import pick
from carbon254.stores.hot.cutoffs import reached

BASES = ("published", "received", "strict")
_ENDINGS = {"published": ("as_of", "at_rung"), "strict": ("as_of_strict", "at_rung_strict"),
            "received": ("as_received", "at_rung_received")}  # fmt: skip
_EVER = datetime(2262, 1, 1, tzinfo=UTC)

Fetch = Callable[[str], pa.Table]


@dataclass(frozen=True, slots=True)
class Known:
    """At most one of `as_of` and `rung`; neither is now."""

    as_of: datetime | None = None
    rung: Rung | None = None
    basis: str = "published"

    @property
    def now(self) -> bool:
        """Whether the current version is asked for, as it is stored."""
        return self.as_of is None and self.rung is None and self.basis == "published"

    def view(self, name: str) -> str:
        """The view of a dataset as known then, ready to stand behind FROM."""
        as_of, at_rung = _ENDINGS[self.basis]
        if self.rung:
            return f"{name}_{at_rung}(rung = '{self.rung.name}')"
        return f"{name}_{as_of}(as_of = '{sql_moment(self.as_of or _EVER)}')"


def known(
    as_of: datetime | None = None, *, strict: bool = False, basis: str = "", rung: str = "", market: str = ""
) -> Known:
    """What is asked for. Raises QueryRefused for what contradicts itself, UnknownRung listing the market's rungs."""
    basis = pick("basis", basis, BASES) if basis else ""
    if strict and basis not in ("", "strict"):
        raise QueryRefused(f"strict and basis={basis} contradict each other; leave one out")
    if as_of and rung:
        raise QueryRefused("as_of and rung both say when; leave one out")
    if rung and not market:
        raise QueryRefused("a rung is a market's own: say which market")
    return Known(as_of, rung_named(market, rung) if rung else None, "strict" if strict else basis or "published")


def sql_moment(moment: datetime) -> str:
    """An instant as the views' parameters are written: UTC, without a zone."""
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")


def reached_at(rung: Rung, day: date) -> datetime:
    """When a market day reaches the rung."""
    return reached(rung, day)[0]


def not_reached(rung: Rung, start: datetime, end: datetime, now: datetime) -> str:
    """Says from which market day of [start, end) on the rung is not reached yet; empty where every day is there."""
    clock = market_named(rung.market).clock
    first, last = market_day_of(start, clock), market_day_of(end - timedelta(microseconds=1), clock)
    if last < first or reached_at(rung, last) <= now:
        return ""
    while first < last:  # the moments grow with the day
        middle = first + (last - first) // 2
        first, last = (first, middle) if reached_at(rung, middle) > now else (middle + timedelta(days=1), last)
    when = _stamp(reached_at(rung, first))
    return (
        f"{rung.market} {rung.name} is not reached yet from market day {first} on ({first} reaches it at {when}); "
        "rows of those days are left out"
    )


def why_empty(fetch: Fetch, view: str, where: str, asked: Known) -> str:
    """Why an answer as of a moment has no rows; empty where nothing of it is stored at any time.

    `view` holds every stored row of the dataset.
    """
    by_arrival = asked.basis == "received" or view == "market_ticks"
    column = "received_at" if by_arrival else "known_at"
    columns = f"count() AS n, min({column}) AS first"
    if asked.basis == "strict" and not by_arrival:
        columns += ", countIf(known_basis != 'assumed') AS sure"
    found: dict[str, Any] = fetch(f"SELECT {columns} FROM {view} WHERE {where}").to_pylist()[0]
    if not found["n"]:
        return ""
    if found.get("sure") == 0:
        return f"all {found['n']:,} rows stored for it have an assumed known_at, and strict leaves those out"
    if asked.as_of is None:
        return "rows are stored for it, but none was known at that rung"
    word = "received" if by_arrival else "known"
    return f"nothing of it was {word} at {_stamp(asked.as_of)}; the first record was {word} at {_stamp(found['first'])}"


def _stamp(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
