"""What files print to tell the two passes of a repeated hour apart, read and written."""

from __future__ import annotations

import re

import numpy as np
import polars as pl

from .columns import Mask
from .convention import Convention
from .wall import NO_PASS, Passes, Status, Statuses, to_utc
from .zones import DAY, Micros, Segments, segments

# The pass that a sign states aloud: outside a repeated hour it contradicts the clock.
_LOUD = {"suffix": 1, "second_flag": 1}
_OFFSET = re.compile(r"([+-])(\d\d):?(\d\d)$")
_MINUTE = 60_000_000
_YES = ("true", "y", "yes", "1", "t")
_NO = ("false", "n", "no", "0", "f")


def with_marks(wall: Micros, mark: pl.Series | None, how: Convention, clock: str) -> tuple[Micros, Statuses]:
    """Instants of wall times by the flag, sign, offset or name beside each."""
    if how.repeat in ("offset", "zone"):
        return _by_offset(wall, mark, how, clock)
    found, status = to_utc(wall, clock, None, how.sides)
    if mark is None or how.repeat not in _LOUD:
        return found, status
    passes, unread = _passes(mark, how)
    twice = np.flatnonzero(status == Status.TWICE)
    quiet = status == Status.OK
    if len(twice):
        found[twice], status[twice] = to_utc(wall[twice], clock, passes[twice], how.sides)
    status[quiet & (passes == _LOUD[how.repeat])] = Status.MISMARKED
    status[unread] = Status.MALFORMED
    return found, status


def printed(how: Convention, wall: Micros, passes: Passes, instant: Micros, clock: str) -> list[pl.Series]:
    """The `mark` column for these labels; empty where the convention prints none."""
    if how.repeat == "second_flag":
        return [pl.Series("mark", passes == 1)]
    if how.repeat == "suffix":
        return [_words((passes == 1).astype(np.uint32), ["", how.sign])]
    if how.repeat == "offset":
        offsets, index = np.unique((wall - instant) // _MINUTE, return_inverse=True)
        return [_words(index.astype(np.uint32), [_offset_text(int(value)) for value in offsets])]
    if how.repeat == "zone":
        index, names = _names(_segments(instant, clock), instant)
        return [_words(index.astype(np.uint32), names)]
    return []


def _passes(mark: pl.Series, how: Convention) -> tuple[Passes, Mask]:
    """(pass told by each mark or -1, where the mark is none that the convention prints)."""
    kinds, codes = _kinds(mark)
    loud = (how.sign.lower(),) if how.repeat == "suffix" else _YES
    other = ("",) if how.repeat == "suffix" else _NO
    silent = 0 if how.repeat == "suffix" else NO_PASS
    told, unread = [], []
    for kind in kinds:
        word = (kind or "").lower()
        told.append(_LOUD[how.repeat] if word in loud else 1 - _LOUD[how.repeat] if word in other else silent)
        unread.append(bool(word) and word not in loud + other)
    return np.array(told, np.int8)[codes], np.array(unread)[codes]


def _kinds(mark: pl.Series) -> tuple[list[str | None], Micros]:
    """(the distinct marks, null first; which of them each row has)."""
    if mark.dtype == pl.Boolean:
        return [None, "false", "true"], mark.cast(pl.Int8).fill_null(-1).to_numpy().astype(np.int64) + 1
    text = mark.cast(pl.String).str.strip_chars() if mark.dtype != pl.Enum else mark
    kinds = text.cast(pl.String).drop_nulls().unique(maintain_order=True).to_list()
    codes = text.cast(pl.Enum(kinds)).to_physical().cast(pl.Int64).fill_null(-1).to_numpy() + 1
    return [None, *kinds], codes


def _by_offset(wall: Micros, mark: pl.Series | None, how: Convention, clock: str) -> tuple[Micros, Statuses]:
    """A stamp with its offset is an instant; whether the clock ever told it so is checked."""
    found, status = to_utc(wall, clock, None, how.sides)
    if mark is None or not len(wall):
        return found, status
    twice = np.flatnonzero(status == Status.TWICE)
    kinds, codes = _kinds(mark)
    known = _segments(found, clock)
    agreed = _agreed(kinds, codes, wall, found, how, known)
    if len(twice):
        second, _ = to_utc(wall[twice], clock, np.ones(len(twice), np.int8), how.sides)
        late = _agreed(kinds, codes[twice], wall[twice], second, how, known)
        found[twice] = np.where(late, second, found[twice])
        agreed[twice] |= late
        status[twice] = Status.OK
    status[~agreed & (status == Status.OK)] = Status.MISMARKED
    return found, status


def _agreed(
    kinds: list[str | None], codes: Micros, wall: Micros, instant: Micros, how: Convention, known: Segments
) -> Mask:
    """Where the clock tells the instant as the mark says."""
    if how.repeat == "offset":
        minutes = [None if kind is None else _offset_minutes(kind) for kind in kinds]
        told = np.array([np.iinfo(np.int64).min if some is None else some * _MINUTE for some in minutes])
        return told[codes] == wall - instant
    index, names = _names(known, instant)
    told = np.array([names.index(kind.upper()) if kind and kind.upper() in names else -1 for kind in kinds])
    return told[codes] == index


def _names(known: Segments, instant: Micros) -> tuple[Micros, list[str]]:
    names = sorted(set(known.names))
    place = np.array([names.index(name) for name in known.names])
    return place[np.searchsorted(known.starts[1:], instant, side="right")], names


def _segments(instant: Micros, clock: str) -> Segments:
    if not len(instant):
        return segments(clock, 0, 0)
    return segments(clock, int(instant.min()) // DAY, int(instant.max()) // DAY)


def _words(codes: np.ndarray, words: list[str]) -> pl.Series:
    return pl.Series("mark", codes, dtype=pl.UInt32).cat.to(pl.Enum(words))


def _offset_text(minutes: int) -> str:
    hours, rest = divmod(abs(minutes), 60)
    return f"{'-' if minutes < 0 else '+'}{hours:02}:{rest:02}"


def _offset_minutes(text: str) -> int | None:
    if text.upper() == "Z":
        return 0
    found = _OFFSET.match(text)
    return found and (int(found[2]) * 60 + int(found[3])) * (-1 if found[1] == "-" else 1)
