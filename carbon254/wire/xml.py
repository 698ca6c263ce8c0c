"""XML in, element by element or as columns, bounded, in whatever encoding it comes.

A document type is refused before anything of it is read: no provider's document has one, and entities are a way to
fill memory or to read files. The parser itself tells it, so that no encoding hides it. Refused too: more than 64
levels, a tag or comment of more than 256 KiB, encodings other than those named below, an element that holds too much,
rows that hold nothing much.
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
_FREE_ROWS, _MEAN_ROW = 10_000, 32
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
    reader = _Reader(wanted)
    for _ in _fed(_plain(data), reader):
        yield from reader.taken()
        if reader.broken is not None:
            raise reader.broken


def columns(data: bytes, wanted: str, kept: Collection[str]) -> dict[str, list[str | None]]:
    """Every `wanted` element as a row: the texts of the elements in it by their names in `kept`, and their attributes
    as `Name@Attribute`. Missing is None, empty is "", and of several of one name the last counts.

    For documents of many small records: no object is made for a row. Raises PayloadRefused as `elements` does.
    """
    body, table = _plain(data), _Table(wanted, kept)
    most = _FREE_ROWS + len(body) // _MEAN_ROW
    for _ in _fed(body, table):
        if table.broken is not None:
            raise table.broken
        if table.rows > most:
            raise PayloadRefused("the XML is unsafe: its records are too many for its size")
    return table.cells


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


class _Parser:
    """The parser and what is refused of any document. `broken` says what is wrong with it."""

    def __init__(self) -> None:
        self.broken: PayloadRefused | None = None
        self._fed = 0
        self._parser = expat.ParserCreate("utf-8")
        self._parser.buffer_text = True
        self._parser.StartDoctypeDeclHandler = self._refuse_type
        self._parser.EntityDeclHandler = self._refuse_type

    def feed(self, piece: bytes, last: bool) -> None:
        """Read a piece; `broken` says afterwards what is wrong with it."""
        try:
            self._parser.Parse(piece, last)
        except expat.ExpatError as error:
            self.broken = PayloadRefused(f"the XML is broken: {error}")
        except PayloadRefused as refusal:
            self.broken = refusal
        self._fed += len(piece)
        if self._fed - self._parser.CurrentByteIndex > _LONGEST_TOKEN and not last:
            self.broken = PayloadRefused(f"the XML is unsafe: a tag or comment of more than {_LONGEST_TOKEN:,} bytes")

    def _refuse_type(self, *_: object) -> None:
        raise PayloadRefused("the XML is unsafe: a document with a document type is not read")


def _fed(body: bytes, parser: _Parser) -> Iterator[None]:
    """Feeds the document piece by piece, and stops after each."""
    for at in range(0, max(1, len(body)), _PIECE):
        parser.feed(body[at : at + _PIECE], at + _PIECE >= len(body))
        yield


class _Table(_Parser):
    """The columns so far. Its handlers run several times for each record and do as little as can be.

    `_at` is the depth of the record under way, 0 outside of one; `_texts` the text since the cell at hand began.
    """

    def __init__(self, wanted: str, kept: Collection[str]) -> None:
        super().__init__()
        self.cells: dict[str, list[str | None]] = {name: [] for name in kept}
        self.rows = 0
        self._wanted = wanted
        self._depth = self._at = 0
        self._texts: list[str] = []
        self._outer: list[str] = []
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        # The list itself takes the text: no call of ours for each.
        self._parser.CharacterDataHandler = self._texts.append

    def feed(self, piece: bytes, last: bool) -> None:
        """Read a piece. Text is held only until its cell ends, and never more than an element may hold."""
        super().feed(piece, last)
        if not self._at:
            self._texts.clear()
        if sum(map(len, self._texts)) + sum(map(len, self._outer)) > _MOST_TEXT:
            self.broken = PayloadRefused("the XML is unsafe: an element that holds too much")

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._depth = depth = self._depth + 1
        if depth > _DEEPEST:
            raise PayloadRefused(f"the XML is unsafe: more than {_DEEPEST} levels")
        inside = self._at
        if depth == inside + 1 and inside:
            self._texts.clear()
            if attributes:
                for mark, value in attributes.items():
                    self._put(f"{local(name)}@{local(mark)}", value)
        elif not inside:
            if local(name) == self._wanted:
                self._at = depth
        elif depth == inside + 2:
            # The text of what lies deeper is not the cell's.
            self._outer += self._texts

    def _end(self, name: str) -> None:
        depth, inside = self._depth, self._at
        self._depth = depth - 1
        if not inside:
            return
        if depth == inside + 1:
            texts = self._texts
            self._put(
                name if ":" not in name else local(name), (texts[0] if len(texts) == 1 else "".join(texts)).strip()
            )
        elif depth == inside + 2:
            self._texts[:], self._outer = self._outer, []
        elif depth == inside:
            self._at, self.rows = 0, self.rows + 1
            for column in self.cells.values():
                if len(column) < self.rows:
                    column.append(None)

    def _put(self, name: str, value: str) -> None:
        column = self.cells.get(name)
        if column is None:
            return
        if len(column) == self.rows:
            column.append(value)
        else:
            column[-1] = value


class _Reader(_Parser):
    """The elements under way, and those that are done."""

    def __init__(self, wanted: Collection[str]) -> None:
        super().__init__()
        self._wanted = wanted
        self._open: list[Element] = []
        self._done: list[Element] = []
        self._depth = self._parts = self._chars = 0
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._text

    def taken(self) -> list[Element]:
        """The elements that ended since this was asked."""
        done, self._done = self._done, []
        return done

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
