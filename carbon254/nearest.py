"""One of several known names, however its case is written; and the known names nearest to one that is none of them."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from carbon254.errors import UnknownName

_SHOWN = 12
_MANY = 2_000
_SHORTLIST = 60
_CUTOFF = 0.5


def pick(kind: str, name: object, known: Iterable[str], error: type[UnknownName] = UnknownName) -> str:
    """The known name that `name` is, in any case. Raises `error` with the nearest names where it is none.

    `kind` says what the name is of: market, feed, run, dataset. The exact spelling goes before another case.
    """
    names = list(known)
    if isinstance(name, str):
        if name in names:
            return name
        wanted = fold(name)
        for one in names:
            if fold(one) == wanted:
                return one
    raise error(unknown(kind, name, names))


def fold(name: str) -> str:
    """A name without its case and the blanks around it."""
    return name.strip().lower()


def nearest(name: str, known: Iterable[str], most: int = 3) -> list[str]:
    """At most so many known names that are spelled like `name`, the nearest first.

    Among very many names only those that share most letters in a row are measured.
    """
    wanted, names = fold(name)[:100], list(known)
    if len(names) > _MANY:
        names = _shortlist(wanted, names)
    by_fold: dict[str, str] = {}
    for one in names:
        by_fold.setdefault(fold(one), one)
    near = difflib.get_close_matches(wanted, by_fold, n=most, cutoff=_CUTOFF)
    # What continues the word is meant more often than what resembles it.
    near += [one for one in by_fold if len(wanted) > 1 and one.startswith(wanted) and one not in near]
    return [by_fold[one] for one in near[:most]]


def unknown(kind: str, name: object, known: Iterable[str], advice: str = "") -> str:
    """The sentence for a name that is none: the nearest ones, all of them where they are few, and `advice`."""
    names = list(dict.fromkeys(known))
    near = nearest(name, names) if isinstance(name, str) else []
    told = [f"no {kind} {_quoted(name)}"]
    if near:
        told.append(f"nearest: {', '.join(near)}")
    if names and (len(names) <= _SHOWN or (not near and not advice)):
        more = f" and {len(names) - _SHOWN:,} more" if len(names) > _SHOWN else ""
        told.append(f"there are: {', '.join(names[:_SHOWN])}{more}")
    elif not names:
        told.append("none is known here yet")
    return "; ".join([*told, *([advice] if advice else [])])


def _quoted(name: object) -> str:
    text = repr(name)
    return text if len(text) <= 80 else f"{text[:77]}…'"


def _shortlist(wanted: str, names: list[str]) -> list[str]:
    """The names that share most with `wanted`: three letters in a row, or two where it is short."""
    import polars as pl

    size = 3 if len(wanted) > 4 else 2
    parts = {wanted[at : at + size] for at in range(max(1, len(wanted) - size + 1))}
    known = pl.DataFrame({"name": names}).lazy()
    spelled = pl.col("name").str.to_lowercase()
    shared = pl.sum_horizontal(spelled.str.contains(part, literal=True).cast(pl.UInt16) for part in sorted(parts))
    longer = (spelled.str.len_chars().cast(pl.Int64) - len(wanted)).abs()
    ranked = known.with_columns(shared.alias("shared"), longer.alias("longer")).filter(pl.col("shared") > 0)
    best = ranked.sort("shared", "longer", descending=[True, False], maintain_order=True).head(_SHORTLIST)
    return best.collect()["name"].to_list()
