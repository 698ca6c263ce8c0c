"""Small files that want to become large ones: the peak of memory and the work stay bounded, whatever packed them."""

from __future__ import annotations

import gzip
import zipfile
from pathlib import Path

import pytest
from hostile import (
    MIB,
    PARSE,
    UNPACK,
    bzip2_of_zeros,
    gzip_of_zeros,
    lzma_dictionary,
    measured,
    one_member,
    overlapping,
    zipped,
)

from carbon254.errors import PayloadRefused
from carbon254.wire import archive, inflate
from carbon254.wire.inflate import Allowance

GIB = 1 << 30


@pytest.mark.slow
def test_a_small_archive_never_grows_memory_by_what_it_would_become(tmp_path: Path) -> None:
    zeros = bytes(200 * MIB)
    files = {
        "bzip2.zip": bzip2_of_zeros(GIB),
        "deflate.zip": zipped({"a.csv": zeros}),
        "lzma.zip": zipped({"a.csv": zeros[: 64 * MIB]}, zipfile.ZIP_LZMA),
        "thousand.zip": zipped({f"{n}.csv": zeros[:MIB] for n in range(999)}),
        "gzip.csv.gz": gzip_of_zeros(len(zeros)),
        "twice.csv.gz": gzip.compress(gzip_of_zeros(len(zeros))),
        "overlapping.zip": overlapping(500),
        "dictionary.zip": lzma_dictionary(0xFFFF_FFFF),
        "empties.csv.gz": gzip.compress(b"") * (8 * MIB // 20),
        "million.zip": b"PK\3\4" + b"PK\1\2" * 1_000_000,
    }
    assert len(files["bzip2.zip"]) < 2_000
    found = measured(UNPACK, files, tmp_path)
    assert set(found) == set(files)
    for name, (said, grown) in found.items():
        assert said.startswith(("PayloadRefused", "TooMuch")), (name, said)
        assert grown < 128 * MIB, (name, said, grown)


def test_a_small_file_of_rows_never_grows_memory_without_bound(tmp_path: Path) -> None:
    head = b"Interval,GMTIntervalEnd,Settlement Location,Pnode,LMP,MLC,MCC,MEC\n"
    files = {
        "lines.csv.gz": gzip.compress(head + b"x\n" * (3 * MIB), 9),
        "cells.csv.gz": gzip.compress(head + b"x," * (3 * MIB), 9),
        "commas.csv.gz": gzip.compress(head + b",,,,,,,x\n" * (MIB // 2), 9),
        "quotes.csv.gz": gzip.compress(head + b'"' * (6 * MIB), 9),
        "objects.json.gz": gzip.compress(b'{"items":[' + b"{}," * (2 * MIB) + b"{}]}", 9),
        "levels.json.gz": gzip.compress(b"[" * (6 * MIB), 9),
        "levels.xml.gz": gzip.compress(b"<OASISReport>" + b"<a>" * (2 * MIB), 9),
        "attributes.xml.gz": gzip.compress(
            b"<OASISReport " + b" ".join(b'a%d="1"' % n for n in range(400_000)) + b"/>", 9
        ),
    }
    found = measured(PARSE, files, tmp_path)
    assert set(found) == set(files)
    for name, (said, grown) in found.items():
        assert said == "read 0" or said.startswith(("PayloadRefused", "TooMuch")), (name, said)
        assert grown < 128 * MIB, (name, said, grown)


def test_work_on_a_gzip_of_many_streams_is_linear(monkeypatch: pytest.MonkeyPatch) -> None:
    fed = []

    class Counting(inflate.Deflate):
        def decompress(self, data: bytes, most: int, /) -> bytes:
            fed.append(len(data))
            return super().decompress(data, most)

    monkeypatch.setattr(inflate, "Deflate", Counting)
    packed = gzip.compress(b"1,2\n" * 300, 0) * 2_000
    assert inflate.gunzip(packed) == b"1,2\n" * 600_000
    assert sum(fed) < 2 * len(packed)


def test_the_allowance_grows_with_what_was_read_and_not_with_what_is_said() -> None:
    allowance = Allowance("zip")
    allowance.read(100)
    allowance.wrote(8 * MIB)
    with pytest.raises(PayloadRefused, match="exceeds"):
        allowance.wrote(100_000)


@pytest.mark.parametrize("ratio", [5, 20, 40])
def test_what_prices_really_shrink_by_is_allowed(ratio: int) -> None:
    allowance = Allowance("zip")
    for _ in range(1_000):
        allowance.read(MIB // ratio + 1)
        allowance.wrote(MIB)


def test_a_member_that_is_longer_or_shorter_than_said_is_refused() -> None:
    for size in (1, 4, 1 << 20):
        with pytest.raises(PayloadRefused, match=r"directory says|length or checksum"):
            list(archive.unpack("x.zip", one_member(b"12345", zipfile.ZIP_STORED, size, 0)))


@pytest.mark.parametrize(
    ("method", "called"), [(9, "Deflate64"), (93, "zstd"), (95, "xz"), (98, "PPMd"), (77, "number 77")]
)
def test_a_codec_that_is_not_read_is_named(method: int, called: str) -> None:
    with pytest.raises(PayloadRefused, match=f"{called}, which is not read: pack it with deflate"):
        list(archive.unpack("x.zip", one_member(b"12345", method, 5, 0)))


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_every_codec_that_is_read_gives_the_same_bytes(method: int) -> None:
    content = b"".join(b"P%d,%d\n" % (n, n * n) for n in range(200_000))
    assert list(archive.unpack("x.zip", zipped({"a.csv": content, "b.csv": b""}, method))) == [
        ("a.csv", content),
        ("b.csv", b""),
    ]


def test_heads_inflate_no_more_than_they_are_asked_for() -> None:
    packed = zipped({"a.csv": b"x" * 5_000_000, "b.csv": b"y"})
    assert [(name, len(head)) for name, head in archive.heads("x.zip", packed, 100)] == [("a.csv", 100), ("b.csv", 1)]
