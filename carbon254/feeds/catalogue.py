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
from typing import TYPE_CHECKING, Any

from carbon254.errors import NothingYet, PayloadRefused, UnknownFeed
from carbon254.model import Stream
from carbon254.nearest import pick
from carbon254.wire.archive import heads
from carbon254.wire.text import utf8_head

from .answers import explain
from .card import load_card

if TYPE_CHECKING:
    from .contract import Counted, Payload, Request, Rows

_HEAD = 65_536
# An answer without rows is never longer.
_SHORT = 65_536


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
        from .reading import parsed

        member = self._member("parse")
        return parsed(payload, member.parse, getattr(member, "explain", None))

    def read(self, name: str, data: bytes) -> Iterator[Rows]:
        """Rows of a payload as it came: of an archive, those of all its members. Raises PayloadRefused."""
        from .contract import Payload
        from .reading import read

        together = getattr(self._member("parse"), "parse_members", None)
        return read(Payload(data, name, self.stream), self.parse, together)

    def unpublished(self, name: str, data: bytes) -> str:
        """Why a sound answer has no rows; empty where it has some, or cannot be read. Only short ones are looked at."""
        if len(data) > _SHORT:
            return ""
        try:
            next(self.read(name, data), None)
        except NothingYet as empty:
            return str(empty)
        except PayloadRefused:
            pass
        return ""

    def requests(
        self, start: datetime, end: datetime, locations: Sequence[str] = (), public: bool = False
    ) -> Iterator[Request]:
        """The requests that bring [start, end) in UTC; with `public` those for the files that need no key."""
        fetch = self._member("fetch")
        return (fetch.public_requests if public else fetch.requests)(self.stream, start, end, locations)

    def next_page(self, request: Request, data: bytes) -> Request | None:
        """The request for the page after `data`, or None."""
        step: Callable[[Request, bytes], Request | None] | None = getattr(self._member("fetch"), "next_page", None)
        return step(request, data) if step else None

    def counted(self, data: bytes) -> Counted | None:
        """Rows that an answer has and announces; None where it says nothing of the kind."""
        count: Callable[[bytes], Counted | None] | None = getattr(self._member("fetch"), "counted", None)
        return count(data) if count else None

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
        text = (files(package) / "feed.toml").read_text("utf-8")
        _, streams = load_card(text, f"{package.replace('.', '/')}/feed.toml")
        found.update({stream.topic: Feed(stream, package) for stream in streams})
    return found


def feed(topic: str) -> Feed:
    """The feed with this topic, in any case. Raises UnknownFeed with the nearest ones."""
    found = feeds()
    return found[pick("feed", topic, sorted(found), UnknownFeed)]


def candidates(name: str, data: bytes) -> list[str]:
    """Topics a file may belong to, best first, judged by its name and first bytes after unpacking.

    Of an archive all members are looked at: the topics that every member may belong to of those that any feed knows,
    or, where there is none, all that one of them may.
    """
    members = [found for inner, head in heads(name, data, _HEAD) if (found := _known(inner, utf8_head(head)))]
    every = [topic for topic in members[0] if all(topic in found for found in members)] if members else []
    return every or list(dict.fromkeys(topic for found in members for topic in found))


def explained(name: str, data: bytes) -> PayloadRefused:
    """What a file is that no feed knows, with the next step; NothingYet where it says that nothing is published."""
    last = PayloadRefused("no feed knows this file; name one with --feed (see: c254 feeds list)")
    try:
        for inner, head in heads(name, data, _HEAD):
            plain = utf8_head(head)
            own = (getattr(import_module(f"{package}.parse"), "explain", None) for package in _packages())
            told = next((told for hook in own if hook and (told := hook(inner, plain))), None) or explain(plain)
            if told is not None:
                return told
    except PayloadRefused as refusal:
        return refusal
    return last


def _known(name: str, head: bytes) -> list[str]:
    found: dict[str, None] = {}
    for package in _packages():
        found |= dict.fromkeys(import_module(f"{package}.parse").recognise(name, head))
    return list(found)
