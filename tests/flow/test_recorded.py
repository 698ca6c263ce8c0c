"""Every recorded price file: count, first and last interval, DST hours, identity and negative prices, as its facts say.

The facts are those of `SOURCES.md` beside the files. A file of components comes out as one row an interval and node,
so its count is that of distinct (node, interval) pairs, not of lines.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest

from carbon254.errors import PayloadRefused
from carbon254.feeds import Payload, candidates, feed
from carbon254.model import Flag
from carbon254.pipeline import sources
from carbon254.stages import normalise
from carbon254.wire.archive import unpack


@dataclass(frozen=True)
class Facts:
    """What a file holds. `adds_up` is the largest |lmp - sum of components|; None where no row has them all."""

    file: str
    topic: str
    rows: int
    first: str
    last: str
    negative: int
    hours: int
    adds_up: float | None


FACTS = [
    Facts("caiso/PRC_HASP_LMP_PALOVRDE_20240101_excerpt.csv", "iso.hasp.lmp.caiso", 81, "2024-01-01T07:00", "2024-01-02T07:45", 0, 25, None),
    Facts("ercot/ercot_np4-190-cd_dam_spp_20251102_api.json", "iso.da.lmp.ercot", 25, "2025-11-02T05:00", "2025-11-03T06:00", 0, 25, None),
    Facts("isone/isone_hourlylmp_da_final_20251102_loc4000.json", "iso.da.lmp.isone", 25, "2025-11-02T04:00", "2025-11-03T05:00", 0, 25, 0.0),
    Facts("miso/20251102_da_expost_lmp_reduced.csv", "iso.da.lmp.miso", 264, "2025-11-02T05:00", "2025-11-03T05:00", 1, 24, 0.0),
    Facts("miso/macrogauge_miso_da_expost.csv", "iso.da.lmp.miso", 72, "2026-07-14T05:00", "2026-07-15T05:00", 0, 24, 0.0),
    Facts("nyiso/20251102damlbmp_zone_2zones.csv", "iso.da.lmp.nyiso", 50, "2025-11-02T04:00", "2025-11-03T05:00", 0, 25, 0.0),
    Facts("nyiso/20251102realtime_zone_CAPITL_dst_window.csv", "iso.rt.lmp.nyiso", 27, "2025-11-02T04:50", "2025-11-02T07:05", 0, 4, 0.0),
    Facts("nyiso/lmp.csv", "iso.rt.lmp.nyiso", 45, "2016-02-18T05:00", "2016-02-18T05:45", 0, 1, 0.0),
    Facts("nyiso/OASIS_Day-Ahead_Market_Zonal_LBMP_NYC_2024JJA.csv", "iso.da.lmp.nyiso", 2208, "2024-06-01T04:00", "2024-09-01T04:00", 0, 2208, 0.0),
    Facts("pjm/da_hrl_lmps_hubs_20250501_20250507.csv", "iso.da.lmp.pjm", 2016, "2025-05-01T04:00", "2025-05-08T04:00", 0, 168, 0.0),
    Facts("pjm/rt_hrl_lmps_hubs_20250501_20250507.csv", "iso.rt.lmp.pjm", 2016, "2025-05-01T04:00", "2025-05-08T04:00", 9, 168, 0.005001),
    Facts("pjm/rt_hrl_lmps_PJM-RTO_2024H1.csv", "iso.rt.lmp.pjm", 4391, "2024-01-01T05:00", "2024-07-01T04:00", 3, 4367, 0.005001),
    Facts("spp/DA-LMP-SL-202503190100.csv.gz", "iso.da.lmp.spp", 29616, "2025-03-19T05:00", "2025-03-20T05:00", 11071, 24, 0.0),
    Facts("spp/DA-LMP-SL-202511020100_hubs.csv", "iso.da.lmp.spp", 56, "2025-11-02T05:00", "2025-11-03T06:00", 3, 25, 0.0),
    Facts("spp/RTBM-LMP-SL-202503310840.csv", "iso.rt.lmp.spp", 1234, "2025-03-31T13:35", "2025-03-31T13:40", 36, 1, 0.0),
    Facts("spp/RTBM-LMP-SL-202503310850.csv", "iso.rt.lmp.spp", 1234, "2025-03-31T13:45", "2025-03-31T13:50", 0, 1, 0.0),
    Facts("spp/RTBM-LMP-SL-202503310855.csv", "iso.rt.lmp.spp", 1234, "2025-03-31T13:50", "2025-03-31T13:55", 0, 1, 0.0),
]  # fmt: skip


def observations(path: Path, topic: str) -> pl.DataFrame:
    found = feed(topic)
    frames = []
    for name, data in unpack(path.name, path.read_bytes()):
        for rows in found.parse(Payload(data, name, found.stream)):
            done = normalise(rows.frame, found.stream)
            assert rows.rejects.height == done.rejects.height == 0
            frames.append(done.frame)
    return pl.concat(frames)


@pytest.mark.parametrize("facts", FACTS, ids=lambda facts: facts.file)
def test_recorded_file_has_the_facts_of_its_source(recorded: Path, facts: Facts) -> None:
    path = recorded / facts.file
    assert facts.topic in candidates(path.name, path.read_bytes())
    frame = observations(path, facts.topic)
    stamp = "%Y-%m-%dT%H:%M"
    assert frame.height == facts.rows
    assert frame["interval_start"].min().strftime(stamp) == facts.first
    assert frame["interval_end"].max().strftime(stamp) == facts.last
    assert frame.filter(pl.col("lmp") < 0).height == facts.negative
    assert frame["interval_start"].dt.truncate("1h").n_unique() == facts.hours
    parts = pl.col("energy") + pl.col("congestion") + pl.col("loss") + pl.col("ghg").fill_null(0.0)
    worst = frame.select((pl.col("lmp") - parts).abs().max()).item()
    if facts.adds_up is None:
        assert worst is None or frame.filter(pl.col("flags") & Flag.INCOMPLETE_COMPONENTS.value > 0).height
    else:
        assert worst <= facts.adds_up + 1e-9


@pytest.mark.sampled(12)
@pytest.mark.parametrize("facts", FACTS, ids=lambda facts: facts.file)
def test_the_gate_holds_nothing_of_a_recorded_file_and_finds_a_wrong_component(recorded: Path, facts: Facts) -> None:
    frame, source = observations(recorded / facts.file, facts.topic), sources()[facts.topic]
    (run,) = frame["market_run"].cast(pl.String).unique()
    gate = source.gate_of(source.stream.of_run(run))
    assert gate is not None
    later = frame["interval_end"].max() + timedelta(days=3)
    assert gate.split(frame, later).held is None
    whole = pl.all_horizontal(pl.col("lmp", "energy", "congestion", "loss").is_not_null())
    summed = frame.with_row_index("at").filter(whole & (pl.col("flags") & Flag.DERIVED_ENERGY.value == 0))
    if "caiso" in facts.topic or not summed.height:
        return
    row = summed["at"][summed.height // 2]
    here = pl.int_range(pl.len()) == row
    # Four numbers rounded to cents may be two cents off, and no more.
    wrong = frame.with_columns(pl.when(here).then(pl.col("loss") + 0.04).otherwise("loss").alias("loss"))
    held = gate.split(wrong, later).held
    assert held is not None and held.height == 1
    named = held.select("location_id", "interval_start", "_check").row(0)
    assert named == (frame["location_id"][row], frame["interval_start"][row], "identity")


def test_an_empty_interval_file_is_refused_with_its_reason(recorded: Path) -> None:
    with pytest.raises(PayloadRefused, match="empty"):
        observations(recorded / "spp" / "RTBM-LMP-SL-202503310845.csv", "iso.rt.lmp.spp")


def test_caiso_errors_inside_http_200_are_refused_with_their_code(recorded: Path) -> None:
    with pytest.raises(PayloadRefused, match="1001"):
        observations(recorded / "caiso" / "INVALID_REQUEST_SLD_RTO.zip", "iso.da.lmp.caiso")
    with pytest.raises(PayloadRefused, match="retry"):
        observations(recorded / "caiso" / "http429_acceptable_use.html", "iso.da.lmp.caiso")


def test_repeated_hours_carry_the_prices_of_their_pass(recorded: Path) -> None:
    spp = observations(recorded / "nyiso/20251102damlbmp_zone_2zones.csv", "iso.da.lmp.nyiso")
    west = spp.filter(pl.col("location") == "WEST").select(pl.col("interval_start").dt.strftime("%H"), "lmp").rows()
    assert west[1:3] == [("05", 50.72), ("06", 48.63)]
    ercot = observations(recorded / "ercot/ercot_np4-190-cd_dam_spp_20251102_api.json", "iso.da.lmp.ercot")
    assert ercot.select(pl.col("interval_start").dt.strftime("%H"), "lmp").rows()[1:3] == [("07", 48.25), ("06", 46.44)]
    isone = observations(recorded / "isone/isone_hourlylmp_da_final_20251102_loc4000.json", "iso.da.lmp.isone")
    assert isone["lmp"].to_list()[1:3] == [33.89, 31.96]


def test_both_versions_of_a_corrected_day_are_kept(recorded: Path) -> None:
    frame = observations(recorded / "pjm/rt_hrl_lmps_PJM-RTO_2024H1.csv", "iso.rt.lmp.pjm")
    assert frame["revision"].value_counts().sort("revision").rows() == [(1, 4367), (2, 24)]
    assert frame.filter(pl.col("flags") & Flag.NOT_CURRENT.value > 0).height == 24
