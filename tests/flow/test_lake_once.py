"""What reaches the lake through a node is there once: after a crash, in a younger log, read again, read anew."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from contract.outside import files_in, metadata_of
from flow.conftest import NOW, spp

from carbon254.app import Node, open_node
from carbon254.clock import ManualClock
from carbon254.faults import armed
from carbon254.ingest import Arrived
from carbon254.settings import Settings
from carbon254.stores.log import NewRecord, identity_of, renew

FEED, TABLE = "iso.rt.lmp.spp", "interval_prices"


def opened(folder: Path) -> Node:
    return open_node(Settings(workspace=folder), {}, ManualClock(NOW))


def bring(node: Node, *values: float) -> None:
    for minute, value in enumerate(values):
        data = spp({"A": value, "B": value + 1}, f"07/01/2025 12:{5 * minute + 5:02}:00")
        node.pipeline.inbox.accept(Arrived(FEED, data, f"{minute}.csv", NOW, ""))
    carry(node)


def carry(node: Node) -> None:
    """Payloads into rows, and rows into the lake; nothing else."""
    for step in (node.pipeline.normaliser.step, node.pipeline.lakekeeper.step):
        while step():
            pass


def counted(folder: Path) -> Counter[tuple[Any, ...]]:
    """(place, price) by DuckDB, on the files that the catalog names."""
    files = [str(path) for path in files_in(folder / "lake", TABLE)]
    with duckdb.connect() as db:
        sql = "SELECT location_id, lmp FROM read_parquet($files, hive_partitioning = false)"
        return Counter(db.execute(sql, {"files": files}).fetchall())


def again(node: Node, **headers: Any) -> None:
    """The rows in the log once more, as one does who reads their payloads again."""
    records = [
        NewRecord(record.topic, None, {**record.headers, **headers}, record.body)
        for record in list(node.log.scan("rows."))
    ]
    node.log.append(records)
    carry(node)


@pytest.mark.slow
def test_the_table_says_which_log_its_offset_is_of(tmp_path: Path) -> None:
    with opened(tmp_path / "ws") as node:
        bring(node, 20.0)
        told = metadata_of(tmp_path / "ws" / "lake", TABLE)["properties"]
        assert told["c254.log"] == identity_of(node.log) and int(told["c254.offset"]) > 0


def test_what_is_read_again_any_number_of_times_is_there_once(tmp_path: Path) -> None:
    with opened(tmp_path / "ws") as node:
        bring(node, 20.0, 30.0)
        before = counted(tmp_path / "ws")
        for _ in range(2):
            again(node, again_read=True)
        assert counted(tmp_path / "ws") == before and set(before.values()) == {1}
        assert not node.log.lag("lake", "rows.")


@pytest.mark.slow
def test_one_step_that_carries_a_batch_and_its_repetitions_stores_it_once(tmp_path: Path) -> None:
    with opened(tmp_path / "ws") as node:
        data = spp({"A": 20.0})
        node.pipeline.inbox.accept(Arrived(FEED, data, "a.csv", NOW, ""))
        while node.pipeline.normaliser.step():
            pass
        first = list(node.log.scan("rows."))
        for _ in range(3):
            node.log.append(
                [NewRecord(one.topic, None, {**one.headers, "again_read": True}, one.body) for one in first]
            )
        carry(node)
        assert counted(tmp_path / "ws") == {("A", 20.0): 1}


@pytest.mark.slow
@pytest.mark.parametrize("named", ["anew", "younger"])
def test_the_same_rows_in_another_log_are_there_once(tmp_path: Path, named: str) -> None:
    """Named anew: a log that gives offsets again. Younger: deleted, and fed from the same payloads."""
    folder = tmp_path / "ws"
    with opened(folder) as node:
        bring(node, 20.0, 30.0, 40.0)
        before = counted(folder)
        if named == "anew":
            renew(node.log)
            again(node)
            assert counted(folder) == before
    if named == "younger":
        for path in folder.glob("log.db*"):
            path.unlink()
        with opened(folder) as node:
            bring(node, 20.0, 30.0, 40.0)
            assert counted(folder) == before and not node.log.lag("lake", "rows.")
    with opened(folder) as node:
        data = spp({"A": 50.0}, "07/01/2025 12:20:00")
        node.pipeline.inbox.accept(Arrived(FEED, data, "new.csv", NOW, ""))
        carry(node)
        assert counted(folder) == before + Counter({("A", 50.0): 1})


@pytest.mark.slow
def test_a_death_between_the_commit_and_the_consumers_offset_doubles_nothing(tmp_path: Path) -> None:
    class Died(BaseException):
        pass

    def dies(place: str) -> None:
        if place == "lake.appended":
            raise Died

    with opened(tmp_path / "ws") as node:
        with armed(dies), pytest.raises(Died):
            bring(node, 20.0, 30.0)
        before = counted(tmp_path / "ws")
        assert before and node.log.lag("lake", "rows.")
        carry(node)
        assert counted(tmp_path / "ws") == before and set(before.values()) == {1}


@pytest.mark.slow
def test_another_reading_takes_the_place_of_the_first_in_the_commit_that_adds_it(tmp_path: Path) -> None:
    from carbon254.engine.codec import decode, encode

    with opened(tmp_path / "ws") as node:
        bring(node, 20.0)
        (record,) = node.log.scan("rows.")
        rows = decode(record.body).slice(0, 1)
        mended = rows.set_column(rows.schema.get_field_index("lmp"), rows.schema.field("lmp"), [[25.0]])
        named = mended.schema.get_field_index("batch_id")
        batch = pa.array(["mended"]).dictionary_encode().cast(mended.schema.field(named).type)
        mended = mended.set_column(named, mended.schema.field(named), batch)
        headers = {**record.headers, "replaces": True, "again_read": True, "rows": 1, "batch": "mended"}
        node.log.append([NewRecord(record.topic, None, headers, encode(mended))])
        seen: list[Counter[tuple[Any, ...]]] = []

        def look(place: str) -> None:
            if place in ("lake.written", "lake.committing", "lake.appended"):
                seen.append(counted(tmp_path / "ws"))

        with armed(look):
            carry(node)
        first, mended_now = {("A", 20.0): 1, ("B", 21.0): 1}, {("A", 25.0): 1}
        assert seen == [first, first, mended_now] and counted(tmp_path / "ws") == mended_now


@pytest.mark.slow
def test_records_that_are_new_share_a_commit_and_a_repetition_begins_another(tmp_path: Path) -> None:
    from carbon254.engine.lakekeeper import alike

    with opened(tmp_path / "ws") as node:
        bring(node, 20.0, 30.0)
        plain = list(node.log.scan("rows."))
        read = [replace(one, headers={**one.headers, "again_read": True}) for one in plain]
        found = [(len(together), again) for together, again in alike([*plain, *read, *read, *plain])]
        assert [many for many, _ in found] == [2, 2, 2, 2]
        assert [again is None for _, again in found] == [True, False, False, True]
