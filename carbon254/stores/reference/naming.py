"""Which place a name means: its present and former names, followed through renames and merges."""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, NamedTuple

import sqlalchemy as sa

from carbon254.errors import AmbiguousPlace, UnknownPlace

from .tables import ALIASES, LINKS, VERSIONS, instant, micros

# Where one id is of several kinds at once, the price is the hub's.
PRIORITY = ("hubs", "zones", "nodes", "constraints")
_ALWAYS = 2**62
_LISTED = 10


@dataclass(frozen=True, slots=True)
class Link:
    """A place became another: `kind` is rename, merge or split, `at` an instant in UTC."""

    kind: str
    from_id: str
    to_id: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Resolved:
    """A place as of the moment asked for, or as it last was where it is retired.

    `matched` says what the label was: location_id, name, or former name. `via` are the links that were followed from
    it, `successors` the parts of a place that was split. Times are UTC; valid_from None is since ever.
    """

    market: str
    asked: str
    kind: str
    location_id: str
    name: str
    type: str
    region: str | None
    attributes: Mapping[str, Any]
    valid_from: datetime | None
    valid_to: datetime | None
    matched: str
    via: tuple[Link, ...] = ()
    successors: tuple[str, ...] = ()
    retired: bool = False


class Version(NamedTuple):
    """A stored version; times in microseconds since 1970 UTC."""

    kind: str
    location_id: str
    name: str
    type: str
    region: str | None
    attributes: str
    hash: str
    valid_from: int
    valid_to: int | None

    def holds(self, at: int) -> bool:
        """Whether it is valid at `at`."""
        return self.valid_from <= at and (self.valid_to is None or at < self.valid_to)


def resolve(connection: sa.Connection, market: str, label: str, as_of: int | None) -> Resolved:
    """The place that `label` names in `market`. Raises UnknownPlace and AmbiguousPlace.

    An id goes before a name, the exact spelling before another case, a name that holds at the moment before one that
    does not. Without a moment, the latest that is known counts.
    """
    at = _ALWAYS if as_of is None else as_of
    spelled = label.strip()
    ids = _candidates(connection, market, spelled)
    if not ids:
        raise _unknown(connection, market, label)
    found = [(place, _followed(connection, market, place, at)) for place in ids]
    # Of several ways to one place, the longest is told.
    reached = sorted((end for _, end in found if end), key=lambda end: len(end.via))
    ends = {end.location_id: end for end in reached}
    if not ends:
        raise _not_yet(connection, market, label, ids)
    if len(ends) > 1:
        holding = {place for place, end in found if end and place == end.location_id and _bears(end, spelled)}
        if len(holding) != 1:
            raise _ambiguous(market, label, list(ends.values()))
        ends = {place: ends[place] for place in holding}
    (end,) = ends.values()
    matched = "location_id" if spelled in ids else "name" if not end.via and _bears(end, spelled) else "former name"
    return replace(end, asked=label, matched=matched)


def all_versions(connection: sa.Connection, market: str, place: str) -> list[Version]:
    """Every version of a place, of every kind, oldest first; those taken back last."""
    names = Version._fields[1:]
    parts = [
        sa.select(sa.literal(kind).label("kind"), *(VERSIONS[kind].c[name] for name in names)).where(
            VERSIONS[kind].c.market == market, VERSIONS[kind].c.location_id == place
        )
        for kind in PRIORITY
    ]
    found = [Version(*row) for row in connection.execute(sa.union_all(*parts))]
    return sorted(found, key=lambda one: (one.valid_to == one.valid_from, one.valid_from, PRIORITY.index(one.kind)))


def standing(versions: Sequence[Version], at: int) -> Version | None:
    """The version that holds at `at`."""
    held = [one for one in versions if one.holds(at)]
    return min(held, key=lambda one: PRIORITY.index(one.kind)) if held else None


def links_of(connection: sa.Connection, market: str, column: str, place: str) -> list[Link]:
    """Links from (`from_id`) or to (`to_id`) a place, oldest first."""
    query = sa.select(LINKS.c.kind, LINKS.c.from_id, LINKS.c.to_id, LINKS.c.at).where(
        LINKS.c.market == market, LINKS.c[column] == place
    )
    rows = connection.execute(query.order_by(LINKS.c.at, LINKS.c.id))
    return [Link(kind, one, other, instant(at) or datetime.min) for kind, one, other, at in rows]


def _candidates(connection: sa.Connection, market: str, label: str) -> list[str]:
    query = sa.select(ALIASES.c.location_id, ALIASES.c.name).where(
        ALIASES.c.market == market, ALIASES.c.folded == label.lower()
    )
    rows = connection.execute(query.order_by(ALIASES.c.location_id)).fetchall()
    exact = [place for place, name in rows if name == label]
    if label in exact:
        return [label]
    return list(dict.fromkeys(exact or [place for place, _ in rows]))


def _followed(connection: sa.Connection, market: str, place: str, at: int) -> Resolved | None:
    """Where a place has gone by `at`; None where it was not yet."""
    via: list[Link] = []
    while True:
        versions = all_versions(connection, market, place)
        held = standing(versions, at)
        if held:
            return _resolved(market, held, via)
        out = [link for link in links_of(connection, market, "from_id", place) if micros(link.at) <= at]
        onward = [
            link for link in out if link.kind != "split" and (not via or link.at >= via[-1].at) and link not in via
        ]
        if onward:
            via.append(onward[-1])
            place = onward[-1].to_id
            continue
        back = [] if via else _before(connection, market, place, versions, at)
        if back:
            return _resolved(market, back[1], [back[0]])
        past = [one for one in versions if one.valid_from <= at]
        if not past:
            return None
        lived = [one for one in past if one.valid_to != one.valid_from]
        last = (lived or past)[-1]
        parts = tuple(link.to_id for link in out if link.kind == "split")
        return replace(_resolved(market, last, via), retired=True, successors=parts)


def _before(
    connection: sa.Connection, market: str, place: str, versions: Sequence[Version], at: int
) -> tuple[Link, Version] | tuple[()]:
    """The place under the id it had at `at`, before it was renamed to this one."""
    if not versions or min(one.valid_from for one in versions) <= at:
        return ()
    for link in links_of(connection, market, "to_id", place):
        held = standing(all_versions(connection, market, link.from_id), at)
        if link.kind == "rename" and held:
            return link, held
    return ()


def _resolved(market: str, one: Version, via: Sequence[Link]) -> Resolved:
    return Resolved(
        market=market,
        asked="",
        kind=one.kind,
        location_id=one.location_id,
        name=one.name,
        type=one.type,
        region=one.region,
        attributes=json.loads(one.attributes),
        valid_from=instant(one.valid_from),
        valid_to=instant(one.valid_to),
        matched="",
        via=tuple(via),
    )


def _bears(place: Resolved, label: str) -> bool:
    return label.lower() in (place.name.lower(), place.location_id.lower())


def _ambiguous(market: str, label: str, found: Sequence[Resolved]) -> AmbiguousPlace:
    ordered = sorted(found, key=lambda one: one.location_id)
    shown = "; ".join(f"{one.location_id} ({one.name}, {one.type})" for one in ordered[:_LISTED])
    more = f" and {len(found) - _LISTED:,} more" if len(found) > _LISTED else ""
    return AmbiguousPlace(
        f"{market}: {label!r} names {len(found):,} places: {shown}{more}; ask by location_id, or as of a moment"
    )


def _not_yet(connection: sa.Connection, market: str, label: str, ids: Sequence[str]) -> UnknownPlace:
    starts = [one.valid_from for place in ids for one in all_versions(connection, market, place)]
    since = instant(min(starts)) if starts else None
    return UnknownPlace(f"{market}: {label!r} was not there yet; it is listed from {since}: ask as of then, or later")


def _unknown(connection: sa.Connection, market: str, label: str) -> UnknownPlace:
    names = list(connection.execute(sa.select(ALIASES.c.name).where(ALIASES.c.market == market).distinct()).scalars())
    if not names:
        markets = connection.execute(sa.select(ALIASES.c.market).distinct().order_by(ALIASES.c.market)).scalars()
        known = ", ".join(markets) or "none"
        return UnknownPlace(f"{market}: no place is listed, so {label!r} is none; markets with places: {known}")
    folded = {name.lower(): name for name in names}
    near = difflib.get_close_matches(label.strip().lower(), folded, n=5, cutoff=0.5)
    hint = "nearest: " + ", ".join(folded[one] for one in near) if near else "nothing is spelled like it"
    return UnknownPlace(
        f"{market}: no place is or was called {label!r}; {hint}. "
        f"See c254 places list --market {market}, or add it with c254 places load"
    )
