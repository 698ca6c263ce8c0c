"""A workspace of the first format is brought over: same answers, receipts hold, raw untouched, no half is opened."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from itertools import count
from pathlib import Path

import polars as pl
import pytest
import zstandard
from flow.outside import lake_count

from carbon254 import workspace as workspaces
from carbon254.app import open_node
from carbon254.clock import SystemClock
from carbon254.errors import WorkspaceError
from carbon254.faults import armed
from carbon254.proof import receipt_of
from carbon254.settings import Settings
from carbon254.upgrading import Upgrade
from carbon254.workspace import Workspace

SHARED = Path(__file__).parents[3] / "shared" / "workspaces"
ANSWERS, RECEIPT = SHARED / "format-1.answers.json", SHARED / "format-1.receipt.json"
pytestmark = pytest.mark.skipif(not SHARED.exists(), reason="../shared/workspaces is not here")


class Cut(BaseException):
    """The process dies here."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The workspace, under another path than it was made in."""
    with (SHARED / "format-1.workspace.tar.zst").open("rb") as packed:
        whole = io.BytesIO(zstandard.ZstdDecompressor().stream_reader(packed).read())
    with tarfile.open(fileobj=whole) as archive:
        archive.extractall(tmp_path, filter="data")
    return tmp_path / "workspace"


def upgrade(folder: Path, owner: Workspace | None = None) -> Upgrade:
    return Upgrade(Settings(workspace=folder), owner or Workspace(folder), SystemClock())


def run(folder: Path) -> tuple[str, ...]:
    owner = Workspace(folder)
    owner.claim(older=True)
    try:
        return upgrade(folder, owner).run().steps
    finally:
        owner.release()


def raw_of(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted((folder / "raw").rglob("*"))
        if path.is_file()
    }


def everything(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def assert_as_before(folder: Path) -> None:
    with open_node(Settings(workspace=folder), {}) as node:
        for asked in json.loads(ANSWERS.read_text("utf-8")):
            found = pl.DataFrame(node.hot.query(asked["sql"])).write_csv(datetime_format="%Y-%m-%dT%H:%M:%SZ")
            assert pl.read_csv(io.StringIO(found)).equals(pl.read_csv(io.StringIO(asked["csv"]))), asked["sql"]
        verdict = node.notary().verify(receipt_of(RECEIPT.read_text("utf-8")))
        assert (verdict.equal, verdict.differs, verdict.payloads) == (True, (), 196)
        assert node.lake.count("interval_prices") == lake_count(folder) == 42_496
        assert node.trouble() == {}


@pytest.mark.slow
def test_answers_and_receipts_are_as_they_were_and_raw_is_untouched(folder: Path) -> None:
    raw = raw_of(folder)
    with pytest.raises(WorkspaceError, match=r"has format 1, and this version reads format 2: .*c254 upgrade"):
        open_node(Settings(workspace=folder), {})
    assert run(folder) == tuple(upgrade(folder).steps)
    assert raw_of(folder) == raw
    assert_as_before(folder)
    assert run(folder) == ()
    assert upgrade(folder).left() == []


@pytest.mark.slow
def test_a_check_says_what_is_to_be_done_and_changes_nothing(folder: Path) -> None:
    before = everything(folder)
    assert upgrade(folder).left() == list(upgrade(folder).steps)
    assert everything(folder) == before


@pytest.mark.slow
def test_an_upgrade_that_is_cut_off_anywhere_goes_on(folder: Path) -> None:
    """Cut at every place it comes to, one after the other: each turn comes one place further."""
    raw, turns = raw_of(folder), 0
    for places in count(1):
        left = places

        def die(name: str) -> None:
            nonlocal left
            if name.startswith("upgrade."):
                left -= 1
                if not left:
                    raise Cut

        try:
            with armed(die):
                run(folder)
        except Cut:
            turns += 1
            if Workspace(folder).upgrading() is not None:
                with pytest.raises(WorkspaceError, match="was cut off: go on with it: c254 upgrade"):
                    open_node(Settings(workspace=folder), {})
            continue
        break
    assert turns >= len(upgrade(folder).steps)
    assert raw_of(folder) == raw
    assert_as_before(folder)


@pytest.mark.slow
def test_receipts_hold_where_the_log_is_made_again(folder: Path) -> None:
    """The places in the log of before are written down beside the raw payloads."""
    run(folder)
    for path in folder.glob("log.db*"):
        path.unlink()
    with open_node(Settings(workspace=folder), {}) as node:
        node.runner.drain()
        verdict = node.notary().verify(receipt_of(RECEIPT.read_text("utf-8")))
        assert (verdict.equal, verdict.differs) == (True, ())
        # Today's parsers read some payloads otherwise: what they give is in both stores, and in neither twice.
        (hot,) = node.hot.fetch("SELECT count() AS n FROM store.interval_prices FINAL")["n"].to_pylist()
        assert lake_count(folder) == hot
        assert (
            node.hot.fetch("SELECT count() AS n FROM store.interval_prices WHERE batch_id LIKE '%-%'")["n"][0].as_py()
            == 0
        )


def test_an_older_program_refuses_what_was_brought_over(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(folder)
    monkeypatch.setattr(workspaces, "FORMAT", 1)
    with pytest.raises(WorkspaceError, match=r"has format 2; this version reads format 1. Open it with the version"):
        open_node(Settings(workspace=folder), {})
