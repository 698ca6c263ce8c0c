"""Names of columns as people and programs write them: what differs only in its spelling is one name.

Case, blanks, `_`, quotes, a byte order mark and blanks around a name say nothing: `GMTIntervalEnd`, `GMTINTERVALEND`
and `gmt_interval_end ` are one, as are `HE 1` and `HE1`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence

from carbon254.errors import PayloadRefused

_NOTHING = re.compile(r"[\s_\"'\ufeff\u200b\u2060]+")


def fold(name: str) -> str:
    """The name without what says nothing."""
    return _NOTHING.sub("", name).casefold()


def matched(found: Sequence[str], wanted: Iterable[str]) -> dict[str, int]:
    """Where each of the `wanted` names stands among those `found`; one that is not there is left out."""
    places = {fold(name): place for place, name in enumerate(found)}
    return {name: places[key] for name in wanted if (key := fold(name)) in places}


def require(found: Sequence[str], wanted: Iterable[str], what: str) -> None:
    """Raise PayloadRefused naming the columns of `wanted` that are not among those `found`."""
    wanted = list(wanted)
    there = matched(found, wanted)
    missing = [name for name in wanted if name not in there]
    if missing:
        shown = ", ".join(found)[:500]
        raise PayloadRefused(f"{what}: column {', '.join(missing)} is missing; the header has {shown}")


def refuse_twice(found: Sequence[str]) -> None:
    """Raise PayloadRefused where two columns have one name; columns without a name are none."""
    counts = Counter(key for name in found if (key := fold(name)))
    twice = [name for name in found if counts[fold(name)] > 1]
    if twice:
        raise PayloadRefused(f"a column comes twice in the header: {', '.join(twice)[:300]}")
