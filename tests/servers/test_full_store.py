"""An S3 store that reads and writes nothing any more, its disk being full: said, waited for, and made good."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from reliability.smalldisk import SmallDisk, small_disk

from carbon254.errors import TransientError
from carbon254.stores.raw import Provenance, open_raw
from servers.deployment import Deployment, deployment, environment, until
from servers.pushed import push, tick

NEEDED = ("kafka", "minio")
pytestmark = pytest.mark.servers(*NEEDED)


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmallDisk]:
    with small_disk(tmp_path_factory.mktemp("full") / "disk", 256) as made:
        yield made


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory, disk: SmallDisk) -> Iterator[Deployment]:
    with deployment(tmp_path_factory.mktemp("full"), "full.", NEEDED, disk.folder / "objects") as made:
        made.bootstrap()
        yield made


def put(desk: Deployment, data: bytes) -> str:
    with environment(desk.env):
        archive = open_raw(desk.env["C254_RAW_URL"], desk.env["C254_S3_ENDPOINT"])
        note = Provenance(feed="a", url="", name="a", subject="", received_at=datetime.now(UTC))
        return archive.put(data, note).sha256


def test_what_is_kept_can_be_read_while_nothing_more_can_be_kept(desk: Deployment, disk: SmallDisk) -> None:
    kept = put(desk, b"before")
    disk.fill()
    try:
        with pytest.raises(TransientError, match="refuses"):
            put(desk, b"x" * 100_000)
        with environment(desk.env):
            assert open_raw(desk.env["C254_RAW_URL"], desk.env["C254_S3_ENDPOINT"]).get(kept) == b"before"
    finally:
        disk.free()
    until(lambda: put(desk, b"x" * 100_000))


def test_ticks_wait_for_room_and_come_in_once(desk: Deployment, disk: SmallDisk) -> None:
    normalise = desk.service("normalise")
    until(normalise.ready)
    push(desk, [tick(n) for n in range(20)])
    until(lambda: normalise.number("c254_rows_ingested_total") == 20)
    disk.fill()
    try:
        push(desk, [tick(n) for n in range(20, 40)])
        assert "intake" in until(
            lambda: {"raw archive", "intake"} <= normalise.reasons().keys() and normalise.reasons()
        )
        assert normalise.number("c254_rows_ingested_total") == 20
    finally:
        disk.free()
    until(normalise.ready)
    until(lambda: normalise.number("c254_rows_ingested_total") == 40)
    assert normalise.drain() == 0
