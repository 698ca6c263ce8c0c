"""The version of the code that makes a feed's rows, as a hash of its sources.

It covers what can change a row: the feed's own folder (parser, card, places), the shared rooms it goes through, and the
release of the zone database. A change of the portal or of another feed's parser does not change it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from functools import cache
from importlib.metadata import version
from importlib.resources import files
from importlib.resources.abc import Traversable

ROOMS = ("model", "calendars", "units", "wire", "stages", "quality")
MODULES = (
    "engine/carrying.py",
    "engine/market_run.py",
    "engine/seen.py",
    "engine/normaliser.py",
    "engine/codec.py",
    "engine/gate.py",
    "engine/tally.py",
    "engine/culprits.py",
    "engine/directories.py",
    "feeds/contract.py",
    "feeds/card.py",
    "feeds/sift.py",
    "feeds/reading.py",
)
_KINDS = (".py", ".toml", ".csv", ".yaml")
_BESIDE = ("samples", "__pycache__")


@cache
def code_version(package: str) -> str:
    """64 hexadecimal digits for the feeds of a package such as `carbon254.feeds.spp`."""
    home = files("carbon254")
    whole = hashlib.sha256(f"tzdata {version('tzdata')}\n".encode())
    places = [(room, home / room) for room in ROOMS if (home / room).is_dir()] + [(package, files(package))]
    listed = [(name, one.read_bytes()) for label, place in places for name, one in _sources(label, place)]
    listed += [(name, (home / name).read_bytes()) for name in MODULES]
    for name, text in sorted(listed):
        whole.update(f"{name} {hashlib.sha256(text).hexdigest()}\n".encode())
    return whole.hexdigest()


def _sources(label: str, place: Traversable) -> Iterator[tuple[str, Traversable]]:
    for entry in place.iterdir():
        name = f"{label}/{entry.name}"
        if entry.is_dir() and entry.name not in _BESIDE:
            yield from _sources(name, entry)
        elif entry.name.endswith(_KINDS):
            yield name, entry
