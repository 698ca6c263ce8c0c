"""Hostile archives by name, and what reading one costs, measured in a process of its own."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import struct
import subprocess
import sys
import zipfile
import zlib
from pathlib import Path

MIB = 1 << 20
# Opens each file named on the command line in one way; prints what it said and by how much the peak grew, in bytes.
_READER = """
import json, re, sys
from pathlib import Path
{imports}


def peak():
    # Not ru_maxrss: that one is handed on by the process that started this one.
    return int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])


for path in map(Path, sys.argv[1:]):
    data = path.read_bytes()
    before = peak()
    try:
        size = {work}
        said = f"read {{size}}"
    except {refused} as refusal:
        said = f"{{type(refusal).__name__}}: {{refusal}}"
    grown = peak() - before
    print(json.dumps([path.name, said, grown * 1024]), flush=True)
    del data
"""
UNPACK = _READER.format(
    imports="from carbon254.wire.archive import unpack; from carbon254.errors import PayloadRefused",
    work="sum(len(content) for _, content in unpack(path.name, data))",
    refused="PayloadRefused",
)
PARSE = _READER.format(
    imports="from carbon254.feeds import feed; from carbon254.errors import PayloadRefused\n"
    "topic = {'csv': 'iso.rt.lmp.spp', 'json': 'iso.da.lmp.pjm', 'xml': 'iso.hasp.lmp.caiso'}\n"
    "warm = b'Interval,GMTIntervalEnd,Settlement Location,LMP,MLC,MCC,MEC\\n'\n"
    "list(feed('iso.rt.lmp.spp').read('a', warm + b'4/1/2026 6:00,4/1/2026 6:00,A,1,0,0,1\\n'))",
    work="sum(rows.frame.height for rows in feed(topic[path.name.split('.')[1]]).read(path.name, data))",
    refused="PayloadRefused",
)


def measured(reader: str, files: dict[str, bytes], folder: Path, seconds: float = 600) -> dict[str, tuple[str, int]]:
    """What each file said and the growth of the peak in bytes, all read by one process, one after another."""
    for name, data in files.items():
        (folder / name).write_bytes(data)
    done = subprocess.run(
        [sys.executable, "-c", reader, *(str(folder / name) for name in files)],
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2_000:]
    return {name: (said, grown) for name, said, grown in map(json.loads, done.stdout.splitlines())}


def zipped(members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", method) as file:
        for name, content in members.items():
            file.writestr(name, content)
    return sink.getvalue()


def bzip2_of_zeros(size: int) -> bytes:
    """A zip of one member of so many zeros, by bzip2: some hundred bytes for a gigabyte."""
    packer, checksum, chunk = bz2.BZ2Compressor(), 0, bytes(MIB)
    packed = b"".join(packer.compress(chunk) for _ in range(size // MIB)) + packer.flush()
    for _ in range(size // MIB):
        checksum = zlib.crc32(chunk, checksum)
    return one_member(packed, zipfile.ZIP_BZIP2, size, checksum)


def one_member(packed: bytes, method: int, size: int, checksum: int, name: bytes = b"a.csv") -> bytes:
    """A zip of one member whose packed bytes are given, whatever they are."""
    facts = struct.pack("<HHHHHLLLHH", 20, 0, method, 0, 33, checksum, len(packed), size, len(name), 0)
    local = b"PK\3\4" + facts + name + packed
    entry = b"PK\1\2" + struct.pack("<H", 20) + facts + struct.pack("<HHHLL", 0, 0, 0, 0, 0) + name
    return local + entry + b"PK\5\6" + struct.pack("<HHHHLLH", 0, 0, 1, 1, len(entry), len(local), 0)


def overlapping(entries: int) -> bytes:
    """A zip whose members all say that they are the same bytes."""
    whole = zipped({"a": bytes(8 * MIB)})
    at = whole.index(b"PK\1\2")
    local, entry = whole[:at], whole[at : whole.index(b"PK\5\6")]
    listed = b"".join(entry[:46] + bytes([97 + n % 26]) + entry[47:] for n in range(entries))
    end = struct.pack("<HHHHLLH", 0, 0, entries, entries, len(listed), len(local), 0)
    return local + listed + b"PK\5\6" + end


def gzip_of_zeros(size: int) -> bytes:
    return gzip.compress(bytes(size), 9)


def lzma_dictionary(size: int) -> bytes:
    """A zip member by LZMA that asks for a dictionary of so many bytes."""
    packer = lzma.LZMACompressor(lzma.FORMAT_RAW, filters=[{"id": lzma.FILTER_LZMA1, "dict_size": 1 << 16}])
    packed = packer.compress(b"x" * 100) + packer.flush()
    head = struct.pack("<BBH", 9, 4, 5) + bytes([93]) + struct.pack("<L", size)
    return one_member(head + packed, zipfile.ZIP_LZMA, 100, zlib.crc32(b"x" * 100))
