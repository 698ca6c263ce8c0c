"""Archives that are not what they say, or that hide another: each is refused with what it is and the next step."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tarfile
import zipfile

import pytest
import zstandard
from hostile import zipped

from carbon254.errors import PayloadRefused
from carbon254.wire.archive import unpack

CSV = b"place,price\nA,1\n"


def tarred(content: bytes) -> bytes:
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w") as file:
        facts = tarfile.TarInfo("a.csv")
        facts.size = len(content)
        file.addfile(facts, io.BytesIO(content))
    return sink.getvalue()


PACKED = {
    "a zip": zipped({"a.csv": CSV}),
    "a gzip file": gzip.compress(CSV),
    "a bzip2 file": bz2.compress(CSV),
    "an xz file": lzma.compress(CSV),
    "a zstd file": zstandard.compress(CSV),
    "a tar archive": tarred(CSV),
}


@pytest.mark.parametrize("inner", PACKED)
def test_what_is_packed_twice_is_refused_by_whatever_it_is_packed(inner: str) -> None:
    for outer in (zipped({"inner": PACKED[inner]}), zipped({"i": PACKED[inner]}, zipfile.ZIP_STORED)):
        with pytest.raises(PayloadRefused, match=f"itself {inner}"):
            list(unpack("x.zip", outer))
    with pytest.raises(PayloadRefused, match=f"holds {inner}: unpack it once"):
        list(unpack("x.gz", gzip.compress(PACKED[inner])))


@pytest.mark.parametrize("kind", [kind for kind in PACKED if kind not in ("a zip", "a gzip file")])
def test_a_file_packed_in_another_way_says_so(kind: str) -> None:
    with pytest.raises(PayloadRefused, match=f"{kind} is not read: unpack it, or pack it as zip or gzip"):
        list(unpack("x", PACKED[kind]))


@pytest.mark.parametrize("name", ["a\0b.csv", "\\root.csv", "c:evil.csv", "..\\up.csv", "a/../../b.csv", "new\nline"])
def test_unsafe_names_are_refused(name: str) -> None:
    plain = zipped({"x" * len(name): CSV})
    with pytest.raises(PayloadRefused, match="unsafe name"):
        list(unpack("x.zip", plain.replace(b"x" * len(name), name.encode())))


def test_links_and_encrypted_members_and_repeated_names_are_refused() -> None:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as file:
        link = zipfile.ZipInfo("link.csv")
        link.external_attr = 0o120777 << 16
        file.writestr(link, "/etc/passwd")
    with pytest.raises(PayloadRefused, match="is a link"):
        list(unpack("x.zip", sink.getvalue()))
    locked = bytearray(zipped({"a.csv": CSV}))
    locked[6] |= 1
    locked[locked.index(b"PK\1\2") + 8] |= 1
    with pytest.raises(PayloadRefused, match="is encrypted"):
        list(unpack("x.zip", bytes(locked)))
    twice = zipped({"a.csv": CSV, "b.csv": CSV}).replace(b"b.csv", b"a.csv")
    with pytest.raises(PayloadRefused, match="two members called"):
        list(unpack("x.zip", twice))


def test_an_archive_without_files_is_refused_and_what_a_folder_adds_is_left_out() -> None:
    for empty in (zipped({}), zipped({"folder/": b""}), zipped({"__MACOSX/._a.csv": b"\0"})):
        with pytest.raises(PayloadRefused, match="no files"):
            list(unpack("x.zip", empty))
    assert list(unpack("x.zip", zipped({"__MACOSX/._a.csv": b"\0", ".DS_Store": b"\0", "a.csv": CSV}))) == [
        ("a.csv", CSV)
    ]


def test_members_come_in_the_order_of_their_names() -> None:
    assert [name for name, _ in unpack("x", zipped({"b": b"2", "a": b"1", "c": b"3"}))] == ["a", "b", "c"]


def test_padding_behind_a_gzip_file_is_no_part_of_it() -> None:
    assert list(unpack("a.csv.gz", gzip.compress(CSV) + bytes(512))) == [("a.csv", CSV)]
    with pytest.raises(PayloadRefused, match="broken"):
        list(unpack("a.csv.gz", gzip.compress(CSV) + b"junk"))
