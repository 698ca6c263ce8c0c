"""What there is to ask for: what the cards declare, what the reference store lists, and what was ever stored.

A name is taken in any case and given back as it is kept. One that is nowhere is refused with the nearest names: an
answer without rows must never be the answer to a typo.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Protocol

from carbon254.errors import UnknownName, UnknownPlace
from carbon254.model import Stream
from carbon254.model.ticks import EVERYBODY
from carbon254.nearest import fold, pick, unknown
from carbon254.stores.hot.views import commodities

from .asked import Asked
from .stored import Fetch, StoredNames

_PRICES, _TICKS, _WEATHER, _BENCHMARKS = "interval_prices", "market_ticks", "weather_forecasts", "energy_prices"
# The view of benchmarks makes this one of interval prices.
_POWER = "electricity"
# One look-up in the reference store takes so many names.
_AT_ONCE = 500


class Listed(Protocol):
    """What the reference store knows of names."""

    def called(self, market: str | None, names: Sequence[str]) -> list[tuple[str, str]]:
        """(name, location_id) of every place that has or had one of the names, in any case."""
        ...

    def every_name(self, market: str | None = None) -> list[str]:
        """Every name that a place of the market, or of any, has or had."""
        ...


class Vocabulary:
    """The names of one workspace. `fetch` runs our own statements on its hot store, `reference` lists its places."""

    def __init__(self, streams: Mapping[str, Stream], fetch: Fetch, reference: Listed | None = None) -> None:
        self._streams, self._stored, self._reference = streams, StoredNames(fetch), reference
        # The rows that were read, and (market, spelling, id) by the spelling in lower case.
        self._indexed: tuple[frozenset[tuple[str, ...]], dict[str, set[tuple[str, str, str]]]] = (frozenset(), {})

    def settle(self, asked: Asked) -> Asked:
        """The names of a question as they are kept. Raises UnknownName (UnknownPlace for places)."""
        market = self.market(asked.market) if asked.market is not None else None
        return replace(
            asked,
            market=market,
            run=self.run(market, asked.run) if asked.run else None,
            locations=self.places(market, asked.locations),
            series=self.series(market, asked.series),
            instrument=self._one("instrument", asked.instrument, _TICKS, "instrument"),
            tenant=self._one("tenant", asked.tenant, _TICKS, "tenant", (EVERYBODY,)),
            # Bars of interval prices name their market here.
            source=self._one("source", asked.source, _TICKS, "source", self._card_markets()),
            commodity=self._one("commodity", asked.commodity, _BENCHMARKS, "commodity", (*commodities(), _POWER)),
            area=self._one("place with forecasts", asked.area, _WEATHER, "location", self._areas()),
        )

    def market(self, name: str) -> str:
        """A market that has a card or ever had a row; hyphens and blanks count for nothing (`iso-ne`)."""
        plain = {_plain(one): one for one in self._card_markets()}
        if isinstance(name, str) and _plain(name) in plain:
            return plain[_plain(name)]
        stored = {row[0] for table in (_PRICES, _TICKS) for row in self._fresh(table, "market")}
        return pick("market", name, [*self._card_markets(), *sorted(stored - set(plain.values()))])

    def run(self, market: str | None, name: str) -> str:
        """A market run that a card declares or that was ever stored, of one market where it is named."""
        known = self._card_runs(market)
        if fold(name) not in map(fold, known):
            rows = self._fresh(_PRICES, "market", "market_run")
            known += sorted({run for of, run in rows if market in (None, of)} - set(known))
        try:
            return pick("market run", name, known)
        except UnknownName as error:
            raise UnknownName(f"{market}: {error}" if market else str(error)) from None

    def places(self, market: str | None, names: Sequence[str]) -> tuple[str, ...]:
        """Every spelling and id of the places meant, those retired too. Raises UnknownPlace."""
        return self._meant(market, names, lambda _: [])

    def series(self, market: str | None, names: Sequence[str]) -> tuple[str, ...]:
        """As `places`, or instruments: what bars are made of."""
        return self._meant(market, names, self._drawn)

    def _meant(self, market: str | None, names: Sequence[str], also: Callable[[str], list[str]]) -> tuple[str, ...]:
        listed = self._listed(market, names)
        found = (one for name in names for one in self._place(market, name, listed.get(fold(name), []), also))
        return tuple(dict.fromkeys(found))

    def _listed(self, market: str | None, names: Sequence[str]) -> dict[str, list[tuple[str, str]]]:
        """(name, location_id) of the listed places that have or had each name, by the name in lower case."""
        found: dict[str, list[tuple[str, str]]] = {}
        for at in range(0, len(names) if self._reference else 0, _AT_ONCE):
            assert self._reference is not None
            for spelled, place in self._reference.called(market, names[at : at + _AT_ONCE]):
                found.setdefault(fold(spelled), []).append((spelled, place))
        return found

    def _place(
        self,
        market: str | None,
        name: str,
        listed: Sequence[tuple[str, str]],
        also: Callable[[str], list[str]],
    ) -> list[str]:
        exact = [place for spelled, place in listed if spelled == name]
        if exact:
            return [name, *([] if name in exact else exact)]
        others = also(name)
        drawn = [one for one in others if fold(one) == fold(name)]
        for fresh in (False, True):
            stored = self._spellings(market, fold(name), fresh)
            found = [*stored, *((one, one) for one in drawn), *listed]
            if found:
                same = [pair for pair in found if pair[0] == name] or found
                return [one for pair in same for one in pair]
        known = self._every_place(market, others)
        if known:
            raise UnknownPlace(self._no_place(market, name, known))
        # Nothing is listed and nothing was ever stored: there is no name to compare with, and the answer says so.
        return [name]

    def _spellings(self, market: str | None, wanted: str, fresh: bool) -> list[tuple[str, str]]:
        """(spelling, id) of stored rows whose name or id is this one, whatever its case."""
        rows = self._stored.rows(_PRICES, "market", "location_id", "location", fresh=fresh)
        if rows is not self._indexed[0]:
            index: dict[str, set[tuple[str, str, str]]] = {}
            for of, place, name in rows:
                for one in (place, name):
                    index.setdefault(one.lower(), set()).add((of, one, place))
            self._indexed = rows, index
        found = self._indexed[1].get(wanted, ())
        return sorted({(one, place) for of, one, place in found if market in (None, of)})

    def _every_place(self, market: str | None, also: Iterable[str]) -> list[str]:
        """Every name and id that is listed or was stored, names before ids."""
        rows = self._stored.rows(_PRICES, "market", "location_id", "location")
        stored = (one for of, *both in rows if market in (None, of) for one in reversed(both))
        listed = self._reference.every_name(market) if self._reference else []
        return list(dict.fromkeys([*listed, *also, *stored]))

    def _no_place(self, market: str | None, name: str, known: Sequence[str]) -> str:
        rows = self._stored.rows(_PRICES, "market", "location_id", "location")
        elsewhere = sorted({of for of, *both in rows if name in both} - {market}) if market else []
        advice = "see c254 places list" + (f" --market {market}" if market else "")
        advice += f"; {', '.join(elsewhere)} has a place of this name" if elsewhere else ""
        told = unknown("place", name, known, advice)
        return f"{market}: {told}" if market else told

    def _drawn(self, name: str) -> list[str]:
        """Instruments, and places with prices: both have bars."""
        for fresh in (False, True):
            ticks = self._stored.rows(_TICKS, "instrument", fresh=fresh)
            priced = self._stored.rows(_PRICES, "market", "location_id", "location", fresh=fresh)
            known = sorted({*(one for row in ticks for one in row), *(one for _, *both in priced for one in both)})
            if fold(name) in map(fold, known):
                break
        return known

    def _one(self, kind: str, name: str | None, table: str, column: str, also: Sequence[str] = ()) -> str | None:
        """A name of a stored column, or one of those that are known beside it. None where none was asked for."""
        if not name:
            return None
        known = [*also, *sorted(row[0] for row in self._stored.rows(table, column))]
        if fold(name) not in map(fold, known):
            known = [*also, *sorted(row[0] for row in self._fresh(table, column))]
        # Where nothing was ever stored there is no name to compare with; the answer says that it holds nothing.
        return pick(kind, name, dict.fromkeys(known)) if known else name

    def _fresh(self, table: str, *columns: str) -> frozenset[tuple[str, ...]]:
        return self._stored.rows(table, *columns, fresh=True)

    def _card_markets(self) -> list[str]:
        return sorted({stream.market for stream in self._streams.values()})

    def _card_runs(self, market: str | None) -> list[str]:
        """The runs of a market's cards; of a market without one, whose ticks are pushed, those of pushed feeds."""
        pushed = market is not None and market not in self._card_markets()
        mine = (one for one in self._streams.values() if market in (None, one.market) or (pushed and _pushed(one)))
        return sorted({one.market_run for one in mine})

    def _areas(self) -> list[str]:
        """The places that the markets of forecasts list."""
        markets = sorted({one.market for one in self._streams.values() if one.dataset == _WEATHER})
        return [name for market in markets for name in (self._reference.every_name(market) if self._reference else ())]


def _pushed(stream: Stream) -> bool:
    return stream.dataset == _TICKS


def _plain(name: str) -> str:
    return re.sub(r"[\s_-]", "", name).lower()
