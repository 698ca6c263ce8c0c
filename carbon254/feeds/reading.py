"""A payload as it came → rows: unpacked, told apart from what is no data, all members of an archive one statement.

Members are read in the order of their names, one at a time; a provider that parts one statement over several files has
`parse_members` and gets them together. A member that cannot be read is a reject that names it, and the rest goes on;
an archive of which nothing can be read is refused as a whole.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TypeVar

import polars as pl

from carbon254.errors import NothingYet, PayloadRefused
from carbon254.wire.archive import unpack
from carbon254.wire.text import utf8

from .answers import explain, refuse_empty_and_pages
from .contract import Payload, Rows, rejects

Parse = Callable[[Payload], Iterator[Rows]]
ParseMembers = Callable[[list[Payload]], Iterator[Rows]]
T = TypeVar("T")
Explain = Callable[[str, bytes], PayloadRefused | None]
_HEAD = 65_536


def parsed(payload: Payload, parse: Parse, own: Explain | None) -> Iterator[Rows]:
    """Rows of one file. Raises PayloadRefused, saying what the file is where that can be told; NothingYet if empty."""
    payload = replace(payload, data=utf8(payload.data))
    head = payload.data[:_HEAD]
    began = False
    try:
        refuse_empty_and_pages(head)
        for rows in parse(payload):
            began = True
            yield rows
    except NothingYet:
        raise
    except PayloadRefused as refusal:
        known = None if began else (own(payload.name, head) if own else None) or explain(head)
        raise known or refusal from None


def checked(member: Payload, work: Callable[[Payload], T], own: Explain | None) -> T:
    """What `work` makes of one member of an archive. Raises PayloadRefused as `parsed` does."""
    head = member.data[:_HEAD]
    try:
        refuse_empty_and_pages(head)
        return work(member)
    except NothingYet:
        raise
    except PayloadRefused as refusal:
        raise (own(member.name, head) if own else None) or explain(head) or refusal from None


def read(payload: Payload, one: Callable[[Payload], Iterator[Rows]], together: ParseMembers | None) -> Iterator[Rows]:
    """Rows of a payload as it came; `one` reads a member by itself. Raises PayloadRefused, NothingYet."""
    members = (replace(payload, name=name, data=data) for name, data in unpack(payload.name, payload.data))
    first = next(members)
    second = next(members, None)
    if second is None:
        yield from one(first)
        return
    if together is not None:
        yield from together([replace(member, data=utf8(member.data)) for member in (first, second, *members)])
        return
    refused: list[tuple[str, PayloadRefused]] = []
    began = False
    for member in _in_turn(first, second, members):
        try:
            for rows in one(member):
                began = True
                yield _named(rows, member.name)
        except PayloadRefused as refusal:
            refused.append((member.name, refusal))
    if refused:
        yield from unread(refused, began)


def unread(refused: list[tuple[str, PayloadRefused]], began: bool) -> Iterator[Rows]:
    """Members that could not be read as rejects that name them, those that hold nothing yet left out.

    Raises where nothing of the archive was read: NothingYet if all of them only hold nothing yet.
    """
    bad = [f"{name}: {refusal}" for name, refusal in refused if not isinstance(refusal, NothingYet)]
    if not began:
        raise PayloadRefused("; ".join(bad[:3])) if bad else NothingYet(str(refused[0][1]))
    if bad:
        yield Rows(pl.DataFrame(), rejects([None] * len(bad), bad, [""] * len(bad)))


def _in_turn(first: Payload, second: Payload, rest: Iterator[Payload]) -> Iterator[Payload]:
    yield first
    yield second
    yield from rest


def _named(rows: Rows, name: str) -> Rows:
    if rows.rejects.is_empty():
        return rows
    return replace(rows, rejects=rows.rejects.with_columns((pl.lit(f"{name}: ") + pl.col("reason")).alias("reason")))
