"""Finding feeds: every folder with a card, ours and those other packages offer by the `carbon254.feeds` entry point.

Cards are read without importing the folder's code; `parse.py` and `fetch.py` are imported when first used.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from importlib.resources import files
from typing import Any

from carbon254.errors import UnknownFeed
from carbon254.model import Stream
from carbon254.wire.archive import unpack

from .card import load_card
from .contract import Payload, Request, Rows

_HEAD = 65_536


@dataclass(frozen=True)
class Feed:
    """One stream with the code of its folder."""

    stream: Stream
    package: str

    @property
    def topic(self) -> str:
        return self.stream.topic

    def parse(self, payload: Payload) -> Iterator[Rows]:
        """Rows of an unpacked payload. Raises PayloadRefused."""
        return self._member("parse").parse(payload)

    def requests(self, start: datetime, end: datetime, locations: Sequence[str] = ()) -> Iterator[Request]:
        """The requests that bring [start, end) in UTC."""
        return self._member("fetch").requests(self.stream, start, end, locations)

    def next_page(self, request: Request, data: bytes) -> Request | None:
        """The request for the page after `data`, or None."""
        step: Callable[[Request, bytes], Request | None] | None = getattr(self._member("fetch"), "next_page", None)
        return step(request, data) if step else None

    def places(self) -> str:
        """The folder's `places.csv` as text; empty where it has none."""
        path = files(self.package) / "places.csv"
        return path.read_text("utf-8") if path.is_file() else ""

    def instruments(self) -> str:
        """The folder's `instruments.csv` as text; empty where it has none."""
        path = files(self.package) / "instruments.csv"
        return path.read_text("utf-8") if path.is_file() else ""

    def quality(self) -> str:
        """The folder's `quality.yaml` as text; empty where it has none: then the card's own defaults hold."""
        path = files(self.package) / "quality.yaml"
        return path.read_text("utf-8") if path.is_file() else ""

    def _member(self, name: str) -> Any:
        return import_module(f"{self.package}.{name}")


@cache
def _packages() -> tuple[str, ...]:
    here = files("carbon254.feeds")
    ours = sorted(f"carbon254.feeds.{entry.name}" for entry in here.iterdir() if (entry / "feed.toml").is_file())
    theirs = sorted(point.value for point in entry_points(group="carbon254.feeds"))
    return (*ours, *theirs)


@cache
def feeds() -> Mapping[str, Feed]:
    """Every feed by topic."""
    found = {}
    for package in _packages():
        _, streams = load_card((files(package) / "feed.toml").read_text("utf-8"))
        found.update({stream.topic: Feed(stream, package) for stream in streams})
    return found


def feed(topic: str) -> Feed:
    """The feed with this topic. Raises UnknownFeed naming those there are."""
    found = feeds()
    if topic not in found:
        raise UnknownFeed(f"no feed {topic!r}; there are: {', '.join(sorted(found))}")
    return found[topic]


def candidates(name: str, data: bytes) -> list[str]:
    """Topics a file may belong to, best first, judged by its name and first bytes after unpacking."""
    members = list(unpack(name, data))
    if not members:
        return []
    inner, content = members[0]
    found: list[str] = []
    for package in _packages():
        for topic in import_module(f"{package}.parse").recognise(inner, bytes(content[:_HEAD])):
            if topic not in found:
                found.append(topic)
    return found
