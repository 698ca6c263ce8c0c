"""Text of a payload as UTF-8 without a byte order mark and with line feeds, whatever it came as.

UTF-16 and UTF-32 are told by their mark, or by where the zero bytes of the first characters stand, as RFC 4627 (3)
tells them. Lines that end with a carriage return alone end with a line feed afterwards, so that lines count alike.
"""

from __future__ import annotations

import codecs
import re

from carbon254.errors import PayloadRefused

_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
# Two plain characters, as text of every provider begins with.
_PLAIN = rb"[\t\n\r\x20-\x7e]"
_PATTERNS = (
    (re.compile(_PLAIN + rb"\0\0\0" + _PLAIN + rb"\0\0\0"), "utf-32-le"),
    (re.compile(rb"\0\0\0" + _PLAIN + rb"\0\0\0" + _PLAIN), "utf-32-be"),
    (re.compile(_PLAIN + rb"\0" + _PLAIN + rb"\0"), "utf-16-le"),
    (re.compile(rb"\0" + _PLAIN + rb"\0" + _PLAIN), "utf-16-be"),
)
_WIDTHS = {"utf-16-le": 2, "utf-16-be": 2, "utf-32-le": 4, "utf-32-be": 4}
_LOOK = 65_536
_PIECE = 4 << 20


def utf8(data: bytes) -> bytes:
    """`data` as UTF-8; the same object where it is that already. Raises PayloadRefused for text that is broken."""
    encoding, start = _encoding(data)
    body = data[start:] if start else data
    if encoding in _WIDTHS:
        body = _transcoded(memoryview(body), encoding)
    if b"\r" in body[:_LOOK] and b"\n" not in body[:_LOOK] and b"\n" not in body:
        body = body.replace(b"\r", b"\n")
    return body


def utf8_head(head: bytes) -> bytes:
    """The first bytes of a payload as `utf8` gives them; what is cut off in the middle of a character is left out."""
    encoding, start = _encoding(head)
    body = head[start:]
    if encoding in _WIDTHS:
        whole = len(body) - len(body) % _WIDTHS[encoding]
        body = body[:whole].decode(encoding, "ignore").encode()
    return body if b"\n" in body else body.replace(b"\r", b"\n")


def _encoding(data: bytes) -> tuple[str, int]:
    """(the encoding, length of its mark)."""
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return encoding, len(mark)
    return next((encoding for pattern, encoding in _PATTERNS if pattern.match(data)), "utf-8"), 0


def _transcoded(body: memoryview, encoding: str) -> bytes:
    decoder, out = codecs.getincrementaldecoder(encoding)(), bytearray()
    try:
        for at in range(0, len(body), _PIECE):
            out += decoder.decode(body[at : at + _PIECE], at + _PIECE >= len(body)).encode()
    except UnicodeError as error:
        raise PayloadRefused(f"not JSON, CSV or XML: it begins as {encoding.upper()} and is not: {error}") from error
    return bytes(out)
