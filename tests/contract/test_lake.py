"""What the lake promises: a commit and its offset together, once; typed rows; spans swapped in one commit."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pytest
from given_rows import HOUR, T0, benchmark, price, prices, shaped, tick

from carbon254.errors import SettingsError
from carbon254.model import catalogue, dataset
from carbon254.model.iceberg import iceberg_schema
from carbon254.stores.lake import Lake, open_lake


def test_a_batch_is_appended_with_its_offset_and_never_twice(lake: Lake) -> None:
    batch = {"interval_prices": prices(price(), price("B"))}
    assert lake.offset("interval_prices") == 0
    assert lake.count("interval_prices") == 0
    assert lake.append(batch, {"interval_prices": 7}) == 2
    assert lake.append(batch, {"interval_prices": 7}) == 0
    assert lake.append(batch, {"interval_prices": 6}) == 0
    assert (lake.count("interval_prices"), lake.offset("interval_prices")) == (2, 7)
    assert lake.append(batch, {"interval_prices": 8}) == 2
    assert lake.append(batch, {}) == 2
    assert (lake.count("interval_prices"), lake.offset("interval_prices")) == (6, 8)


def test_rows_chosen_before_another_writer_came_are_not_stored(lake: Lake) -> None:
    batch = {"interval_prices": prices(price())}
    assert lake.append(batch, {"interval_prices": 7}, {"interval_prices": 0}) == 1
    assert lake.append(batch, {"interval_prices": 9}, {"interval_prices": 0}) == 0
    assert (lake.count("interval_prices"), lake.offset("interval_prices")) == (1, 7)
    assert lake.append(batch, {"interval_prices": 9}, {"interval_prices": 7}) == 1


def test_each_dataset_has_its_own_offset(lake: Lake) -> None:
    ticks = shaped("market_ticks", [tick(sequence=2**64 - 1)])
    lake.append({"interval_prices": prices(price()), "market_ticks": ticks}, {"interval_prices": 3, "market_ticks": 9})
    assert [lake.offset(name) for name in ("interval_prices", "market_ticks", "ohlc_bars")] == [3, 9, 0]
    assert lake.scan("market_ticks", columns=["sequence"])["sequence"].to_pylist() == [Decimal(2**64 - 1)]


def test_an_empty_batch_still_carries_its_offset(lake: Lake) -> None:
    lake.append({"interval_prices": prices(price()).slice(0, 0)}, {"interval_prices": 5})
    assert (lake.count("interval_prices"), lake.offset("interval_prices")) == (0, 5)
    assert lake.scan("interval_prices").num_rows == 0


def test_rows_come_back_as_they_went_in(lake: Lake) -> None:
    given = prices(price(), price("B", T0 + 30 * HOUR, None, flags=512))
    lake.append({"interval_prices": given}, {})
    found = lake.scan("interval_prices").sort_by("location")
    assert found.column_names == list(dataset("interval_prices").names)
    assert found.schema.field("interval_start").type == pa.timestamp("us", "UTC")
    assert found.to_pylist() == given.sort_by("interval_start").to_pylist()[::-1]
    filtered = lake.scan(
        "interval_prices", "location = 'B' and interval_start >= '2025-03-02T00:00:00+00:00'", ["flags"]
    )
    assert filtered.to_pylist() == [{"flags": 512}]


def test_files_lie_by_day_and_daily_series_by_year(lake: Lake) -> None:
    lake.append({"interval_prices": prices(*(price(start=T0 + n * HOUR) for n in range(48)))}, {})
    days = [date(1986, 1, 2) + timedelta(days=n) for n in range(730)]
    lake.append({"energy_prices": shaped("energy_prices", [benchmark("crude_oil", "RWTC", d, 1.0) for d in days])}, {})
    paths = [path for name in ("interval_prices", "energy_prices") for path in lake.seals(name, lambda _: False)]
    folders = {path.split("/")[-2] for path in paths if path.endswith(".parquet")}
    assert folders == {
        "interval_start_day=2025-03-01", "interval_start_day=2025-03-02",
        "price_date_year=1986", "price_date_year=1987", "price_date_year=1988",
    } - ({"price_date_year=1988"} if days[-1].year < 1988 else set())  # fmt: skip


def test_a_span_of_one_feed_is_swapped_and_the_offset_stays(lake: Lake) -> None:
    other = price("OTHER", feed="iso.da.lmp.spp")
    lake.append({"interval_prices": prices(price(), price(start=T0 + HOUR), other)}, {"interval_prices": 4})
    for _ in range(2):
        lake.replace_span("interval_prices", "iso.rt.lmp.spp", T0, T0 + HOUR, prices(price(lmp=30.0)))
    found = sorted((row["location"], row["lmp"]) for row in lake.scan("interval_prices").to_pylist())
    assert found == [("NORTH_HUB", 20.0), ("NORTH_HUB", 30.0), ("OTHER", 20.0)]
    lake.replace_span("interval_prices", "iso.rt.lmp.spp", T0, T0 + 2 * HOUR, None)
    assert lake.scan("interval_prices", columns=["location"]).to_pylist() == [{"location": "OTHER"}]
    assert lake.offset("interval_prices") == 4
    with pytest.raises(ValueError, match="zone-aware"):
        lake.replace_span("interval_prices", "f", datetime(2025, 1, 1), datetime(2025, 1, 2), None)


def test_a_span_can_be_swapped_before_anything_was_appended(lake: Lake) -> None:
    lake.replace_span("energy_prices", "energy.spot.eia", datetime(2025, 1, 1, tzinfo=UTC), T0, None)
    day = shaped("energy_prices", [benchmark("crude_oil", "RWTC", date(2025, 1, 2), 70.0)])
    for _ in range(2):
        lake.replace_span("energy_prices", "energy.spot.eia", datetime(2025, 1, 1, tzinfo=UTC), T0, day)
    assert lake.count("energy_prices") == 1


@pytest.mark.slow
def test_a_writer_killed_between_commits_leaves_rows_and_offset_in_step(
    place: tuple[str, Mapping[str, str]], tmp_path: Path
) -> None:
    marks = tmp_path / "marks"
    writer = subprocess.Popen([sys.executable, __file__, json.dumps(place), str(marks)])
    try:
        until = time.monotonic() + 30
        while not marks.exists() or len(marks.read_text().splitlines()) < 4:
            assert writer.poll() is None and time.monotonic() < until, "the writer does not get on"
            time.sleep(0.005)
    finally:
        os.kill(writer.pid, signal.SIGKILL)
        writer.wait()
    done = int(marks.read_text().splitlines()[-1])
    lake = open_lake(*place)
    assert lake.offset("interval_prices") in (done, done + 1)
    assert lake.count("interval_prices") == 10 * lake.offset("interval_prices")
    for offset in range(1, done + 4):
        lake.append({"interval_prices": batch(offset)}, {"interval_prices": offset})
    assert lake.count("interval_prices") == 10 * (done + 3)
    lake.close()


def test_how_the_tables_lie_is_told(lake: Lake) -> None:
    assert lake.stats(T0) == []
    for offset in (3, 4):
        lake.append({"interval_prices": prices(price(), price(start=T0 + 24 * HOUR))}, {"interval_prices": offset})
    (found,) = lake.stats(T0)
    assert (found.table, found.rows, found.files, found.partitions, found.offset) == ("interval_prices", 4, 4, 2, 4)
    assert found.snapshots == 2 and 0 < 4 * found.smallest <= found.bytes


def test_a_table_of_another_shape_is_refused_by_name(lake: Lake) -> None:
    with pytest.raises(ValueError, match=r"lacks market, .*conform"):
        lake.append({"interval_prices": pa.table({"lmp": [1.0]})}, {})


def test_every_dataset_has_a_table_like_its_schema(lake: Lake) -> None:
    for name, described in catalogue().items():
        assert lake.location(name).endswith(name)
        empty = lake.scan(name)
        assert empty.column_names == [field.name for field in iceberg_schema(described).fields]


def test_a_catalog_that_does_not_answer_is_named() -> None:
    with pytest.raises(SettingsError, match=r"^C254_LAKE_URL: the catalog at 127\.0\.0\.1:9 does not answer") as told:
        open_lake("http://user:secret@127.0.0.1:9")
    assert "secret" not in str(told.value)


def batch(offset: int) -> pa.Table:
    return prices(*(price(f"P{n}", T0 + offset * HOUR) for n in range(10)))


def main(place: tuple[str, Mapping[str, str]], marks: Path) -> None:
    lake = open_lake(*place)
    with marks.open("a") as out:
        for offset in range(1, 500):
            lake.append({"interval_prices": batch(offset)}, {"interval_prices": offset})
            out.write(f"{offset}\n")
            out.flush()


if __name__ == "__main__":
    main(json.loads(sys.argv[1]), Path(sys.argv[2]))
