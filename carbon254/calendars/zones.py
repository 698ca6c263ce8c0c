"""Zones from the pinned zone database, so that two machines with different system files tell the same time.

A system's own files may be years old, and laws change: a market whose clock stopped changing would keep its 23- and
25-hour days there. The `tzdata` package is locked with the rest of our dependencies.
"""

from __future__ import annotations

from functools import cache
from importlib import resources
from zoneinfo import ZoneInfo

from carbon254.errors import BadLabel


@cache
def zone(name: str) -> ZoneInfo:
    """The zone of an IANA name (`America/Chicago`, `Etc/GMT+5`). Raises BadLabel for a name the database lacks."""
    try:
        with resources.files("tzdata").joinpath("zoneinfo", *name.split("/")).open("rb") as data:
            return ZoneInfo.from_file(data, key=name)
    except (OSError, ValueError) as error:
        raise BadLabel(f"no time zone is called {name!r}; write an IANA name such as America/Chicago") from error
