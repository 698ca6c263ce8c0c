"""A lake in a folder is that folder, wherever it is: moved, copied, linked, or of a version that wrote whole paths."""

from __future__ import annotations

import hashlib
import shutil
import sqlite3
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from contract.outside import files_in, metadata_of, rows_in
from given_rows import HOUR, T0, price, prices
from pyiceberg.catalog.sql import SqlCatalog

from carbon254.errors import WorkspaceError
from carbon254.model import dataset
from carbon254.model.iceberg import iceberg_partition, iceberg_schema, plain_schema
from carbon254.stores.lake import open_lake

NAME = "interval_prices"
OLD, LATER = T0 + timedelta(days=400), datetime.now(UTC) + timedelta(days=400)
BEFORE = Path(__file__).parents[3] / "shared" / "workspaces" / "format-1.workspace.tar.zst"
Lie = Callable[[Path], None]


def commit(folder: Path, many: int = 3, first: int = 1) -> None:
    """So many commits of two rows of one day."""
    lake = open_lake(folder)
    for offset in range(first, first + many):
        lake.append({NAME: prices(price(f"P{offset}"), price(f"Q{offset}", T0 + HOUR))}, {NAME: offset})
    lake.close()


def as_before(folder: Path) -> None:
    """What versions before logical locations wrote: paths, and the library's own files."""
    (folder / "warehouse").mkdir(parents=True)
    described = dataset(NAME)
    place = f"sqlite:///{folder / 'catalog.db'}", f"file://{folder}/warehouse"
    catalog = SqlCatalog("carbon254", uri=place[0], warehouse=place[1])
    catalog.create_namespace("commodity_data")
    table = catalog.create_table(
        ("commodity_data", NAME), iceberg_schema(described), partition_spec=iceberg_partition(described),
        properties={"write.metadata.delete-after-commit.enabled": "true", "write.metadata.previous-versions-max": "2"},
    )  # fmt: skip
    for offset in range(1, 4):
        rows = prices(price(f"P{offset}"), price(f"Q{offset}", T0 + HOUR))
        with table.transaction() as change:
            change.append(rows.select(described.names).cast(plain_schema(described)))
            change.set_properties({"c254.offset": str(offset)})
    catalog.close()


def keep_up(folder: Path) -> None:
    """Everything that writes, removes or reads whole tables."""
    lake = open_lake(folder)
    seals = lake.seals(NAME, lambda _: False)
    assert lake.broken(NAME, lambda path: seals[path]) == []
    assert list(lake.compact(NAME, OLD, None, lambda path: seals.get(path, "")))
    lake.expire(NAME, LATER)
    lake.append({NAME: prices(price("NEW"))}, {})
    lake.replace_span(NAME, "iso.rt.lmp.spp", T0 + HOUR, T0 + 2 * HOUR, prices(price("R", T0 + HOUR)))
    lake.expire(NAME, LATER)
    lake.remove(lake.orphans(NAME, LATER))
    assert lake.orphans(NAME, LATER) == [] and lake.stats(OLD)[0].rows == 5
    lake.close()


def held(folder: Path) -> list[str]:
    return sorted(rows_in(folder, NAME)["location"].to_pylist())


def digests(folder: Path) -> dict[str, str]:
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


KEPT_UP = ["NEW", "P1", "P2", "P3", "R"]


@pytest.mark.parametrize("lie", [commit, as_before])
@pytest.mark.parametrize("works", ["copy", "original"])
def test_neither_a_copy_nor_its_original_touches_the_other(tmp_path: Path, lie: Lie, works: str) -> None:
    original, copy = tmp_path / "desk" / "lake", tmp_path / "other desk#2" / "lake"
    lie(original)
    shutil.copytree(original, copy)
    # Leftovers of a commit that died, in either: only whose folder it is may sweep them.
    for folder in (original, copy):
        (folder / "warehouse" / "commodity_data" / NAME / "data" / "left.parquet").write_bytes(b"left")
    mine, others = (copy, original) if works == "copy" else (original, copy)
    before = digests(others)
    keep_up(mine)
    assert digests(others) == before
    assert held(mine) == KEPT_UP and not list(mine.rglob("left.parquet"))
    keep_up(others)
    assert held(others) == KEPT_UP


@pytest.mark.parametrize("lie", [commit, as_before])
def test_a_folder_that_was_moved_is_read_and_written_where_it_is(tmp_path: Path, lie: Lie) -> None:
    lie(tmp_path / "desk" / "lake")
    moved = tmp_path / "elsewhere" / "warehouse" / "commodity_data" / "lake"
    moved.parent.mkdir(parents=True)
    (tmp_path / "desk" / "lake").rename(moved)
    keep_up(moved)
    assert held(moved) == KEPT_UP and not (tmp_path / "desk" / "lake").exists()
    assert metadata_of(moved, NAME)["location"] == f"c254://lake/commodity_data/{NAME}"
    again = tmp_path / "again"
    moved.rename(again)
    lake = open_lake(again)
    assert lake.count(NAME) == 5 and lake.location(NAME) == f"file://{again}/warehouse/commodity_data/{NAME}"
    lake.close()


def test_nothing_that_is_written_names_the_folder(tmp_path: Path) -> None:
    folder = tmp_path / "a-name-to-look-for" / "lake"
    commit(folder)
    keep_up(folder)
    naming = [path for path in folder.rglob("*") if path.is_file() and b"a-name-to-look-for" in path.read_bytes()]
    assert naming == []


def test_two_paths_to_one_folder_are_one_lake(tmp_path: Path) -> None:
    """As a link; a second mount of the folder is the same to whoever opens it."""
    folder, link = tmp_path / "lake", tmp_path / "link"
    commit(folder)
    link.symlink_to(folder)
    one, other = open_lake(folder), open_lake(link)
    one.append({NAME: prices(price("ONE"))}, {NAME: 4})
    other.append({NAME: prices(price("OTHER"))}, {NAME: 5})
    assert one.count(NAME) == other.count(NAME) == 8 and one.offset(NAME) == 5
    later = datetime.now(UTC) + timedelta(days=1)
    assert one.orphans(NAME, later) == other.orphans(NAME, later) == []
    one.close()
    other.close()
    assert held(link) == held(folder)


@pytest.mark.parametrize("where", ["catalog", "metadata", "traversal"])
def test_a_location_outside_the_folder_is_refused_and_says_so(tmp_path: Path, where: str) -> None:
    folder, outside = tmp_path / "lake", tmp_path / "outside"
    commit(folder, 1)
    shutil.copytree(folder / "warehouse" / "commodity_data" / NAME, outside)
    with sqlite3.connect(folder / "catalog.db") as db:
        (location,) = db.execute("SELECT metadata_location FROM iceberg_tables").fetchone()
        name = location.rsplit("/", 1)[-1]
        told = {
            "catalog": f"file://{outside}/metadata/{name}",
            "traversal": f"c254://lake/commodity_data/../../../outside/metadata/{name}",
            "metadata": location,
        }[where]
        db.execute("UPDATE iceberg_tables SET metadata_location = ?", (told,))
    if where == "metadata":
        file = folder / "warehouse" / location.removeprefix("c254://lake/")
        snapshot = f"c254://lake/commodity_data/{NAME}/metadata/snap"
        file.write_text(file.read_text("utf-8").replace(snapshot, f"{outside}/metadata/snap"), "utf-8")
    before = digests(outside)
    lake = open_lake(folder)
    with pytest.raises(WorkspaceError, match=r"names a file that is not in its folder .*outside"):
        lake.scan(NAME)
    with pytest.raises(WorkspaceError, match="not in its folder"):
        lake.append({NAME: prices(price())}, {})
    assert digests(outside) == before
    lake.close()


def test_what_a_table_says_of_itself_does_not_move_its_files(tmp_path: Path) -> None:
    folder = tmp_path / "lake"
    commit(folder, 1)
    lake = open_lake(folder)
    with lake._ready(dataset(NAME)).transaction() as change:
        change.set_properties({"c254.lake.folder": str(tmp_path / "outside")})
    lake.append({NAME: prices(price("NEW"))}, {})
    assert lake.count(NAME) == 3 and not (tmp_path / "outside").exists()
    lake.close()


def test_the_lake_of_a_workspace_of_format_1_is_read_and_written_where_it_was_unpacked(tmp_path: Path) -> None:
    if not BEFORE.exists():
        pytest.skip("../shared/workspaces is not here")
    subprocess.run(["tar", "--zstd", "-xf", BEFORE, "-C", tmp_path], check=True)
    folder = tmp_path / "workspace" / "lake"
    lake = open_lake(folder)
    rows = {one.table: one.rows for one in lake.stats(OLD)}
    assert rows[NAME] > 10_000 and not Path("/data/workspace").exists()
    assert rows == {name: lake.scan(name).num_rows for name in rows}
    for name in rows:
        lake.append({name: lake.scan(name).slice(0, 0)}, {name: lake.offset(name) + 1})
        list(lake.compact(name, LATER))
        lake.expire(name, LATER)
        lake.remove(lake.orphans(name, LATER))
        assert metadata_of(folder, name)["location"].startswith("c254://lake/")
        assert rows_in(folder, name).num_rows == rows[name] == lake.count(name)
        assert len(files_in(folder, name)) == lake.stats(LATER)[[*rows].index(name)].files
    lake.close()
