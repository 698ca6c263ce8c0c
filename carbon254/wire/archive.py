"""Unpacking what providers wrap: gzip and zip, with bounds against bombs and path tricks.

Limits: 1,000 members, 2 GiB in total, and so much content for so many packed bytes (`inflate`); no archive within an
archive, no absolute or climbing names, no links, no encryption, no two members of one name, no two that share bytes.
Sizes are counted while inflating; what the archive says of itself is only believed where it makes less of it.
Members are read in the order of their names, so that nothing depends on the order in which they were packed.
"""

from __future__ import annotations

import io
import re
import stat
import struct
import zipfile
import zlib
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from pathlib import PurePosixPath

from carbon254.errors import PayloadRefused

from .inflate import MAX_BYTES, Allowance, Codec, Deflate, Stored, gunzip, lzma_head, pour, unbzip, unlzma

MAX_MEMBERS = 1_000
_ZIP = (b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08")
_GZIP = b"\x1f\x8b"
# What else a file or a member may be packed as; none of these is opened.
_OTHERS = (
    (b"BZh", "a bzip2 file"), (b"\xfd7zXZ\0", "an xz file"), (b"\x28\xb5\x2f\xfd", "a zstd file"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive"), (b"Rar!\x1a\x07", "a rar archive"), (b"LZIP", "an lzip file"),
    (b"\x1f\x9d", "a compress file"), (b"\x04\x22\x4d\x18", "an lz4 file"), (b"MSCF", "a cabinet archive"),
)  # fmt: skip
_BZIP = re.compile(rb"BZh[1-9](1AY&SY|\x17rE8P\x90)", re.S)
_TAR = (257, b"ustar")
_ENTRY = b"PK\x01\x02"
_LOCAL = struct.Struct("<4s22xHH")
_UNSAFE = re.compile(r"[\x00-\x1f]|^[A-Za-z]:")
# What a Mac and a Windows folder add by themselves; nobody meant to send it.
_DROPPINGS = re.compile(r"(^|/)(__MACOSX/|\.DS_Store$|Thumbs\.db$|desktop\.ini$)")
_DEFLATED, _BZIPPED, _LZMA = zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA
_METHODS = {9: "Deflate64", 1: "shrink", 6: "implode", 93: "zstd", 95: "xz", 98: "PPMd", 99: "AES"}


def unpack(name: str, data: bytes) -> Iterator[tuple[str, bytes]]:
    """(member name, bytes) of a payload: the payload itself, its gzip content, or each file of its zip by name.

    Raises PayloadRefused for an archive that is broken, empty, too large, packed twice, encrypted or has unsafe names.
    """
    for member, pieces in _opened(name, data):
        sink = io.BytesIO()
        for piece in pieces:
            sink.write(piece)
        yield member, sink.getvalue()


def heads(name: str, data: bytes, size: int) -> Iterator[tuple[str, bytes]]:
    """(member name, its first `size` bytes) of a payload; no more than that is inflated of any. Raises as `unpack`."""
    for member, pieces in _opened(name, data):
        sink = io.BytesIO()
        with closing(pieces):
            for piece in pieces:
                sink.write(piece)
                if sink.tell() >= size:
                    break
        yield member, sink.getvalue()[:size]


def packed_as(head: bytes) -> str:
    """What kind of archive or packed file begins like this; empty for what is none."""
    if head[:4] in _ZIP:
        return "a zip"
    if head[:2] == _GZIP:
        return "a gzip file"
    if head[_TAR[0] : _TAR[0] + len(_TAR[1])] == _TAR[1]:
        return "a tar archive"
    if head[:3] == b"BZh" and not _BZIP.match(head):
        return ""
    return next((what for mark, what in _OTHERS if head.startswith(mark)), "")


def _opened(name: str, data: bytes) -> Iterator[tuple[str, Generator[bytes]]]:
    kind = packed_as(data[:512])
    if kind == "a zip":
        yield from _members(data)
    elif kind == "a gzip file":
        content = gunzip(data)
        if inner := packed_as(content[:512]):
            raise PayloadRefused(f"the gzip file holds {inner}: unpack it once")
        yield name.removesuffix(".gz"), _whole(content)
    elif kind:
        raise PayloadRefused(f"{kind} is not read: unpack it, or pack it as zip or gzip")
    else:
        yield name, _whole(data)


def _whole(data: bytes) -> Generator[bytes]:
    # A generator like the others, so that a caller may close it.
    yield data


def _members(data: bytes) -> Iterator[tuple[str, Generator[bytes]]]:
    entries = _entries(data)
    _check_entries(entries)
    allowance, packed = Allowance("zip"), memoryview(data)
    spans = [(*_span(data, entry), entry) for entry in entries]
    end = 0
    for start, stop, entry in sorted(spans, key=lambda span: span[0]):
        if start < end:
            raise PayloadRefused(f"zip members share their bytes: {entry.filename!r}")
        end = stop
    for start, stop, entry in sorted(spans, key=lambda span: span[2].filename):
        yield entry.filename, _content(packed[start:stop], entry, allowance)


def _entries(data: bytes) -> Sequence[zipfile.ZipInfo]:
    # Counted before the directory is read: a million entries would fill memory before the first could be refused.
    if data.count(_ENTRY) > 2 * MAX_MEMBERS:
        raise PayloadRefused(f"zip has more than {MAX_MEMBERS:,} members")
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            listed = archive.infolist()
    except (zipfile.BadZipFile, EOFError, NotImplementedError, OSError, ValueError, struct.error) as error:
        raise PayloadRefused(f"zip is broken: {error}") from error
    entries = [entry for entry in listed if not entry.is_dir() and not _DROPPINGS.search(entry.filename)]
    if len(entries) > MAX_MEMBERS:
        raise PayloadRefused(f"zip has {len(entries):,} members; the limit is {MAX_MEMBERS:,}")
    if not entries:
        raise PayloadRefused("zip has no files in it")
    return entries


def _check_entries(entries: Sequence[zipfile.ZipInfo]) -> None:
    seen: set[str] = set()
    for entry in entries:
        path = PurePosixPath(entry.orig_filename.replace("\\", "/"))
        if path.is_absolute() or ".." in path.parts or _UNSAFE.search(entry.orig_filename):
            raise PayloadRefused(f"zip member has an unsafe name: {entry.orig_filename!r}")
        if entry.filename in seen:
            raise PayloadRefused(f"zip has two members called {entry.filename!r}")
        seen.add(entry.filename)
        if stat.S_ISLNK(entry.external_attr >> 16):
            raise PayloadRefused(f"zip member is a link: {entry.filename!r}")
        if entry.flag_bits & 1:
            raise PayloadRefused(f"zip member is encrypted: {entry.filename!r}")


def _span(data: bytes, entry: zipfile.ZipInfo) -> tuple[int, int]:
    """Where a member's packed bytes begin and end, by its local header."""
    try:
        mark, name, extra = _LOCAL.unpack_from(data, entry.header_offset)
    except struct.error as error:
        raise PayloadRefused(f"zip is broken: {entry.filename!r} lies beyond its end") from error
    start = entry.header_offset + _LOCAL.size + name + extra
    stop = start + entry.compress_size
    if mark != _ZIP[0] or stop > len(data):
        raise PayloadRefused(f"zip is broken or cut off at {entry.filename!r}")
    return start, stop


def _codec(packed: memoryview, entry: zipfile.ZipInfo) -> tuple[Codec, memoryview]:
    """(reader, what it reads) of a member's packed bytes."""
    if entry.compress_type == zipfile.ZIP_STORED:
        return Stored(), packed
    if entry.compress_type == _DEFLATED:
        return Deflate(-zlib.MAX_WBITS), packed
    if entry.compress_type == _BZIPPED:
        return unbzip(), packed
    if entry.compress_type == _LZMA:
        size = lzma_head(bytes(packed[:4]))
        return unlzma(bytes(packed[:size])), packed[size:]
    method = _METHODS.get(entry.compress_type, f"number {entry.compress_type}")
    raise PayloadRefused(
        f"zip member {entry.filename!r} is packed by {method}, which is not read: pack it with deflate"
    )


def _content(packed: memoryview, entry: zipfile.ZipInfo, allowance: Allowance) -> Generator[bytes]:
    """A member's content in pieces, checked against its size and checksum at the end."""
    codec, packed = _codec(packed, entry)
    size = checksum = 0
    for piece in pour(codec, packed, allowance):
        if not size and (inner := packed_as(piece[:512])):
            raise PayloadRefused(f"zip member is itself {inner}: {entry.filename!r}; unpack it once")
        size, checksum = size + len(piece), zlib.crc32(piece, checksum)
        if size > entry.file_size:
            raise PayloadRefused(f"zip is broken: {entry.filename!r} is longer than its directory says")
        yield piece
    if size != entry.file_size or checksum != entry.CRC:
        raise PayloadRefused(f"zip is broken: {entry.filename!r} is not what was packed (length or checksum)")


__all__ = ["MAX_BYTES", "MAX_MEMBERS", "heads", "packed_as", "unpack"]
