"""Packed bytes into content by bounded reads, for every codec that is read: nothing is inflated before it is allowed.

Content may be 200 times what was packed as long as it is short, and 50 times where it is long: price files shrink by
5 to 40, bombs by a thousand and more. The allowance grows with the packed bytes that were really read, so that a
small file can never become a large one, whatever it says of itself. Work is linear in what is read.
"""

from __future__ import annotations

import bz2
import lzma
import struct
import zlib
from collections.abc import Iterator
from io import BytesIO
from typing import Protocol

from carbon254.errors import PayloadRefused

MAX_BYTES = 2 << 30
_SHORT, _SHORT_RATIO, _SLACK = 64 << 20, 200, 8 << 20
_LONG_RATIO = 50
_READ, _WRITE = 16 << 10, 1 << 20
_MAX_DICTIONARY = 32 << 20
_LZMA_HEAD = struct.Struct("<BBH")
_GZIP_HEAD = 512
# A gzip file may be several, one after the other. Small ones are told from a flood of empty ones by their mean size.
_FREE_STREAMS, _MEAN_STREAM = 1_000, 1_024


class TooMuch(PayloadRefused):
    """Packed bytes that would become more content than so few of them may be."""


class Allowance:
    """How much content the packed bytes that were read may have become. One for all members of an archive."""

    def __init__(self, what: str, most: int = MAX_BYTES) -> None:
        self._what, self._most = what, most
        self._packed = self._content = 0

    def read(self, packed: int) -> None:
        """`packed` more bytes were read."""
        self._packed += packed

    def wrote(self, content: int) -> None:
        """`content` more bytes came of them. Raises TooMuch where that is more than allowed."""
        self._content += content
        short = min(_SHORT_RATIO * self._packed + _SLACK, _SHORT)
        limit = min(max(short, _LONG_RATIO * self._packed), self._most)
        if self._content > limit:
            raise TooMuch(f"{self._what} content exceeds {limit:,} bytes, the most that so few packed ones may be")


class Codec(Protocol):
    """What inflates one stream, at most `most` bytes a call."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, most: int, /) -> bytes: ...


class Deflate:
    """zlib's reader with the interface that bz2's and lzma's have. `wbits`: -15 raw, 15 zlib, 31 gzip."""

    def __init__(self, wbits: int) -> None:
        self._stream = zlib.decompressobj(wbits=wbits)
        self.needs_input = True

    @property
    def eof(self) -> bool:
        return self._stream.eof

    @property
    def unused_data(self) -> bytes:
        return self._stream.unused_data

    def decompress(self, data: bytes, most: int, /) -> bytes:
        tail = self._stream.unconsumed_tail
        out = self._stream.decompress(tail + data if tail else data, most)
        self.needs_input = not self._stream.unconsumed_tail and len(out) < most
        return out


class Stored:
    """Bytes that were not packed at all; they end with the input."""

    eof, needs_input, unused_data = False, True, b""

    def decompress(self, data: bytes, most: int, /) -> bytes:
        return data


def unbzip() -> Codec:
    """A reader of one bzip2 stream."""
    return bz2.BZ2Decompressor()


def unlzma(head: bytes) -> Codec:
    """A reader of LZMA as zip members have it; `head` is the four bytes and the properties before the stream.

    Raises PayloadRefused for a dictionary beyond 32 MiB or properties that are none.
    """
    _, _, size = _LZMA_HEAD.unpack_from(head)
    try:
        # The standard library reads the properties of a zip member's LZMA stream only by this name.
        told = lzma._decode_filter_properties(lzma.FILTER_LZMA1, head[_LZMA_HEAD.size : _LZMA_HEAD.size + size])  # pyright: ignore
    except lzma.LZMAError as error:
        raise PayloadRefused(f"the LZMA properties are broken: {error}") from error
    if told["dict_size"] > _MAX_DICTIONARY:
        raise PayloadRefused(f"the LZMA dictionary has {told['dict_size']:,} bytes; the limit is {_MAX_DICTIONARY:,}")
    return lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=[told])


def lzma_head(packed: bytes) -> int:
    """Length of what precedes the LZMA stream of a zip member."""
    if len(packed) < _LZMA_HEAD.size:
        raise PayloadRefused("the LZMA stream is truncated")
    return _LZMA_HEAD.size + _LZMA_HEAD.unpack_from(packed)[2]


def pour(codec: Codec, packed: memoryview, allowance: Allowance) -> Iterator[bytes]:
    """Content of one stream in pieces of at most 1 MiB. Raises PayloadRefused where it is broken, cut off or too much.

    What follows the end of the stream is left alone.
    """
    at = 0
    try:
        while not codec.eof:
            piece = bytes(packed[at : at + _READ]) if codec.needs_input else b""
            if codec.needs_input and not piece:
                return
            at += len(piece)
            allowance.read(len(piece))
            out = codec.decompress(piece, _WRITE)
            allowance.wrote(len(out))
            if out:
                yield out
    except (zlib.error, lzma.LZMAError, EOFError, OSError, ValueError, MemoryError) as error:
        raise PayloadRefused(f"the packed stream is broken: {error}") from error


def inflate(data: bytes, most: int = MAX_BYTES) -> bytes:
    """Content of a zlib stream, or of a raw deflate one, which some servers send for it.

    Raises PayloadRefused where it is broken, truncated or too much.
    """
    wrapped = len(data) > 1 and data[0] & 0x0F == zlib.DEFLATED and not int.from_bytes(data[:2], "big") % 31
    codec = Deflate(zlib.MAX_WBITS if wrapped else -zlib.MAX_WBITS)
    content = b"".join(pour(codec, memoryview(data), Allowance("deflate", most)))
    if not codec.eof:
        raise PayloadRefused("deflate stream is truncated")
    return content


def gunzip(data: bytes | memoryview, most: int = MAX_BYTES) -> bytes:
    """Content of a gzip file of one or several streams; zero bytes behind them are padding.

    Raises PayloadRefused where it is broken, truncated or too much.
    """
    sink, packed, at, streams = BytesIO(), memoryview(data), 0, 0
    allowance = Allowance("gzip", most)
    while at < len(packed):
        streams += 1
        if streams > _FREE_STREAMS + at // _MEAN_STREAM:
            raise PayloadRefused(f"gzip has more than {_FREE_STREAMS:,} streams of hardly a byte each")
        at += _one_stream(packed[at:], sink, allowance)
        if packed[at : at + 1] == b"\0" and not bytes(packed[at:]).strip(b"\0"):
            break
    return sink.getvalue()


def _one_stream(packed: memoryview, sink: BytesIO, allowance: Allowance) -> int:
    """Write the content of the first gzip stream of `packed`; how long that stream is."""
    codec, at, step = Deflate(31), 0, _GZIP_HEAD
    try:
        while not codec.eof:
            piece = bytes(packed[at : at + step]) if codec.needs_input else b""
            if codec.needs_input and not piece:
                raise PayloadRefused("gzip stream is truncated")
            at, step = at + len(piece), min(2 * step, _READ)
            allowance.read(len(piece))
            out = codec.decompress(piece, _WRITE)
            allowance.wrote(len(out))
            sink.write(out)
    except zlib.error as error:
        raise PayloadRefused(f"gzip stream is broken: {error}") from error
    spare = len(codec.unused_data)
    allowance.read(-spare)
    return at - spare
