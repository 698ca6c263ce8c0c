"""Labels that recorded files print, labels no clock tells, and the order of rows."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import orjson
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from carbon254.calendars import (
    Status,
    comes_twice,
    convention,
    conventions,
    conventions_of,
    market,
    read,
    wall_to_utc,
    write,
)
from carbon254.errors import BadLabel

RECORDED = Path(__file__).parents[3] / "shared" / "recorded"
HOUR, FIVE = timedelta(hours=1), timedelta(minutes=5)


def recorded(name: str) -> Path:
    path = RECORDED / name
    if not path.is_file():
        pytest.skip("../shared/recorded is absent")
    return path


def hours_from(opens: datetime, count: int) -> list[datetime]:
    return [opens + HOUR * number for number in range(count)]


def test_ercots_recorded_autumn_day() -> None:
    answer = orjson.loads(recorded("ercot/ercot_np4-190-cd_dam_spp_20251102_api.json").read_bytes())
    names = [field["name"] for field in answer["fields"]]
    rows = pl.DataFrame(answer["data"], schema=names, orient="row")
    labels = rows.select(
        day=pl.col("deliveryDate").str.to_date(),
        hour=pl.col("hourEnding").str.head(2).cast(pl.Int64),
        mark=pl.col("DSTFlag"),
    )
    found = read(labels, convention("ercot.api"), HOUR)
    hours = hours_from(datetime(2025, 11, 2, 5, tzinfo=UTC), 25)
    assert found["interval_start"].to_list() == [hours[0], hours[2], hours[1], *hours[3:]], "the repeat comes first"
    assert (
        write(found["interval_start"], convention("ercot.api"), HOUR)
        .select("day", "hour", "mark")
        .equals(labels.with_columns(pl.col("hour").cast(pl.Int8)))
    )


def test_spps_recorded_autumn_day_prints_local_and_gmt_ends() -> None:
    file = pl.read_csv(recorded("spp/DA-LMP-SL-202511020100_hubs.csv"))
    form = "%m/%d/%Y %H:%M:%S"
    stamps = file.select(
        stamp=pl.col("Interval").str.to_datetime(form, time_unit="us"),
        gmt=pl.col("GMTIntervalEnd").str.to_datetime(form, time_unit="us"),
        place=pl.col("Settlement Location"),
    )
    local = read(stamps, convention("spp.interval"), HOUR, place="place")
    gmt = read(stamps.select(stamp="gmt"), convention("spp.gmt"), HOUR)
    assert local["interval_end"].to_list() == gmt["interval_end"].to_list()
    assert local["status"].sum() == 0


def test_nyiso_real_time_runs_off_the_grid_keep_their_order() -> None:
    stamps = ["00:55:00", "01:00:00", "01:55:00", "01:57:48", "01:00:00", "01:05:00", "01:57:48", "02:00:00"]
    frame = pl.DataFrame({"stamp": [datetime.fromisoformat(f"2025-11-02T{stamp}") for stamp in stamps]})
    found = read(frame, convention("nyiso.real_time"), FIVE)
    told = [f"{end:%H:%M:%S}" for end in found["interval_end"]]
    assert told == ["04:55:00", "05:00:00", "05:55:00", "05:57:48", "06:00:00", "06:05:00", "06:57:48", "07:00:00"]
    assert f"{found['interval_start'][3]:%H:%M:%S}" == "05:55:00"


def test_order_holds_within_each_place_however_places_are_mixed() -> None:
    hours = [0, 1, 1, 2]
    rows = [(f"p{place}", datetime(2025, 11, 2, hour)) for hour in hours for place in range(3)]
    frame = pl.DataFrame(rows, schema={"place": pl.String, "stamp": pl.Datetime("us")}, orient="row")
    found = read(frame, convention("nyiso.day_ahead"), HOUR, place="place").with_columns(frame["place"])
    for place in ("p0", "p1", "p2"):
        starts = found.filter(pl.col("place") == place)["interval_start"].to_list()
        assert starts == hours_from(datetime(2025, 11, 2, 4, tzinfo=UTC), 4)


def test_ordinals_put_shuffled_rows_in_order() -> None:
    how = convention("nyiso.real_time")
    starts = pl.Series(hours_from(datetime(2025, 11, 1, 4, tzinfo=UTC), 80))
    labels = write(starts, how, HOUR).with_columns(starts.alias("truth")).sample(fraction=1.0, shuffle=True, seed=5)
    assert read(labels, how, HOUR)["interval_start"].to_list() == labels["truth"].to_list()


def test_a_file_that_opens_in_the_repeated_hour_is_flagged_not_guessed_silently() -> None:
    frame = pl.DataFrame({"stamp": [datetime(2025, 11, 2, 1, 5), datetime(2025, 11, 2, 1, 10)]})
    assert read(frame, convention("nyiso.real_time"), FIVE)["status"].to_list() == [Status.TWICE, Status.TWICE]


@pytest.mark.parametrize(
    ("name", "row", "status"),
    [
        ("ercot.api", {"day": date(2026, 3, 8), "hour": 3, "mark": False}, Status.SKIPPED),
        ("ercot.api", {"day": date(2025, 11, 2), "hour": 2, "mark": None}, Status.TWICE),
        ("ercot.api", {"day": date(2025, 11, 2), "hour": 3, "mark": True}, Status.MISMARKED),
        ("ercot.he25", {"day": date(2025, 7, 1), "hour": 25}, Status.MISMARKED),
        ("ercot.he25", {"day": date(2026, 3, 8), "hour": 25}, Status.MISMARKED),
        ("ercot.api", {"day": date(2025, 7, 1), "hour": 25, "mark": False}, Status.MALFORMED),
        ("ercot.api", {"day": date(2025, 7, 1), "hour": 0, "mark": False}, Status.MALFORMED),
        ("ercot.api", {"day": None, "hour": 1, "mark": False}, Status.MALFORMED),
        ("ercot.api", {"day": date(2025, 7, 1), "hour": 1, "mark": None}, Status.OK),
        ("isone.express", {"day": date(2025, 7, 1), "hour": 2, "mark": "X"}, Status.MISMARKED),
        ("isone.express", {"day": date(2025, 11, 2), "hour": 2, "mark": "Q"}, Status.MALFORMED),
        ("caiso.oasis_hour", {"day": date(2026, 3, 8), "hour": 3}, Status.SKIPPED),
        ("caiso.oasis_hour", {"day": date(2026, 3, 8), "hour": 25}, Status.MISMARKED),
        ("miso.report", {"day": date(2025, 11, 2), "hour": 25}, Status.MALFORMED),
    ],
)
def test_a_label_that_cannot_be_says_why_and_is_never_shifted(
    name: str, row: dict[str, object], status: Status
) -> None:
    schema = {
        "day": pl.Date,
        "hour": pl.Int64,
        **({"mark": pl.Boolean} if isinstance(row.get("mark", ""), bool | None) else {}),
    }
    found = read(
        pl.DataFrame([row], schema_overrides={key: kind for key, kind in schema.items() if key in row}),
        convention(name),
        HOUR,
    )
    assert found["status"].to_list() == [status]
    assert found["interval_start"].is_null()[0] == (status in (Status.SKIPPED, Status.MISMARKED, Status.MALFORMED))


@pytest.mark.parametrize(
    ("stamp", "mark", "status"),
    [
        ("2025-07-01T01:00", "EST", Status.MISMARKED),
        ("2025-07-01T01:00", "EDT", Status.OK),
        ("2025-11-02T01:00", "PDT", Status.MISMARKED),
        ("2025-11-02T01:00", None, Status.MISMARKED),
        ("2026-03-08T02:30", "EST", Status.SKIPPED),
    ],
)
def test_a_zone_column_that_the_clock_never_told_is_refused(stamp: str, mark: str | None, status: Status) -> None:
    frame = pl.DataFrame({"stamp": [datetime.fromisoformat(stamp)], "mark": pl.Series([mark], dtype=pl.String)})
    assert read(frame, convention("nyiso.time_zone"), FIVE)["status"].to_list() == [status]


def test_an_offset_the_clock_never_had_is_refused() -> None:
    frame = pl.DataFrame({"stamp": [datetime(2025, 7, 1)] * 3, "mark": ["-04:00", "-05:00", "rubbish"]})
    found = read(frame, convention("isone.web_services"), HOUR)
    assert found["status"].to_list() == [Status.OK, Status.MISMARKED, Status.MISMARKED]


def test_empty_and_missing_columns() -> None:
    empty = pl.DataFrame(schema={"day": pl.Date, "hour": pl.Int64, "mark": pl.Boolean, "stamp": pl.Datetime("us")})
    for how in conventions().values():
        frame = empty.with_columns(pl.col("mark").cast(pl.String)) if "flag" not in how.repeat else empty
        assert read(frame, how, HOUR).height == 0
        assert write(pl.Series([], dtype=pl.Datetime("us", "UTC")), how, HOUR).height == 0
    with pytest.raises(BadLabel, match=r"ERCOT.*hour.*is missing"):
        read(pl.DataFrame({"day": [date(2025, 7, 1)]}), convention("ercot.he25"), HOUR)
    with pytest.raises(BadLabel, match="without a start"):
        write(pl.Series([None], dtype=pl.Datetime("us", "UTC")), convention("ercot.he25"), HOUR)


def test_unknown_names_list_the_known() -> None:
    with pytest.raises(BadLabel, match=r"did you mean ERCOT"):
        market("ERCTO")
    with pytest.raises(BadLabel, match=r"ercot\.api"):
        convention("ercot.apj")
    assert market("iso-ne").id == "ISONE" and market("eia930").id == "EIA-930"
    assert {how.market for how in conventions_of("caiso")} == {"CAISO"}


@pytest.mark.slow
def test_wall_times_far_from_any_table() -> None:
    label = pl.Series([datetime(1, 1, 1), datetime(9999, 12, 30), None], dtype=pl.Datetime("us"))
    found, status = wall_to_utc(label, "America/Chicago")
    assert found.null_count() == 1 and status.to_list() == [Status.OK, Status.OK, Status.MALFORMED]


def test_comes_twice_is_the_repeated_hour_and_nothing_else() -> None:
    quarter = pl.datetime_range(datetime(2025, 11, 2), datetime(2025, 11, 2, 3), "15m", eager=True)
    assert [f"{label:%H:%M}" for label in quarter.filter(comes_twice(quarter, "America/Chicago"))] == [
        "01:00",
        "01:15",
        "01:30",
        "01:45",
    ]
    assert not comes_twice(quarter, "Etc/GMT+5").any()


@settings(max_examples=60, deadline=None)
@given(
    how=st.sampled_from(list(conventions().values())),
    opens=st.datetimes(datetime(2007, 1, 1), datetime(2037, 12, 1)),
    count=st.integers(1, 200),
    minutes=st.sampled_from([5, 15, 30, 60]),
)
def test_any_run_of_intervals_goes_out_and_comes_back(how: object, opens: datetime, count: int, minutes: int) -> None:
    """From local midnight, as files do: the order of rows needs the day's beginning."""
    step = timedelta(minutes=minutes)
    midnight = wall_to_utc(pl.Series([datetime(opens.year, opens.month, opens.day)]), how.clock)[0][0]
    starts = pl.Series([midnight + step * number for number in range(count)], dtype=pl.Datetime("us", "UTC"))
    assert read(write(starts, how, step), how, step)["interval_start"].to_list() == starts.to_list()
