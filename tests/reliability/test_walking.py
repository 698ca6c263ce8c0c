"""Walks over folders while another thread makes and removes files and whole folders in them."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest

from carbon254.cli.ports import holder
from carbon254.stores.hot import open_hot
from carbon254.stores.lake import open_lake
from carbon254.stores.raw import open_raw
from carbon254.walking import files_below, matching, names_in
from carbon254.workspace import Workspace

_WALKS = 300


@contextmanager
def churning(root: Path) -> Iterator[None]:
    """Two threads that make and remove folders of files below `root` for as long as the block lasts."""
    stop = threading.Event()

    def churn(name: str) -> None:
        round_ = 0
        while not stop.is_set():
            round_ += 1
            folder = root / name / f"{round_ % 7}"
            for number in range(4):
                inner = folder / f"part{number}"
                inner.mkdir(parents=True, exist_ok=True)
                (inner / "data.bin").write_bytes(b"x" * 10)
                (inner / "x.tmp").write_bytes(b"x")
            (folder / "gone.zst").write_bytes(b"x")
            shutil.rmtree(root / name, ignore_errors=True)

    threads = [threading.Thread(target=churn, args=(name,)) for name in ("aa", "bb")]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def sizes(folder: Path) -> object:
    return sum(facts.st_size for _, facts in files_below(folder))


WALKS: dict[str, Callable[[Path], object]] = {
    "every file": sizes,
    "by pattern": lambda folder: list(matching(folder, "*/*/*/*.tmp")),
    "names": lambda folder: [names_in(folder / name) for name in names_in(folder)],
    "size of a workspace": lambda folder: Workspace(folder).size(),
    "who runs a workspace": lambda folder: Workspace(folder).running(),
    "payloads of the raw archive": lambda folder: list(open_raw(folder).ids()),
    "leftovers of the raw archive": lambda folder: open_raw(folder).sweep(),
}


@pytest.mark.parametrize("name", WALKS)
def test_a_walk_outlives_what_vanishes_under_it(name: str, tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "file").write_bytes(b"12345")
    with churning(tmp_path):
        for _ in range(_WALKS):
            WALKS[name](tmp_path)
    assert sizes(tmp_path) == 5


def test_the_lakes_orphans_are_listed_while_files_come_and_go(tmp_path: Path) -> None:
    lake = open_lake(tmp_path / "lake")
    try:
        lake.location("interval_prices")
        place = tmp_path / "lake" / "warehouse" / "commodity_data" / "interval_prices"
        with churning(place):
            for _ in range(40):
                lake.orphans("interval_prices", datetime.now(UTC))
    finally:
        lake.close()


def test_the_hot_stores_names_are_kept_while_tables_come_and_go(tmp_path: Path) -> None:
    hot = open_hot(f"chdb://{tmp_path / 'hot'}")
    try:
        hot.ensure()
        with churning(tmp_path / "hot" / "store"):
            for _ in range(30):
                hot.keep_names()
    finally:
        hot.close()


def test_a_holder_of_a_port_is_looked_for_while_processes_come_and_go() -> None:
    with suppress(OSError):
        assert holder(1)


def test_a_note_of_where_a_node_is_may_vanish_while_it_is_read(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "ws")
    workspace.claim()
    stop = threading.Event()

    def announce_and_take_back() -> None:
        while not stop.is_set():
            workspace.announce("http://127.0.0.1:1")
            workspace.path("node.json").unlink(missing_ok=True)

    thread = threading.Thread(target=announce_and_take_back)
    thread.start()
    try:
        for _ in range(2_000):
            Workspace(tmp_path / "ws").running()
    finally:
        stop.set()
        thread.join()
        workspace.release()
