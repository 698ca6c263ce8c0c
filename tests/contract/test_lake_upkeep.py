"""What upkeep of the lake promises: the same rows in fewer files, in whose order they are found quickly, for ever."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pytest
from given_rows import HOUR, T0, benchmark, price, prices, shaped, tick
from pyiceberg.table import Table

from carbon254.model import dataset
from carbon254.model.iceberg import iceberg_partition, iceberg_schema
from carbon254.proof import rows_hash
from carbon254.stores.lake import Compacted, Lake, open_lake
from carbon254.stores.lake.layout import sort_columns
from carbon254.stores.lake.replacing import Replacing

NAME = "interval_prices"
OLD = T0 + timedelta(days=400)
DAY = timedelta(days=1)


def commits(lake: Lake, many: int, days: int = 1, first: int = 1) -> None:
    """So many commits of ten rows, places in no order, over some days."""
    for offset in range(first, first + many):
        start = T0 + offset % days * DAY + offset * HOUR / 60
        rows = prices(*(price(f"P{(n * 7 + offset) % 10}", start, float(n)) for n in range(10)))
        assert lake.append({NAME: rows}, {NAME: offset}) == 10


def merged(lake: Lake, name: str = NAME, now: datetime = OLD, **how: Any) -> list[Compacted]:
    return list(lake.compact(name, now, **how))


def table_of(lake: Lake, name: str = NAME) -> Table:
    return lake._ready(dataset(name))


def hashed(lake: Lake, name: str = NAME) -> str:
    return rows_hash(lake.scan(name)).hash


def test_small_files_become_one_a_partition_and_every_row_stays(lake: Lake) -> None:
    commits(lake, 12, days=3)
    before = hashed(lake)
    done = merged(lake)
    assert [(one.partition, one.rows, one.files_before, one.files_after) for one in done] == [
        (str(T0.date() + n * DAY), 40, 4, 1) for n in range(3)
    ]
    assert hashed(lake) == before and lake.offset(NAME) == 12 and lake.count(NAME) == 120
    assert merged(lake) == [], "a second time there is nothing left"
    (told,) = lake.stats(OLD)
    assert (told.files, told.to_merge, told.rows) == (3, 0, 120) and told.bytes == sum(x.bytes_after for x in done)
    commits(lake, 3, first=13)
    assert (lake.count(NAME), lake.offset(NAME)) == (150, 15)


def test_the_rows_of_a_merged_file_are_sorted_by_what_they_are_about(lake: Lake) -> None:
    commits(lake, 9)
    merged(lake)
    (task,) = table_of(lake).scan().plan_files()
    assert task.file.sort_order_id == table_of(lake).sort_order().order_id == 1
    found = lake.scan(NAME).select(sort_columns(dataset(NAME))).to_pylist()
    assert found == sorted(found, key=lambda row: tuple(row.values())) and len(found) == 90


def test_a_batch_is_written_sorted(lake: Lake) -> None:
    lake.append({NAME: prices(price("B"), price("A", T0 + HOUR), price("A"))}, {})
    found = [(row["location"], row["interval_start"]) for row in lake.scan(NAME).to_pylist()]
    assert found == [("A", T0), ("A", T0 + HOUR), ("B", T0)]


def test_nothing_to_merge_is_nothing_done(lake: Lake) -> None:
    assert merged(lake) == []
    lake.append({NAME: prices(price()).slice(0, 0)}, {NAME: 5})
    assert merged(lake) == []
    commits(lake, 1, first=6)
    seen = table_of(lake).metadata_location
    assert merged(lake) == [] and table_of(lake).metadata_location == seen
    assert lake.offset(NAME) == 6


def test_years_of_a_daily_series_are_merged(lake: Lake) -> None:
    for n in range(6):
        days = [date(2019 + n % 3, 1, 1) + timedelta(days=n + 7 * m) for m in range(20)]
        rows = [benchmark("crude_oil", "RWTC", day, None if m % 5 == 0 else m / 7) for m, day in enumerate(days)]
        lake.append({"energy_prices": shaped("energy_prices", rows)}, {"energy_prices": n + 1})
    before = hashed(lake, "energy_prices")
    done = merged(lake, "energy_prices")
    assert [(one.partition, one.files_before, one.files_after) for one in done] == [
        ("2019", 2, 1), ("2020", 2, 1), ("2021", 2, 1)
    ]  # fmt: skip
    assert hashed(lake, "energy_prices") == before


def test_odd_values_stay_what_they_are(lake: Lake) -> None:
    for n in range(3):
        rows = [tick(event_id=f"e{n}{m}", sequence=2**64 - 1 - m, price=value) for m, value in enumerate(ODD)]
        lake.append({"market_ticks": shaped("market_ticks", rows)}, {"market_ticks": n + 1})
    before = hashed(lake, "market_ticks")
    assert [one.rows for one in merged(lake, "market_ticks")] == [3 * len(ODD)]
    assert hashed(lake, "market_ticks") == before


ODD = (None, 0.0, -0.0, float("nan"), float("inf"), -37.5, 5e-324)


@pytest.mark.slow
def test_a_partition_that_still_grows_is_left_until_it_is_worth_it(lake: Lake) -> None:
    commits(lake, 5, days=2)
    now = T0 + 2 * DAY
    assert merged(lake, now=now) == []
    assert [one.tier for one in lake.parts(NAME, now)] == ["hot", "hot"]
    commits(lake, 15, days=2, first=6)
    assert [one.partition for one in merged(lake, now=now, older_than=DAY)] == [str(T0.date())]
    assert [(one.partition, one.files_before) for one in merged(lake, now=now)] == [(str((T0 + DAY).date()), 10)]


def test_tiers_go_by_the_age_of_the_partition(lake: Lake) -> None:
    commits(lake, 3, days=3)
    ages = {5: "hot", 7: "hot", 8: "warm", 12: "warm", 30: "warm", 31: "cold", 4_000: "cold"}
    for days, tier in ages.items():
        found = lake.parts(NAME, T0 + days * DAY)[0]
        assert (found.days, found.tier) == (days - 1, tier)
    (told,) = lake.stats(T0 + 8 * DAY)
    assert (told.hot, told.warm, told.cold) == (2, 1, 0)


def test_a_harmed_file_is_left_as_it_is_and_told_of(lake: Lake) -> None:
    commits(lake, 8, days=2)
    seals = lake.seals(NAME, lambda _: False)
    bad = next(path for path in seals if path.endswith(".parquet") and str(T0.date()) in path)
    seals[bad] = "0" * 64
    done = merged(lake, seal_of=lambda path: seals.get(path, ""))
    assert {one.partition: bool(one.why) for one in done} == {str(T0.date()): True, str((T0 + DAY).date()): False}
    assert "is not as it was committed" in next(one.why for one in done if one.why)
    assert lake.count(NAME) == 80 and bad in lake.seals(NAME, lambda _: False)


def test_an_append_between_reading_and_committing_is_neither_lost_nor_doubled(
    lake: Lake, place: tuple[str, Mapping[str, str]]
) -> None:
    """Every time the merge wants to commit, another writer was first; one of them even took a merged file away."""
    from carbon254 import faults

    commits(lake, 8, days=2)
    other, seen = open_lake(*place), []

    def first(reached: str) -> None:
        if reached == "upkeep.committing" and len(seen) < 3:
            seen.append(reached)
            if len(seen) == 2:
                other.replace_span(NAME, "iso.rt.lmp.spp", T0, T0 + DAY, prices(price("NEW")))
            other.append({NAME: prices(price(f"LATE{len(seen)}", T0 + DAY))}, {NAME: 8 + len(seen)})

    with faults.armed(first):
        done = merged(lake)
    assert len(seen) == 3
    assert {one.partition for one in done} == {str((T0 + DAY).date())}
    places = [row["location"] for row in lake.scan(NAME).to_pylist()]
    assert sorted(x for x in places if x[0] != "P") == ["LATE1", "LATE2", "LATE3", "NEW"]
    assert len(places) == 40 + 4 and lake.offset(NAME) == 11
    other.close()


def test_a_commit_passes_over_no_manifest_while_another_is_judged(lake: Lake) -> None:
    """The library judges manifests in several threads; here a third one is judged in the midst of each of two."""
    commits(lake, 3, days=3)
    table = table_of(lake)
    manifests = sorted(table.current_snapshot().manifests(table.io), key=lambda one: one.partitions[0].lower_bound)
    first, second, other = (SimpleNamespace(partitions=one.partitions) for one in manifests)
    commit = Replacing(table.transaction(), table.io)
    for task in table.scan(f"interval_start < '{(T0 + 2 * DAY).isoformat()}'").plan_files():
        commit.delete_data_file(task.file)
    commit._build_delete_files_partition_predicate()
    passes = commit._build_manifest_evaluator(0)
    assert passes(first) and passes(second) and not passes(other)

    class Interrupted(list[Any]):
        def __getitem__(self, place: Any) -> Any:
            assert not passes(other)
            return super().__getitem__(place)

    for one in (first, second):
        assert passes(SimpleNamespace(partitions=Interrupted(one.partitions)))


@pytest.mark.slow
def test_two_processes_append_while_it_merges(place: tuple[str, Mapping[str, str]]) -> None:
    lake = open_lake(*place)
    lake.location(NAME)
    many = 8
    command = [sys.executable, __file__, json.dumps(place), str(many)]
    writers = [subprocess.Popen([*command, name], stdout=subprocess.PIPE) for name in ("X", "Y")]
    rounds = 0
    while any(one.poll() is None for one in writers):
        time.sleep(0.1)
        if len(list(table_of(lake).scan().plan_files())) > 2:
            rounds += bool(merged(lake))
    assert [one.wait() for one in writers] == [0, 0]
    merged(lake)
    places = sorted(row["location"] for row in lake.scan(NAME).to_pylist())
    assert places == sorted(f"{name}{n}-{m}" for name in ("X", "Y") for n in range(many) for m in range(5))
    assert lake.stats(OLD)[0].files == 1 and rounds
    lake.close()


@pytest.mark.slow
def test_old_snapshots_go_with_the_files_that_only_they_name(lake: Lake) -> None:
    commits(lake, 10, days=2)
    before = hashed(lake)
    tagged = table_of(lake).metadata.snapshots[3].snapshot_id
    table_of(lake).manage_snapshots().create_tag(tagged, "audit").commit()
    merged(lake)
    later = datetime.now(UTC) + DAY
    assert lake.expire(NAME, datetime.now(UTC) - DAY).snapshots == 0
    gone = lake.expire(NAME, later)
    assert (gone.snapshots, gone.kept) == (9, 2) and gone.files > 9
    assert hashed(lake) == before and lake.offset(NAME) == 10
    assert table_of(lake).scan(snapshot_id=tagged).count() == 40, "what a tag stands on is there to be read"
    assert table_of(lake).scan(snapshot_id=tagged).to_arrow().num_rows == 40
    assert lake.expire(NAME, later).snapshots == 0
    assert lake.orphans(NAME, later) == []
    commits(lake, 2, first=11)
    assert lake.count(NAME) == 120


@pytest.mark.slow
def test_files_no_snapshot_names_are_listed_by_age_and_deleted_when_asked(lake: Lake) -> None:
    from carbon254 import faults

    commits(lake, 6)
    before = hashed(lake)

    def dies(reached: str) -> None:
        if reached == "upkeep.committing":
            raise KeyboardInterrupt

    with faults.armed(dies), pytest.raises(KeyboardInterrupt):
        merged(lake)
    later = datetime.now(UTC) + DAY
    assert lake.orphans(NAME, datetime.now(UTC) - DAY) == []
    found = lake.orphans(NAME, later)
    assert sum(one.path.endswith(".parquet") for one in found) == 1 and all(one.bytes > 0 for one in found)
    assert {one.table for one in found} == {NAME}
    assert lake.remove(found) == (len(found), sum(one.bytes for one in found))
    assert lake.orphans(NAME, later) == [] and lake.remove(found) == (0, 0)
    assert hashed(lake) == before
    assert merged(lake)[0].files_before == 6 and hashed(lake) == before


def test_an_empty_table_has_nothing_to_expire_and_no_orphans(lake: Lake) -> None:
    later = datetime.now(UTC) + DAY
    assert lake.expire(NAME, later).snapshots == 0 and lake.orphans(NAME, later) == []
    lake.location(NAME)
    assert lake.expire(NAME, later).snapshots == 0 and lake.orphans(NAME, later) == []
    assert lake.parts(NAME, later) == []


def test_columns_that_another_engine_added_are_carried_over(lake: Lake) -> None:
    commits(lake, 2)
    with table_of(lake).update_schema() as change:
        from pyiceberg.types import StringType

        change.add_column("note", StringType())
    rows = lake.scan(NAME).slice(0, 3)
    wide = rows.append_column("note", pa.array(["a", None, "c"]))
    table_of(lake).append(wide)
    before = rows_hash(table_of(lake).scan().to_arrow()).hash
    assert [one.files_before for one in merged(lake)] == [3]
    assert rows_hash(table_of(lake).scan().to_arrow()).hash == before


def test_a_table_from_before_gets_its_sort_order(lake: Lake) -> None:
    described = dataset(NAME)
    lake._catalog.create_table(
        ("commodity_data", NAME), iceberg_schema(described), partition_spec=iceberg_partition(described)
    )
    commits(lake, 2)
    order = table_of(lake).sort_order()
    names = [table_of(lake).schema().find_column_name(one.source_id) for one in order.fields]
    assert tuple(names) == sort_columns(described)
    assert len(merged(lake)) == 1


def main(place: tuple[str, Mapping[str, str]], many: int, name: str) -> None:
    lake = open_lake(*place)
    for n in range(many):
        lake.append({NAME: prices(*(price(f"{name}{n}-{m}") for m in range(5)))}, {})
    lake.close()


if __name__ == "__main__":
    main(json.loads(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
