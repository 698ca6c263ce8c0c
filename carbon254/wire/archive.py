"""Unpacking what providers wrap: gzip and zip, with bounds against bombs and path tricks.

Limits: 1,000 members, 2 GiB in total, 200 times the packed size, no nested archives, no absolute or climbing names,
no links, no encryption. Sizes are counted while inflating, never taken from the archive's own word.
"""

from __future__ import annotations

import io
import stat
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import PurePosixPath

from carbon254.errors import PayloadRefused

MAX_MEMBERS = 1_000
MAX_BYTES = 2 << 30
MAX_RATIO = 200
_SLACK = 10 << 20
_CHUNK = 1 << 20


def unpack(name: str, data: bytes) -> Iterator[tuple[str, bytes]]:
    """(member name, bytes) of a payload: the payload itself, its gzip content, or each file of its zip.

    Raises PayloadRefused for an archive that is broken, too large, nested, encrypted or has unsafe names.
    """
    if data[:4] in (b"PK\x03\x04", b"PK\x05\x06"):
        yield from _members(data)
    elif data[:2] == b"\x1f\x8b":
        yield name.removesuffix(".gz"), _gunzip(data)
    else:
        yield name, data


def _bound(packed: int) -> int:
    return min(MAX_BYTES, packed * MAX_RATIO + _SLACK)


def _gunzip(data: bytes) -> bytes:
    limit, out, rest = _bound(len(data)), bytearray(), data
    try:
        while rest:
            stream = zlib.decompressobj(wbits=31)
            out += stream.decompress(rest, limit - len(out) + 1)
            if len(out) > limit:
                raise PayloadRefused(f"gzip content exceeds {limit:,} bytes")
            if not stream.eof:
                raise PayloadRefused("gzip stream is truncated")
            rest = stream.unused_data
    except zlib.error as error:
        raise PayloadRefused(f"gzip stream is broken: {error}") from error
    return bytes(out)


def _members(data: bytes) -> Iterator[tuple[str, bytes]]:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entries = [entry for entry in archive.infolist() if not entry.is_dir()]
            if len(entries) > MAX_MEMBERS:
                raise PayloadRefused(f"zip has {len(entries):,} members; the limit is {MAX_MEMBERS:,}")
            left = _bound(len(data))
            for entry in entries:
                _check_entry(entry)
                content = _inflate(archive, entry, left)
                left -= len(content)
                yield entry.filename, content
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, OSError) as error:
        raise PayloadRefused(f"zip is broken: {error}") from error


def _check_entry(entry: zipfile.ZipInfo) -> None:
    path = PurePosixPath(entry.filename.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or ":" in entry.filename:
        raise PayloadRefused(f"zip member has an unsafe name: {entry.filename!r}")
    if stat.S_ISLNK(entry.external_attr >> 16):
        raise PayloadRefused(f"zip member is a link: {entry.filename!r}")
    if entry.flag_bits & 1:
        raise PayloadRefused(f"zip member is encrypted: {entry.filename!r}")


def _inflate(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, limit: int) -> bytes:
    out = bytearray()
    with archive.open(entry) as source:
        while chunk := source.read(_CHUNK):
            out += chunk
            if len(out) > limit:
                raise PayloadRefused(f"zip content exceeds {limit:,} bytes")
    if out[:4] == b"PK\x03\x04":
        raise PayloadRefused(f"zip member is itself a zip: {entry.filename!r}")
    return bytes(out)
