"""What a partition was made of and what it holds, as one leaf of a tree: payloads, code, rows.

A partition is a market day of a feed. Its rows are hashed hour by hour (UTC), so that a long day never has to be in
memory whole; the hash does not depend on how the hours were read.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import polars as pl

from carbon254.calendars import day_of

from .merkle import root_of
from .rows import canonical, laid_out, slice_hash, sort_all

_DAY, _HOUR = "\0day", "\0hour"


@dataclass(frozen=True, slots=True)
class PartitionProof:
    """One leaf. `payloads` are the SHA-256 of the raw bytes in their order of arrival; `hash` is over `rows` rows."""

    feed: str
    partition: str
    payloads: tuple[str, ...]
    code: str
    rows: int
    hash: str

    def leaf(self) -> bytes:
        """The bytes that the tree hashes."""
        told = [self.feed, self.partition, root_of([p.encode() for p in self.payloads]).hex(), self.code, self.hash]
        return json.dumps(told, separators=(",", ":")).encode()


@dataclass(frozen=True, slots=True)
class Proof:
    """The partitions of a span, and the root over them."""

    partitions: tuple[PartitionProof, ...]

    @property
    def root(self) -> str:
        """64 hexadecimal digits; partitions count in the order of feed and day."""
        ordered = sorted(self.partitions, key=lambda one: (one.feed, one.partition))
        return root_of([one.leaf() for one in ordered]).hex()


@dataclass(frozen=True, slots=True)
class Difference:
    """A partition that two proofs tell apart, and by what."""

    feed: str
    partition: str
    what: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.feed} {self.partition}: {', '.join(self.what)}"


def differences(before: Proof, after: Proof) -> list[Difference]:
    """Partitions that differ, by feed and day, each with what differs."""
    old = {(one.feed, one.partition): one for one in before.partitions}
    new = {(one.feed, one.partition): one for one in after.partitions}
    found = []
    for key in sorted(old.keys() | new.keys()):
        what = _told(old.get(key), new.get(key))
        if what:
            found.append(Difference(*key, what))
    return found


def _told(old: PartitionProof | None, new: PartitionProof | None) -> tuple[str, ...]:
    if old is None or new is None:
        return ("only before" if new is None else "only after",)
    told = []
    if old.payloads != new.payloads:
        told.append(f"payloads {len(old.payloads):,} → {len(new.payloads):,}")
    if old.code != new.code:
        told.append(f"code {old.code[:12] or 'unknown'} → {new.code[:12]}")
    if old.hash != new.hash:
        told.append(f"rows {old.rows:,} → {new.rows:,}" if old.rows != new.rows else f"values of its {new.rows:,} rows")
    return tuple(told)


@dataclass
class Chunks:
    """Hashes of a feed's rows by market day and hour. `add` takes whole hours, in any order."""

    time: str
    clock: str
    _found: dict[str, dict[str, tuple[int, str]]] = field(default_factory=dict)

    def add(self, frame: pl.DataFrame) -> None:
        """Take rows in; an hour must come whole."""
        if frame.is_empty():
            return
        moments = frame[self.time]
        by_date = moments.dtype == pl.Date
        days = moments if by_date else day_of(moments, self.clock)
        hours = moments.cast(pl.String) if by_date else moments.dt.truncate("1h").dt.strftime("%Y-%m-%dT%H")
        plain, kinds = canonical(frame)
        marks = [days.cast(pl.String).alias(_DAY), hours.alias(_HOUR)]
        ordered = sort_all(plain.with_columns(marks), (_DAY, _HOUR))
        slots = ordered.select(pl.struct(_DAY, _HOUR).rle().alias("r")).unnest("r").unnest("value")
        columns = laid_out(ordered.drop(_DAY, _HOUR), kinds)
        low = 0
        for rows, day, hour in slots.select("len", _DAY, _HOUR).iter_rows():
            held = self._found.setdefault(day, {})
            if hour in held:
                raise ValueError(f"the hour {hour} of {day} came in two parts")
            held[hour] = (rows, slice_hash(columns, low, low + rows))
            low += rows

    def days(self) -> list[str]:
        """Market days that hold rows."""
        return sorted(self._found)

    def of(self, day: str) -> tuple[int, str]:
        """(rows, hash) of a market day; of an empty one too."""
        hours = sorted(self._found.get(day, {}).items())
        whole = hashlib.sha256()
        for hour, (rows, found) in hours:
            whole.update(f"{hour} {rows} {found}\n".encode())
        return sum(rows for _, (rows, _) in hours), whole.hexdigest()


def proof_of(
    feed: str, code: str, payloads: Iterable[tuple[str, Sequence[str]]], chunks: Chunks, codes: dict[str, str]
) -> Proof:
    """The proof of one feed: `payloads` by market day; `codes` names days that another version of the code made."""
    by_day = dict(payloads)
    return Proof(
        tuple(
            PartitionProof(feed, day, tuple(by_day.get(day, ())), codes.get(day) or code, *chunks.of(day))
            for day in sorted(by_day.keys() | set(chunks.days()))
        )
    )
