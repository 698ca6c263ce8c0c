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
             `next_page(request, data) -> Request | None`, only where answers come in pages.

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

REJECTS = pl.Schema({"line": pl.Int64, "reason": pl.String, "raw": pl.String})


@dataclass(frozen=True, slots=True)
class Payload:
    """What a parser may see: the unpacked bytes, the provider's file name, and the stream's card."""

    data: bytes
    name: str
    stream: Stream


@dataclass(frozen=True, slots=True)
class Rows:
    """A batch of parsed rows, and the rows that could not be (line, reason, raw text)."""

    frame: pl.DataFrame
    rejects: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=REJECTS))


@dataclass(frozen=True, slots=True)
class Request:
    """One call.

    `path` is relative to the provider's base URL; an absolute one names another host of the provider. `subject` names
    what is asked for, without the moment of asking, so that a second answer to the same question is known to be a
    revision.
    """

    path: str
    subject: str
    params: Mapping[str, Any] = field(default_factory=dict)
    name: str = ""
    page: int = 1


def rejects(lines: Sequence[int | None], reasons: Sequence[str], raws: Sequence[str]) -> pl.DataFrame:
    """A frame of rejected rows."""
    return pl.DataFrame({"line": lines, "reason": reasons, "raw": raws}, schema=REJECTS)
