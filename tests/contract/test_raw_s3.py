"""What the raw archive on S3 promises beyond the contract: parts, racing writers, the folder's bytes, and trouble."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest
import servers
from servers.objects import Store
from test_raw import NOW, provenance

from carbon254.errors import SettingsError, TransientError
from carbon254.stores.raw import open_raw
from carbon254.stores.raw.bucket import PART, Bucket

pytestmark = pytest.mark.servers("minio")


def test_names_and_bytes_are_those_of_the_folder(s3: Store, tmp_path: Path) -> None:
    bucket = s3.new_bucket()
    far, near = open_raw(f"s3://{bucket}", s3.url), open_raw(tmp_path / "raw")
    for data in (b"", b"x" * 100, os.urandom(PART + 1), b"line\n" * (4 << 20)):
        far.put(data, provenance())
        near.put(data, provenance())
    files = {str(path.relative_to(tmp_path / "raw")): path.read_bytes() for path in (tmp_path / "raw").rglob("*.*")}
    objects = {name: (Bucket(f"s3://{bucket}", s3.url).get(name) or (b"", ""))[0] for name in files}
    assert objects == files
    assert list(far.ids()) == list(near.ids())


def test_a_large_payload_goes_in_parts_and_a_free_name_is_asked_for(s3: Store) -> None:
    name = s3.new_bucket()
    bucket, data = Bucket(f"s3://{name}/a", s3.url), os.urandom(2 * PART + 5)
    assert bucket.put("big", data)
    assert not bucket.put("big", b"other") and not bucket.put("big", data[::-1])
    assert bucket.get("big") == (data, s3.client().head_object(Bucket=name, Key="a/big")["ETag"])
    told = s3.client().head_object(Bucket=name, Key="a/big", ChecksumMode="ENABLED")
    assert told["ETag"].endswith('-3"') and told["ChecksumSHA256"]
    assert s3.client().list_multipart_uploads(Bucket=name).get("Uploads", []) == []


def test_writers_of_one_payload_lose_no_arrival(s3: Store) -> None:
    url = f"s3://{s3.new_bucket()}/raw"
    archives = [open_raw(url, s3.url) for _ in range(4)]

    def write(number: int) -> None:
        for turn in range(5):
            archives[number].put(b"same", provenance(NOW, f"{number}-{turn}.csv"))

    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (sha256,) = archives[0].ids()
    assert {one.name for one in archives[0].provenance(sha256)} == {f"{n}-{t}.csv" for n in range(4) for t in range(5)}


def test_sweeping_leaves_an_upload_that_may_still_go_on(s3: Store) -> None:
    name = s3.new_bucket()
    s3.client().create_multipart_upload(Bucket=name, Key="raw/ab/half.zst")
    assert open_raw(f"s3://{name}/raw", s3.url).sweep() == 0


def test_a_store_that_is_away_is_said_and_nothing_is_half_stored(s3: Store) -> None:
    with servers.minio() as own:
        archive = open_raw(f"s3://{own.new_bucket()}/raw", own.url)
        sha256 = archive.put(b"before", provenance()).sha256
        own.kill()
        with pytest.raises(TransientError, match="does not answer"):
            archive.put(b"during", provenance())
        own.start()
        assert archive.get(sha256) == b"before" and list(archive.ids()) == [sha256]
        archive.put(b"during", provenance())
        assert len(list(archive.ids())) == 2


def test_a_place_that_cannot_be_is_named_with_the_fix(s3: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    bucket = s3.new_bucket()
    for url, endpoint, fix in (
        ("s3://nowhere-at-all/raw", s3.url, "make it, or name another"),
        (f"s3://key:secret-word@{bucket}/raw", s3.url, "AWS_ACCESS_KEY_ID"),
        (f"s3://{bucket}/raw", "http://127.0.0.1:9", "check C254_S3_ENDPOINT"),
        (f"s3://{bucket}/raw", "nonsense", "C254_S3_ENDPOINT"),
        ("gs://bucket/raw", "", "write s3://bucket/prefix"),
    ):
        with pytest.raises(SettingsError, match=r"^C254_") as told:
            open_raw(url, endpoint)
        assert fix in str(told.value) and "secret-word" not in str(told.value) and "\n" not in str(told.value)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "a-wrong-secret")
    with pytest.raises(SettingsError, match="refuses these credentials") as told:
        open_raw(f"s3://{bucket}/raw", s3.url)
    assert "a-wrong-secret" not in str(told.value)
