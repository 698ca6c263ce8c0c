"""The raw archive's contract: the bytes that came in, or an error."""

from __future__ import annotations

import fcntl
import hashlib
import os
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from archive_places import InBucket, InFolder, Kept

from carbon254.errors import CorruptPayload
from carbon254.stores.raw import Provenance, RawArchive, open_raw

NOW = datetime(2025, 7, 1, tzinfo=UTC)


def provenance(at: datetime = NOW, name: str = "a.csv") -> Provenance:
    return Provenance("iso.rt.lmp.spp", "https://example.org/a", name, "subject", at)


@pytest.fixture(params=["folder", pytest.param("s3", marks=pytest.mark.servers("minio"))])
def kept(request: pytest.FixtureRequest, tmp_path: Path) -> Kept:
    """Where the archive's bytes are, for tests that harm them."""
    if request.param == "folder":
        return InFolder(tmp_path / "raw")
    store = request.getfixturevalue("s3")
    return InBucket(f"s3://{store.new_bucket()}/desk/raw", store.url)


@pytest.fixture
def raw(kept: Kept) -> RawArchive:
    return kept.opened()


only_folder = pytest.mark.parametrize("kept", ["folder"], indirect=True)


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
def test_changed_bytes_are_never_returned(raw: RawArchive, kept: Kept, harm: str) -> None:
    sha256 = raw.put(os.urandom(5_000), provenance()).sha256
    other = raw.put(b"other" * 1_000, provenance()).sha256
    packed = bytearray(kept.read(sha256))
    if harm == "flip":
        packed[len(packed) // 2] ^= 1
    elif harm == "cut":
        packed = packed[: len(packed) // 2]
    else:
        packed = bytearray(kept.read(other))
    kept.write(sha256, packed)
    with pytest.raises(CorruptPayload):
        raw.get(sha256)


def test_an_unknown_payload_is_a_key_error(raw: RawArchive) -> None:
    with pytest.raises(KeyError, match="no payload"):
        raw.get("0" * 64)


@only_folder
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


@only_folder
def test_sweeping_leaves_what_is_being_written(raw: RawArchive, tmp_path: Path) -> None:
    folder = tmp_path / "raw" / "ab"
    folder.mkdir()
    with (folder / "one.tmp").open("wb") as busy:
        fcntl.flock(busy, fcntl.LOCK_EX)
        assert raw.sweep() == 0
    assert raw.sweep() == 1


def test_a_line_that_a_crash_cut_off_is_no_arrival(raw: RawArchive, kept: Kept) -> None:
    sha256 = raw.put(b"bytes", provenance()).sha256
    journal = kept.read(sha256, ".jsonl")
    kept.write(sha256, journal + journal[:20], ".jsonl")
    assert [one.received_at for one in raw.provenance(sha256)] == [NOW]
    raw.put(b"bytes", provenance(NOW + timedelta(hours=1)))
    assert [one.received_at for one in raw.provenance(sha256)] == [NOW, NOW + timedelta(hours=1)]


def test_a_crash_between_the_bytes_and_the_note_is_mended_by_the_next_arrival(raw: RawArchive, kept: Kept) -> None:
    sha256 = raw.put(b"bytes", provenance()).sha256
    kept.drop(sha256, ".jsonl")
    assert raw.provenance(sha256) == []
    raw.put(b"bytes", provenance())
    assert len(raw.provenance(sha256)) == 1
    with pytest.raises(KeyError, match="no payload"):
        raw.provenance("0" * 64)


def test_a_damaged_note_is_said(raw: RawArchive, kept: Kept) -> None:
    sha256 = raw.put(b"bytes", provenance()).sha256
    kept.write(sha256, b"#" + kept.read(sha256, ".jsonl")[1:], ".jsonl")
    with pytest.raises(CorruptPayload, match="provenance"):
        raw.provenance(sha256)


def test_the_same_bytes_again_mend_a_damaged_object(raw: RawArchive, kept: Kept) -> None:
    data = os.urandom(5_000)
    sha256 = raw.put(data, provenance()).sha256
    kept.write(sha256, kept.read(sha256)[:100])
    raw.put(data, provenance())
    assert raw.get(sha256) == data


@only_folder
def test_threads_and_processes_share_the_folder(raw: RawArchive, tmp_path: Path) -> None:
    code = f"""
import pathlib, datetime
from carbon254.stores.raw import Provenance, open_raw
raw = open_raw(pathlib.Path({str(tmp_path / "raw")!r}))
at = datetime.datetime.fromisoformat({NOW.isoformat()!r})
for n in range(30):
    raw.put(b"%d" % n, Provenance("iso.rt.lmp.spp", "https://example.org/a", "a.csv", "subject", at))
    raw.sweep()
"""
    other = subprocess.Popen([sys.executable, "-c", code])
    writers = [threading.Thread(target=lambda: [raw.put(b"%d" % n, provenance()) for n in range(30)]) for _ in "abcd"]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert other.wait(60) == 0
    assert [raw.get(sha256) for sha256 in raw.ids()] and len(list(raw.ids())) == 30
    assert {len(raw.provenance(sha256)) for sha256 in raw.ids()} == {1}


def test_everything_is_synced_before_put_returns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    raw, synced, sync = open_raw(tmp_path / "raw"), [], os.fsync

    def fsync(handle: int) -> None:
        synced.append(Path(f"/proc/self/fd/{handle}").readlink())
        sync(handle)

    monkeypatch.setattr(os, "fsync", fsync)
    sha256 = raw.put(b"bytes", provenance()).sha256
    root, folder = tmp_path / "raw", tmp_path / "raw" / sha256[:2]
    kinds = [path.suffix or path for path in synced]
    assert kinds == [root, ".tmp", ".jsonl", folder]


def test_no_flipped_bit_of_an_object_is_ever_served(raw: RawArchive, kept: Kept) -> None:
    """Every bit, also those of the frame's header, which promise a size and a window."""
    data = bytes(range(64)) + b"settlement,price\n" * 20
    sha256 = raw.put(data, provenance()).sha256
    packed, refused = kept.read(sha256), 0
    for bit in range(8 * len(packed)):
        changed = bytearray(packed)
        changed[bit // 8] ^= 1 << bit % 8
        kept.write(sha256, changed)
        try:
            assert raw.get(sha256) == data, bit
        except CorruptPayload:
            refused += 1
    # Some bits of a frame mean nothing; those of the bytes themselves all do.
    assert refused > 8 * 64


def test_an_object_cut_anywhere_is_never_served(raw: RawArchive, kept: Kept) -> None:
    sha256 = raw.put(os.urandom(200), provenance()).sha256
    packed = kept.read(sha256)
    for length in range(len(packed)):
        kept.write(sha256, packed[:length])
        with pytest.raises(CorruptPayload, match=sha256):
            raw.get(sha256)


def test_every_field_of_an_arrival_comes_back(raw: RawArchive) -> None:
    arrivals = [
        Provenance(
            "iso.da.lmp.spp", "https://example.org/a?b=c d", "ä\n.csv", "2025-07-01", NOW + timedelta(microseconds=n),
            NOW - timedelta(hours=n) if n else None, {"etag": '"1"', "size": n},
        )
        for n in range(3)
    ]  # fmt: skip
    for arrival in arrivals:
        sha256 = raw.put(b"bytes", arrival).sha256
    assert raw.provenance(sha256) == arrivals


def test_a_large_payload_is_packed_and_comes_back_and_one_harmed_byte_of_it_is_found(
    raw: RawArchive, kept: Kept
) -> None:
    data = os.urandom(1 << 20) + bytes(24 << 20)
    sha256 = raw.put(data, provenance()).sha256
    assert raw.get(sha256) == data
    packed = bytearray(kept.read(sha256))
    assert len(packed) < 2 << 20
    packed[len(packed) // 2] ^= 1
    kept.write(sha256, packed)
    with pytest.raises(CorruptPayload):
        raw.get(sha256)


def test_opening_removes_what_a_crash_left_and_nothing_else(tmp_path: Path) -> None:
    sha256 = open_raw(tmp_path / "raw").put(b"bytes", provenance()).sha256
    folder = tmp_path / "raw" / sha256[:2]
    (folder / "left.tmp").write_bytes(b"half")
    with (folder / "busy.tmp").open("wb") as busy:
        fcntl.flock(busy, fcntl.LOCK_EX)
        raw = open_raw(tmp_path / "raw")
        assert sorted(path.name for path in folder.iterdir()) == [f"{sha256}.jsonl", f"{sha256}.zst", "busy.tmp"]
    assert raw.get(sha256) == b"bytes"


@only_folder
def test_a_sweep_between_making_and_locking_a_file_costs_nothing(
    raw: RawArchive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock, swept = fcntl.flock, []

    def late(file, how: int) -> None:
        if file.name.endswith(".tmp") and how == fcntl.LOCK_EX and not swept:
            swept.append(Path(file.name).unlink())
        lock(file, how)

    monkeypatch.setattr(fcntl, "flock", late)
    sha256 = raw.put(b"bytes", provenance()).sha256
    assert swept and raw.get(sha256) == b"bytes"
    assert list((tmp_path / "raw").glob("*/*.tmp")) == []


@only_folder
@pytest.mark.parametrize("suffix", [".tmp", ".jsonl"])
def test_what_the_disk_refused_is_neither_kept_nor_taken_for_noted(
    raw: RawArchive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    sync = os.fsync

    def fails(handle: int) -> None:
        if Path(f"/proc/self/fd/{handle}").readlink().suffix == suffix:
            raise OSError(28, "No space left on device")
        sync(handle)

    monkeypatch.setattr(os, "fsync", fails)
    with pytest.raises(OSError, match="No space left"):
        raw.put(b"bytes", provenance())
    assert list((tmp_path / "raw").glob("*/*.tmp")) == []
    sha256 = hashlib.sha256(b"bytes").hexdigest()
    assert (sha256 in raw) == (suffix == ".jsonl")
    assert not [path for path in (tmp_path / "raw").glob("*/*.jsonl") if path.read_bytes()]
    monkeypatch.setattr(os, "fsync", sync)
    raw.put(b"bytes", provenance())
    assert (raw.get(sha256), len(raw.provenance(sha256))) == (b"bytes", 1)


def test_provenance_that_cannot_be_written_leaves_no_payload(raw: RawArchive) -> None:
    wrong = Provenance("iso.rt.lmp.spp", "https://example.org/a", "a.csv", "subject", NOW, headers={"size": object()})
    with pytest.raises(TypeError):
        raw.put(b"bytes", wrong)
    assert list(raw.ids()) == []
