"""The data files of the trading calendars, and finding a thing in them by the name a desk uses."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Any, TypeVar

from carbon254.errors import UnknownProduct

Thing = TypeVar("Thing")


@cache
def facts(name: str) -> dict[str, Any]:
    """The tables of a data file of this package (`blocks.toml`)."""
    return tomllib.loads((resources.files("carbon254.calendars") / name).read_text("utf-8"))


def find(kind: str, name: str, known: Mapping[str, Thing], aliases: Mapping[str, str] | None = None) -> Thing:
    """The thing of a name, however its case and hyphens are spelt. Raises UnknownProduct listing all."""
    if not isinstance(name, str):
        raise UnknownProduct(f"{kind}: {name!r} is no name; known: {', '.join(known)}")
    by_name = {plain(one): thing for one, thing in known.items()}
    meant = {plain(alias): plain(one) for alias, one in (aliases or {}).items()}
    wanted = plain(name)
    wanted = meant.get(wanted, wanted)
    if wanted in by_name:
        return by_name[wanted]
    near = difflib.get_close_matches(wanted, by_name, n=1, cutoff=0.6)
    guess = [one for one in known if near and plain(one) == near[0]]
    hint = f"did you mean {guess[0]}? Known: " if guess else "known: "
    raise UnknownProduct(f"no {kind} is called {name!r}; {hint}{', '.join(known)}")


def plain(name: str) -> str:
    """A name without case, hyphens, underscores and spaces."""
    return name.upper().replace("-", "").replace("_", "").replace(" ", "")
