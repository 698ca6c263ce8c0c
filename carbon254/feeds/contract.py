"""The seam between a provider's folder and the rest.

A folder holds `feed.toml` and these functions:

`parse.py`   `parse(payload: Payload) -> Iterator[Rows]`: bytes in, rows out. No network, no clock. Raises
             `PayloadRefused` when the bytes are not what the stream publishes; a single bad row is a reject.
             `recognise(name: str, head: bytes) -> list[str]`: the topics this file may belong to, best first, from
             its name and first 64 KiB (already unpacked, UTF-8 without a mark); empty when it is not this provider's.
             `parse_members(members: list[Payload]) -> Iterator[Rows]`, only where one statement is parted over several
             files of an archive: all of them together, in the order of their names.
             `explain(name: str, head: bytes) -> PayloadRefused | None`, only where the provider answers with errors
             or empty answers of its own kind: what such an answer says, with the next step.
`fetch.py`   `requests(stream, start, end, locations) -> Iterator[Request]`: which requests bring the span
             [start, end) (UTC). No parsing, no network.
             `public_requests`, the same, only where the card names public files: those that ask for them.
             `next_page(request, data) -> Request | None`, only where answers come in pages: what to ask for after
             the rows of `data`, however many were asked for. `counted(data) -> Counted | None`, where an answer says
             how many rows it should have: None for what is no such answer (an error, a web page).

Frames of dataset `interval_prices` carry, as a parser yields them:

* `location` (provider's name), `location_id` (provider's id, else the name), optional `location_type`
* time, one of: `interval_start` and/or `interval_end` as UTC instants (the missing one follows from the run's
  resolution); or `label`, a naive local stamp read with the stream's clock and convention, with an optional
  `mark` (Int8: 0 first pass of a repeated hour, 1 second pass, null no mark)
* `lmp` and those of `energy`, `congestion`, `loss`, `ghg` that are published, signs as published (Float64)
* optional `revision` (the provider's version), `published_at` (UTC), `flags`, and `market_run`: one of the card's runs,
  where a payload may hold others than the stream's own
* `line`: 1-based line or record number in the payload

Frames of other datasets carry that dataset's own columns and `line`. Rows keep the payload's order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from carbon254.model import Stream

MERGED = pl.Schema({"record": pl.Int64, "line": pl.Int64})
REJECTS = pl.Schema({"line": pl.Int64, "reason": pl.String, "raw": pl.String})


@dataclass(frozen=True, slots=True)
class Payload:
    """What a parser may see: the unpacked bytes, the provider's file name, and the stream's card."""

    data: bytes
    name: str
    stream: Stream


@dataclass(frozen=True, slots=True)
class Counted:
    """Rows that an answer has, and rows that the whole answer has by its own word; None where it does not say.

    `page` of `pages`, where it says that, too.
    """

    given: int
    announced: int | None = None
    page: int = 0
    pages: int = 0

    @classmethod
    def at(cls, first: int, given: int, asked: int, announced: int | None) -> Counted:
        """The count of a page that begins with row `first` (from 1) of `announced`, where `asked` rows were asked for.

        A server that gives fewer rows than it was asked for has smaller pages.
        """
        if announced is None:
            return cls(given)
        full = given == asked or first - 1 + given >= announced
        stride = asked if full and asked > 0 else given
        if stride <= 0:
            return cls(given, announced)
        page = (first - 1) // stride + 1
        return cls(given, announced, page, max(page, -(-announced // stride)))

    def __str__(self) -> str:
        place = f"page {self.page} of {self.pages}: " if self.page and self.pages else ""
        return f"{place}{self.given:,} of {self.announced or self.given:,} rows"


@dataclass(frozen=True, slots=True)
class Rows:
    """A batch of parsed rows, and the rows that could not be (line, reason, raw text).

    `counted` is what the payload says of itself, where it is a page of an answer. A record of the payload, a data line
    or an item of a list, is told by its `line`. `merged` (record, line) are further records that went into the row, or
    were lost with the reject, of a line; `repeats` are records that say what an earlier one of the payload says and
    are no rows. So every record is a row's, a reject's, merged or a repeat; none is dropped.
    """

    frame: pl.DataFrame
    rejects: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=REJECTS))
    counted: Counted | None = None
    merged: pl.DataFrame | None = None
    repeats: pl.Series | None = None


@dataclass(frozen=True, slots=True)
class Request:
    """One call.

    `path` is relative to the provider's base URL; an absolute one names another host of the provider. `subject` names
    what is asked for, without the moment of asking, so that a second answer to the same question is known to be a
    revision. `public` ones need no key, and none is sent with them.
    """

    path: str
    subject: str
    params: Mapping[str, Any] = field(default_factory=dict)
    name: str = ""
    page: int = 1
    public: bool = False


def rejects(lines: Sequence[int | None], reasons: Sequence[str], raws: Sequence[str]) -> pl.DataFrame:
    """A frame of rejected rows."""
    return pl.DataFrame({"line": lines, "reason": reasons, "raw": raws}, schema=REJECTS)
