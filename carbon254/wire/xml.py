"""XML in, element by element, bounded, in whatever encoding it comes.

A document type is refused before anything of it is read: no provider's document has one, and entities are a way to
fill memory or to read files. The parser itself tells it, so that no encoding hides it. Refused too: more than 64
levels, a tag or comment of more than 256 KiB, encodings other than those named below, an element that holds too much.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from xml.parsers import expat

from carbon254.errors import PayloadRefused

from .text import utf8

_PIECE, _LONGEST_TOKEN = 64 << 10, 256 << 10
_DEEPEST, _MOST_PARTS, _MOST_TEXT = 64, 10_000, 4 << 20
_DECLARED = re.compile(rb"""^<\?xml[^>]{0,100}?encoding\s*=\s*["']([^"'>]{1,40})["']""", re.I)
# What a declaration may name. UTF-16 and UTF-32 are told by their bytes: by then, they are UTF-8.
_UNICODE = ("utf-8", "utf8", "us-ascii", "ascii", "utf-16", "utf-16le", "utf-16be", "utf-32")
_ONE_BYTE = {"iso-8859-1": "latin-1", "latin-1": "latin-1", "windows-1252": "cp1252"}


@dataclass(slots=True)
class Element:
    """An element by its local name: attributes, own text stripped, and the elements in it."""

    name: str
    attributes: dict[str, str]
    parts: list[Element] = field(default_factory=list)
    text: str = ""

    def cells(self) -> dict[str, str]:
        """Name → text of the elements in it; the last one of a name."""
        return {part.name: part.text for part in self.parts}

    def part(self, name: str) -> Element | None:
        """The first element of this name in it."""
        return next((part for part in self.parts if part.name == name), None)


def elements(data: bytes, wanted: Collection[str]) -> Iterator[Element]:
    """Every element whose local name is in `wanted`, whole, in the document's order; what lies around is not kept.

    Raises PayloadRefused, also after some elements came, for a document that is broken, unsafe or too much.
    """
    body, reader, at = _plain(data), _Reader(wanted), 0
    while True:
        piece = body[at : at + _PIECE]
        at += len(piece)
        yield from reader.feed(piece, at >= len(body))
        if reader.broken is not None:
            raise reader.broken
        if at >= len(body):
            return


def _plain(data: bytes) -> bytes:
    """The document as UTF-8. Raises PayloadRefused for an encoding that is not read."""
    body = utf8(data).lstrip()
    found = _DECLARED.match(body)
    declared = found[1].decode("latin-1").lower() if found else "utf-8"
    if declared in _ONE_BYTE:
        return body.decode(_ONE_BYTE[declared], "replace").encode()
    if declared not in _UNICODE:
        raise PayloadRefused(f"an XML document in a foreign encoding ({declared!r}) is not read: send it as UTF-8")
    return body


def local(name: str) -> str:
    """A name without its namespace's prefix."""
    return name.rpartition(":")[2]


class _Reader:
    """The parser and the elements under way."""

    def __init__(self, wanted: Collection[str]) -> None:
        self._wanted = wanted
        self._open: list[Element] = []
        self._done: list[Element] = []
        self.broken: PayloadRefused | None = None
        self._depth = self._parts = self._chars = self._fed = 0
        self._parser = expat.ParserCreate("utf-8")
        self._parser.buffer_text = True
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._text
        self._parser.StartDoctypeDeclHandler = self._refuse_type
        self._parser.EntityDeclHandler = self._refuse_type

    def feed(self, piece: bytes, last: bool) -> list[Element]:
        """The elements that ended in `piece`; `broken` says afterwards what is wrong with it."""
        self._done = []
        try:
            self._parser.Parse(piece, last)
        except expat.ExpatError as error:
            self.broken = PayloadRefused(f"the XML is broken: {error}")
        except PayloadRefused as refusal:
            self.broken = refusal
        self._fed += len(piece)
        if self._fed - self._parser.CurrentByteIndex > _LONGEST_TOKEN and not last:
            self.broken = PayloadRefused(f"the XML is unsafe: a tag or comment of more than {_LONGEST_TOKEN:,} bytes")
        return self._done

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise PayloadRefused(f"the XML is unsafe: more than {_DEEPEST} levels")
        name = local(name)
        if not self._open and name not in self._wanted:
            return
        element = Element(name, attributes)
        if self._open:
            self._grow(len(attributes) + 1, 0)
            self._open[-1].parts.append(element)
        else:
            self._parts = self._chars = 0
        self._open.append(element)

    def _end(self, name: str) -> None:
        self._depth -= 1
        if self._open:
            element = self._open.pop()
            element.text = element.text.strip()
            if not self._open:
                self._done.append(element)

    def _text(self, text: str) -> None:
        if self._open:
            self._grow(0, len(text))
            self._open[-1].text += text

    def _grow(self, parts: int, text: int) -> None:
        self._parts, self._chars = self._parts + parts, self._chars + text
        if self._parts > _MOST_PARTS or self._chars > _MOST_TEXT:
            raise PayloadRefused("the XML is unsafe: an element that holds too much")

    def _refuse_type(self, *_: object) -> None:
        raise PayloadRefused("the XML is unsafe: a document with a document type is not read")
