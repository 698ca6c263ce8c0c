"""`carbon254.open` on a workspace: prices and SQL as Arrow, Polars and pandas, in any zone, as known at any moment."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from flow.conftest import NOW, spp

import carbon254
from carbon254.app import open_node
from carbon254.clock import ManualClock
from carbon254.errors import BadLabel, QueryRefused, UnknownName, UnknownPlace, WorkspaceError, WrongSpan
from carbon254.ingest import Arrived
from carbon254.reader import Reader
from carbon254.settings import Settings

RT, PJM = "iso.rt.lmp.spp", "iso.da.lmp.pjm"
PLACES = {f"LOC_{i}": 20.0 + i for i in range(3)}
REVISED = NOW + timedelta(hours=5)
LATE = NOW + timedelta(days=90)
DAY = ("2025-07-01", "2025-07-02")


def hub(day: str, price: float) -> bytes:
    """One hour of a PJM hub whose name and id differ."""
    return (
        "datetime_beginning_utc,datetime_beginning_ept,pnode_id,pnode_name,voltage,equipment,type,zone,"
        "system_energy_price_da,total_lmp_da,congestion_price_da,marginal_loss_price_da,row_is_current,version_nbr\n"
        f"{day} 4:00:00 AM,{day} 12:00:00 AM,51288,WESTERN HUB,,,HUB,,{price},{price},0,0,True,1\n"
    ).encode()


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One SPP interval, one of its prices revised five hours on; an interval that came months late; one PJM hour."""
    folder = tmp_path_factory.mktemp("reader") / "ws"
    arrivals = [
        Arrived(RT, spp(PLACES), "a.csv", NOW),
        Arrived(RT, spp(PLACES | {"LOC_1": 99.0}), "a.csv", REVISED),
        Arrived(RT, spp({"LOC_9": 5.0}, "07/01/2025 12:10:00"), "late.csv", LATE),
        Arrived(PJM, hub("7/1/2025", 31.5), "da.csv", NOW - timedelta(days=1)),
    ]
    with open_node(Settings(workspace=folder), {}, ManualClock(NOW)) as node:
        for arrived in arrivals:
            node.pipeline.inbox.accept(arrived)
        node.runner.drain()
        assert node.log.letters(status="open") == []
    return folder


@pytest.fixture(scope="module")
def reader(workspace: Path) -> Iterator[Reader]:
    with carbon254.open(workspace) as found:
        yield found


def told(reader: Reader, *arguments, **options) -> dict[str, float]:
    frame = reader.lmp("SPP", *DAY, *arguments, **options).to_polars()
    return dict(frame.select("location", "lmp").rows())


@pytest.mark.slow
def test_a_workspace_that_is_open_cannot_be_opened_again_until_it_is_closed(workspace: Path) -> None:
    # Before the tests that keep a reader open: one process holds one engine.
    first = carbon254.open(str(workspace))
    with pytest.raises(WorkspaceError, match="is in use"):
        carbon254.open(workspace)
    first.close()
    with carbon254.open(workspace) as again:
        assert again.sql("SELECT count() AS n FROM interval_prices").to_arrow()["n"].to_pylist() == [6]


@pytest.mark.slow
def test_sql_as_arrow_polars_and_pandas(reader: Reader) -> None:
    found = reader.sql("SELECT location, lmp, interval_start FROM current_prices WHERE market = 'SPP' ORDER BY lmp")
    table, frame, pandas = found.to_arrow(), found.to_polars(), found.to_pandas()
    assert isinstance(table, pa.Table) and isinstance(frame, pl.DataFrame) and isinstance(pandas, pd.DataFrame)
    prices = [5.0, 20.0, 22.0, 99.0]
    assert table["lmp"].to_pylist() == frame["lmp"].to_list() == pandas["lmp"].tolist() == prices
    assert len(found) == 4 and "LOC_9" in repr(found)
    starts = [datetime(2025, 7, 1, 12, 5, tzinfo=UTC), *[datetime(2025, 7, 1, 12, 0, tzinfo=UTC)] * 3]
    assert table["interval_start"].to_pylist() == frame["interval_start"].to_list() == starts
    assert [stamp.to_pydatetime() for stamp in pandas["interval_start"]] == starts


@pytest.mark.slow
def test_anything_that_reads_the_arrow_stream_interface_takes_an_answer(reader: Reader) -> None:
    found = reader.lmp("SPP", *DAY)
    capsule = found.__arrow_c_stream__()
    assert type(capsule).__name__ == "PyCapsule"
    assert pa.RecordBatchReader.from_stream(found).read_all().equals(found.to_arrow())
    assert pl.DataFrame(found).equals(found.to_polars())


def test_lmp_is_one_row_an_interval_with_its_components(reader: Reader) -> None:
    frame = reader.lmp("SPP", *DAY).to_polars()
    assert dict(frame.select("location", "lmp").rows()) == {"LOC_0": 20.0, "LOC_1": 99.0, "LOC_2": 22.0, "LOC_9": 5.0}
    row = frame.row(by_predicate=pl.col("location") == "LOC_1", named=True)
    assert (row["energy"], row["congestion"], row["loss"], row["ghg"]) == (20.0, 79.0, 0.0, None)
    assert (row["market_run"], row["known_at"], row["known_basis"]) == ("RTBM", REVISED, "received")
    assert row["interval_end"] - row["interval_start"] == timedelta(minutes=5)


@pytest.mark.slow
def test_the_end_is_not_included_and_instants_come_in_any_form(reader: Reader) -> None:
    first, second = datetime(2025, 7, 1, 12, 0, tzinfo=UTC), datetime(2025, 7, 1, 12, 5, tzinfo=UTC)
    assert len(reader.lmp("SPP", first, second)) == 3
    assert len(reader.lmp("SPP", second, second + timedelta(minutes=5))) == 1
    assert len(reader.lmp("SPP", "2025-07-01T07:00-05:00", "2025-07-01T07:05-05:00")) == 3
    assert len(reader.lmp("SPP", date(2025, 7, 1), date(2025, 7, 2))) == len(reader.lmp("SPP", *DAY)) == 4
    assert len(reader.lmp("SPP", "2025-07-01", "now")) == 4
    assert len(reader.lmp("SPP", date(2025, 7, 2), date(2025, 7, 3))) == 0


@pytest.mark.slow
def test_places_by_name_or_id_and_one_or_several(reader: Reader) -> None:
    for place in ("WESTERN HUB", "51288", ["51288", "WESTERN HUB"]):
        (row,) = reader.lmp("PJM", *DAY, place).to_polars().to_dicts()
        assert (row["location"], row["location_id"], row["lmp"]) == ("WESTERN HUB", "51288", 31.5)
    assert told(reader, ["LOC_0", "loc_2"]) == {"LOC_0": 20.0, "LOC_2": 22.0}
    for none in (["LOC_0", "LOC_X"], "it's \\'none"):
        with pytest.raises(UnknownPlace, match="SPP: no place"):
            reader.lmp("SPP", *DAY, none)
    assert len(reader.lmp("PJM", *DAY, run="DAM")) == 1 and len(reader.lmp("PJM", *DAY, run="RT")) == 0


def test_naive_times_are_read_and_told_in_the_zone_that_is_given(reader: Reader) -> None:
    found = reader.lmp("SPP", "2025-07-01T07:00", datetime(2025, 7, 1, 7, 5), tz="America/Chicago").to_polars()
    assert found.height == 3 and found.schema["interval_start"] == pl.Datetime("us", "America/Chicago")
    assert found["interval_start"].dt.strftime("%H:%M%:z").unique().to_list() == ["07:00-05:00"]
    assert len(reader.lmp("SPP", "2025-07-01T07:00", "2025-07-01T07:05")) == 0
    # Midnight of a day is that of the zone: four in the morning in UTC, when PJM's only hour begins.
    assert len(reader.lmp("PJM", "2025-07-01", "2025-07-01T01:00", tz="America/New_York")) == 1
    assert len(reader.lmp("PJM", "2025-07-01", "2025-07-01T01:00")) == 0


def test_an_answer_is_told_in_another_zone_without_moving_the_instant(reader: Reader) -> None:
    found = reader.lmp("SPP", *DAY, "LOC_0")
    there = found.in_time_zone("Asia/Kolkata").to_polars()["interval_start"]
    assert there.dt.strftime("%H:%M").to_list() == ["17:30"]
    assert there.dt.convert_time_zone("UTC").equals(found.to_polars()["interval_start"])


@pytest.mark.slow
def test_as_of_tells_what_was_known_then(reader: Reader) -> None:
    before = REVISED - timedelta(seconds=1)
    assert told(reader, "LOC_1", as_of=before) == {"LOC_1": 20.0 + 1}
    assert told(reader, "LOC_1", as_of=REVISED) == {"LOC_1": 99.0}
    assert told(reader, "LOC_1", as_of=NOW - timedelta(minutes=2)) == {}
    assert told(reader, "LOC_1", as_of=before.isoformat()) == {"LOC_1": 21.0}
    naive = before.replace(tzinfo=None) - timedelta(hours=5)
    assert told(reader, "LOC_1", as_of=naive, tz="America/Chicago") == {"LOC_1": 21.0}
    assert told(reader, "LOC_1", as_of="now") == {"LOC_1": 99.0}


def test_strict_leaves_out_what_only_assumes_when_it_was_known(reader: Reader) -> None:
    bases = reader.sql("SELECT location, known_basis FROM current_prices WHERE market = 'SPP' ORDER BY location")
    assert dict(bases.to_polars().rows())["LOC_9"] == "assumed"
    then = NOW + timedelta(days=1)
    assert told(reader, "LOC_9", as_of=then) == {"LOC_9": 5.0}
    assert told(reader, "LOC_9", as_of=then, strict=True) == {}
    assert set(told(reader, strict=True)) == {"LOC_0", "LOC_1", "LOC_2"}


WRONG = [
    (lambda r: r.lmp("SPQ", *DAY), "no market 'SPQ'; nearest: SPP"),
    (lambda r: r.lmp("SPP", *DAY, run="RTB"), "SPP: no market run 'RTB'; nearest: RTBM"),
    (lambda r: r.lmp("PJM", *DAY, "WESTRN HUB"), "PJM: no place 'WESTRN HUB'; nearest: WESTERN HUB"),
    (lambda r: r.change("SPQ", *DAY, "S7", "S53"), "no market 'SPQ'"),
    (lambda r: r.bars("LCO_1", "1h", *DAY), "no place 'LCO_1'; nearest: LOC_1"),
    (lambda r: r.bars("LOC_1", "2h", *DAY), "no width of bars '2h'"),
    (lambda r: r.benchmarks(*DAY, "crude_oli"), "no commodity 'crude_oli'; nearest: crude_oil"),
    (lambda r: r.forecasts(*DAY, "Chicgo"), "no place with forecasts 'Chicgo'; nearest: Chicago"),
    (lambda r: r.lmp("SPP", *DAY, basis="recieved"), "no basis 'recieved'; nearest: received"),
    (lambda r: r.ladder("MIS0"), "no market 'MIS0'; nearest: MISO"),
]


@pytest.mark.parametrize(("ask", "says"), WRONG, ids=[says for _, says in WRONG])
def test_a_typo_is_an_error_with_the_nearest_name(reader: Reader, ask: Callable[[Reader], object], says: str) -> None:
    with pytest.raises(UnknownName, match=re.escape(says)):
        ask(reader)


def test_an_end_that_is_not_after_its_start_is_an_error(reader: Reader) -> None:
    back, none = (DAY[1], DAY[0]), (DAY[0], DAY[0])
    for span in (back, none):
        for ask in (
            lambda s=span: reader.lmp("SPP", *s), lambda s=span: reader.change("SPP", *s, "S7", "S53"),
            lambda s=span: reader.bars("LOC_1", "1h", *s), lambda s=span: reader.ticks(*s),
            lambda s=span: reader.benchmarks(*s), lambda s=span: reader.forecasts(*s),
        ):  # fmt: skip
            with pytest.raises(WrongSpan, match="is not before end"):
                ask()


def test_a_retired_place_and_every_name_it_had_find_its_prices(reader: Reader) -> None:
    for name in ("western hub", "51288", "WESTERN HUB"):
        assert len(reader.lmp("pjm", *DAY, name)) == 1


def test_an_answer_without_rows_says_what_is_stored(reader: Reader) -> None:
    found = reader.lmp("SPP", "2024-01-01", "2024-01-02")
    assert "SPP: 2025-07-01 … 2025-07-01 (RTBM 2025-07-01 … 2025-07-01)" in found.note and found.note in repr(found)
    assert "no price of CAISO is stored yet" in reader.lmp("CAISO", *DAY).note


@pytest.mark.parametrize("statement", ["DROP TABLE interval_prices", "SELECT nothing FROM interval_prices", ""])
def test_sql_that_cannot_be_answered_is_refused_and_the_reader_lives_on(reader: Reader, statement: str) -> None:
    with pytest.raises(QueryRefused):
        reader.sql(statement)
    assert reader.sql("SELECT 1 AS one").to_arrow()["one"].to_pylist() == [1]


def test_a_missing_workspace_says_how_to_make_one_and_makes_none(tmp_path: Path) -> None:
    with pytest.raises(WorkspaceError, match=r"there is no workspace at .*gone; bring data in with c254 feeds run"):
        carbon254.open(tmp_path / "gone")
    assert not (tmp_path / "gone").exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    "written", ["2025-11-02T01:30", datetime(2025, 11, 2, 1, 30), pd.Timestamp("2025-11-02 01:30")]
)
def test_a_naive_time_that_comes_twice_or_never_is_refused_by_every_question(reader: Reader, written: str) -> None:
    zone, later = {"tz": "America/New_York"}, "2025-12-01"
    questions = [
        lambda at: reader.prices("PJM", at, later, **zone),
        lambda at: reader.prices("PJM", "2025-07-01", at, **zone),
        lambda at: reader.prices("PJM", *DAY, as_of=at, **zone),
        lambda at: reader.change("SPP", at, later, "S7", "S53", **zone),
        lambda at: reader.ticks(at, later, **zone),
        lambda at: reader.ticks(*DAY, as_of=at, **zone),
        lambda at: reader.forecasts(at, later, **zone),
        lambda at: reader.bars("WESTERN HUB", "1h", at, later, **zone),
        lambda at: reader.bars("WESTERN HUB", "1h", *DAY, as_of=at, **zone),
    ]
    for ask in questions:
        with pytest.raises(BadLabel, match=r"comes twice .*05:30:00Z \(EDT\) and .*06:30:00Z \(EST\)"):
            ask(written)
        with pytest.raises(BadLabel, match="from 02:00 to 03:00"):
            ask("2025-03-09T02:30")
        ask("2025-11-02T01:30-05:00")
    with pytest.raises(BadLabel, match="is not a time"):
        reader.benchmarks("soon", "2025-12-01")
