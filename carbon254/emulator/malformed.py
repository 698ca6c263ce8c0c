"""Payloads that are wrong on purpose, across the seven markets: what the dead letters are tested and shown with.

Payloads come in turn: one that cannot be read at all (cut, a web page, zeros, a renamed column, noise), which makes one
dead letter, then one that can be read but for a known number of rows, each of which makes one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta

from carbon254.calendars import market_day_span
from carbon254.feeds.catalogue import feed

from .desks import desk
from .noise import key
from .spoil import bad_rows, wrong_columns
from .world import Ask, World

TOPICS = (
    "iso.da.lmp.spp",
    "iso.da.lmp.caiso",
    "iso.da.lmp.miso",
    "iso.da.lmp.nyiso",
    "iso.da.lmp.pjm",
    "iso.da.lmp.ercot",
    "iso.da.lmp.isone",
)
_MOST_BAD_ROWS = 5
_LATER_S = 86_400 * 400


def malformed(count: int, seed: int, day: date | None = None) -> Iterator[tuple[str, str, bytes, int]]:
    """(topic, file name, bytes, dead letters expected) of `count` payloads.

    Their market days end at `day` (by default two days ago, UTC) and go back one for each turn through the markets, so
    that no two payloads are equal.
    """
    last = day or (datetime.now(UTC) - timedelta(days=2)).date()
    for number in range(count):
        turn, place = divmod(number // 2, len(TOPICS))
        topic = TOPICS[place]
        name, data = sound(topic, last - timedelta(days=turn), seed)
        if number % 2 == 0:
            spoil = _UNREADABLE[key("unreadable", seed, number) % len(_UNREADABLE)]
            yield topic, f"{number:05d}_{name}", spoil(data, number), 1
        else:
            rows = 1 + key("bad rows", seed, number) % _MOST_BAD_ROWS
            yield topic, f"{number:05d}_{name}", bad_rows(data, rows, seed + number), rows


def sound(topic: str, day: date, seed: int) -> tuple[str, bytes]:
    """The file name and bytes a provider publishes for a market day: the first answer to the feed's own requests."""
    found = feed(topic)
    begin, end = market_day_span(day, found.stream.clock)
    request = next(iter(found.requests(begin, end)))
    ask = Ask(found.stream.provider.id, request.path, _query(request.params))
    world = World(seed, int(end.timestamp()) + _LATER_S)
    return request.name, desk(found.stream.provider.id)(ask, world).body


def _query(params: object) -> tuple[tuple[str, str], ...]:
    pairs = []
    for name, value in dict(params).items():  # type: ignore[call-overload]
        values = value if isinstance(value, list | tuple) else [value]
        pairs.extend((name, str(each)) for each in values)
    return tuple(pairs)


def _cut(data: bytes, number: int) -> bytes:
    """An archive or JSON cut in half; a CSV without its first half, since without its last it would be readable."""
    half = len(data) // 2
    return data[:half] if data[:1] in (b"P", b"{", b"[") else data[half:]


def _page(data: bytes, number: int) -> bytes:
    return b"<!DOCTYPE html><html><body><h1>502 Bad Gateway</h1><p>incident %d</p></body></html>" % number


def _zeros(data: bytes, number: int) -> bytes:
    """What a disk leaves of a file; of a different length each time, since equal payloads are taken once."""
    return b"\0" * (64 + number)


def _renamed(data: bytes, number: int) -> bytes:
    return wrong_columns(data)


def _noise(data: bytes, number: int) -> bytes:
    return b"".join(key("noise", number, turn).to_bytes(8, "little") for turn in range(64))


_UNREADABLE: tuple[Callable[[bytes, int], bytes], ...] = (_cut, _page, _zeros, _renamed, _noise)
