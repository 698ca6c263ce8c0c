"""The raw archive's contract: the bytes that came in, or an error."""

from __future__ import annotations

import hashlib
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from carbon254.errors import CorruptPayload
from carbon254.stores.raw import Provenance, RawArchive, open_raw

NOW = datetime(2025, 7, 1, tzinfo=UTC)


def provenance(at: datetime = NOW, name: str = "a.csv") -> Provenance:
    return Provenance("iso.rt.lmp.spp", "https://example.org/a", name, "subject", at)


@pytest.fixture
def raw(tmp_path: Path) -> RawArchive:
    return open_raw(tmp_path / "raw")


@pytest.mark.parametrize("data", [b"", b"x", os.urandom(300_000), b"line\n" * 3_000_000])
def test_bytes_come_back_as_they_came(raw: RawArchive, data: bytes) -> None:
    reference = raw.put(data, provenance())
    assert reference.sha256 == hashlib.sha256(data).hexdigest()
    assert raw.get(reference.sha256) == data
    assert reference.sha256 in raw and list(raw.ids()) == [reference.sha256]


def test_the_same_bytes_are_one_object_and_every_arrival_one_line(raw: RawArchive) -> None:
    for at in (NOW, NOW, NOW + timedelta(hours=1)):
        sha256 = raw.put(b"same", provenance(at)).sha256
    assert [one.received_at for one in raw.provenance(sha256)] == [NOW, NOW + timedelta(hours=1)]
    assert len(list(raw.ids())) == 1


@pytest.mark.parametrize("harm", ["flip", "cut", "swap"])
def test_changed_bytes_are_never_returned(raw: RawArchive, tmp_path: Path, harm: str) -> None:
    sha256 = raw.put(os.urandom(5_000), provenance()).sha256
    other = raw.put(b"other" * 1_000, provenance()).sha256
    path = tmp_path / "raw" / sha256[:2] / f"{sha256}.zst"
    packed = bytearray(path.read_bytes())
    if harm == "flip":
        packed[len(packed) // 2] ^= 1
    elif harm == "cut":
        packed = packed[: len(packed) // 2]
    else:
        packed = bytearray((tmp_path / "raw" / other[:2] / f"{other}.zst").read_bytes())
    path.write_bytes(packed)
    with pytest.raises(CorruptPayload):
        raw.get(sha256)


def test_an_unknown_payload_is_a_key_error(raw: RawArchive) -> None:
    with pytest.raises(KeyError, match="no payload"):
        raw.get("0" * 64)


def test_a_crash_before_the_rename_leaves_nothing_visible(raw: RawArchive, tmp_path: Path) -> None:
    child = os.fork()
    if child == 0:
        Path.replace = lambda *_: os._exit(9)  # type: ignore[assignment, method-assign]
        raw.put(b"half", provenance())
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    assert list(raw.ids()) == []
    assert (raw.sweep(), raw.sweep()) == (1, 0)
    sha256 = raw.put(b"half", provenance()).sha256
    assert raw.get(sha256) == b"half"
