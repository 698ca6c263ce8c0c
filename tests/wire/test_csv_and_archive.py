"""Wire formats: what cannot be read is refused or rejected with its line; what can is kept."""

from __future__ import annotations

import gzip
import io
import zipfile

import polars as pl
import pytest

from carbon254.errors import PayloadRefused
from carbon254.wire import archive, csv

TYPES = {"place": pl.String, "price": pl.Float64}


def zipped(members: dict[str, bytes], **options: object) -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in members.items():
            file.writestr(name, content)
    return sink.getvalue()


def only(data: bytes, skip: int = 0) -> csv.Block:
    (block,) = csv.read(data, TYPES, skip)
    return block


def test_columns_are_read_by_name_and_lines_counted() -> None:
    block = only(b"other,price,place\r\nx,-.37,A\r\ny,10,B\r\n")
    assert block.frame.rows() == [(-0.37, "A", 2), (10.0, "B", 3)]


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (b"B,abc", "price: 'abc' is not a number"),
        (b"B", "1 cells where the header has 2"),
        (b"B,1,2", "3 cells where the header has 2"),
    ],
)
def test_a_bad_row_is_a_reject_and_its_neighbours_stay(bad: bytes, reason: str) -> None:
    block = only(b"place,price\nA,1\n" + bad + b"\nC,3\n")
    assert block.frame["place"].to_list() == ["A", "C"]
    assert (block.lines, block.reasons, block.raws) == ([3], [reason], [bad.decode()])


def test_a_missing_price_is_not_zero() -> None:
    assert only(b"place,price\nA,\n").frame["price"].to_list() == [None]


def test_preamble_lines_are_skipped_and_counted() -> None:
    assert only(b"title\n\nplace,price\nA,1\n", skip=2).frame["line"].to_list() == [4]


def test_a_byte_order_mark_and_quotes_do_not_hide_the_header() -> None:
    assert only(b'\xef\xbb\xbf"place","price"\n"A",1\n').frame["price"].to_list() == [1.0]


def test_large_files_come_in_blocks_and_lose_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv, "BLOCK_BYTES", 64)
    data = b"place,price\n" + b"".join(b"P%d,%d\n" % (i, i) for i in range(500))
    blocks = list(csv.read(data, TYPES))
    assert len(blocks) > 10
    assert pl.concat([b.frame for b in blocks])["line"].to_list() == list(range(2, 502))


def test_latin_1_text_is_read_rather_than_refused() -> None:
    assert only("place,price\nQuébec,1\n".encode("latin-1")).frame["place"].to_list() == ["Québec"]


def test_gzip_and_zip_are_unpacked() -> None:
    assert list(archive.unpack("a.csv.gz", gzip.compress(b"x"))) == [("a.csv", b"x")]
    assert list(archive.unpack("a.zip", zipped({"b.csv": b"y", "c.csv": b"z"}))) == [("b.csv", b"y"), ("c.csv", b"z")]
    assert list(archive.unpack("a.csv", b"plain")) == [("a.csv", b"plain")]


@pytest.mark.parametrize("name", ["../up.csv", "/root.csv", "a/../../b.csv", "C:\\x.csv"])
def test_unsafe_member_names_are_refused(name: str) -> None:
    with pytest.raises(PayloadRefused, match="unsafe name"):
        list(archive.unpack("a.zip", zipped({name: b"x"})))


def test_bombs_are_refused() -> None:
    for packed in (zipped({"b": b"\0" * 20_000_000}), gzip.compress(b"\0" * 20_000_000)):
        with pytest.raises(PayloadRefused, match="exceeds"):
            list(archive.unpack("x", packed))


def test_truncated_archives_are_refused_at_every_length() -> None:
    for whole in (zipped({"b": b"hello" * 50}), gzip.compress(b"hello" * 50)):
        for length in range(10, len(whole) - 1, 7):
            with pytest.raises(PayloadRefused):
                list(archive.unpack("x", whole[:length]))


def test_nested_and_too_many_members_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(PayloadRefused, match="itself a zip"):
        list(archive.unpack("x", zipped({"inner.zip": zipped({"a": b"1"})})))
    monkeypatch.setattr(archive, "MAX_MEMBERS", 2)
    with pytest.raises(PayloadRefused, match="members"):
        list(archive.unpack("x", zipped({str(i): b"1" for i in range(3)})))
