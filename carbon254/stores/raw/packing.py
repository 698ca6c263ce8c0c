"""A payload as the archive keeps it: one zstd frame that states its size. Equal bytes in give equal bytes out."""

from __future__ import annotations

import hashlib
import io
from typing import IO

import zstandard

from carbon254.errors import CorruptPayload
from carbon254.faults import reach

_LEVEL = 3
_CHUNK = 4 << 20
_LARGE = 8 << 20


def pack(data: bytes, sink: IO[bytes]) -> None:
    """Write the payload's frame."""
    compressor = zstandard.ZstdCompressor(level=_LEVEL, threads=2 if len(data) > _LARGE else 0)
    with compressor.stream_writer(sink, size=len(data), closefd=False) as stream:
        reach("raw.opened")
        view = memoryview(data)
        for start in range(0, len(data), _CHUNK):
            stream.write(view[start : start + _CHUNK])
            reach("raw.writing")


def packed(data: bytes) -> bytes:
    """The payload's frame, in memory."""
    sink = io.BytesIO()
    pack(data, sink)
    return sink.getvalue()


def unpack(source: IO[bytes], sha256: str, place: str) -> bytes:
    """The payload of a frame. Raises CorruptPayload where it is not the one that `sha256` names."""
    try:
        with zstandard.ZstdDecompressor().stream_reader(source) as stream:
            data = stream.read()
    except zstandard.ZstdError as error:
        raise CorruptPayload(f"payload {sha256} cannot be unpacked: {error}") from error
    if hashlib.sha256(data).hexdigest() != sha256:
        raise CorruptPayload(f"payload {sha256} does not match its name; restore {place} from a backup")
    return data


def is_whole(source: IO[bytes], sha256: str) -> bool:
    """Whether a frame holds the payload that `sha256` names; read in pieces."""
    digest = hashlib.sha256()
    try:
        with zstandard.ZstdDecompressor().stream_reader(source) as stream:
            while chunk := stream.read(_CHUNK):
                digest.update(chunk)
    except zstandard.ZstdError:
        return False
    return digest.hexdigest() == sha256
