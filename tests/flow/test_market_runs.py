"""Prices of several market runs never come together unsaid: warned of in Python, refused with C254_STRICT=1."""

from __future__ import annotations

import warnings
from collections.abc import Iterator

import pytest
from flow.conftest import NOW, spp

import carbon254
from carbon254.app import open_node
from carbon254.clock import ManualClock
from carbon254.errors import RunsMixed, SeveralRuns
from carbon254.ingest import Arrived
from carbon254.reader import Reader
from carbon254.settings import Settings

pytestmark = pytest.mark.slow

DAY = ("2025-07-01", "2025-07-02")


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    """A real-time and a day-ahead price of LOC_0, a real-time one of LOC_1."""
    folder = tmp_path_factory.mktemp("runs") / "ws"
    with open_node(Settings(workspace=folder), {}, ManualClock(NOW)) as node:
        for topic, prices, end in (
            ("iso.rt.lmp.spp", {"LOC_0": 20.0, "LOC_1": 21.0}, "07/01/2025 12:05:00"),
            ("iso.da.lmp.spp", {"LOC_0": 30.0}, "07/01/2025 13:00:00"),
        ):
            node.pipeline.inbox.accept(Arrived(topic, spp(prices, end), f"{topic}.csv", NOW))
        node.runner.drain()
        assert node.log.letters(status="open") == []
    with carbon254.open(folder) as found:
        yield found


def test_market_runs_that_are_mixed_are_warned_of_and_refused_when_strict(
    reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.warns(RunsMixed, match="SPP: 2 market runs answer: DAM, RTBM") as warned:
        found = reader.lmp("SPP", *DAY, "LOC_0")
    assert warned[0].filename == __file__ and len(found) == 2 and "DAM, RTBM" in found.note
    with pytest.warns(RunsMixed, match="avg\\(lmp\\) is over several market runs: SPP DAM, SPP RTBM"):
        reader.sql("SELECT avg(lmp) FROM current_prices WHERE market = 'SPP'")
    with pytest.warns(RunsMixed, match="SPP: 2 market runs answer"):
        assert len(reader.bars("LOC_0", "1h", *DAY, as_of="2025-08-01")) == 2
    monkeypatch.setenv("C254_STRICT", "1")
    for ask in (
        lambda: reader.lmp("SPP", *DAY, "LOC_0"), lambda: reader.bars("LOC_0", "1h", *DAY),
        lambda: reader.sql("SELECT market, avg(lmp) FROM current_prices GROUP BY 1"),
    ):  # fmt: skip
        with pytest.raises(SeveralRuns, match=r"DAM, (SPP )?RTBM"):
            ask()
    assert [len(reader.lmp("SPP", *DAY, "LOC_0", run=run)) for run in ("dam", "RTBM")] == [1, 1]


def test_one_market_run_is_not_warned_of(reader: Reader) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(reader.lmp("SPP", *DAY, "LOC_1")) == 1
        assert len(reader.lmp("SPP", *DAY, run="DAM")) == 1
        assert len(reader.sql("SELECT market_run, avg(lmp) FROM current_prices GROUP BY ALL")) == 2
        assert len(reader.sql("SELECT avg(lmp) FROM current_prices WHERE location = 'LOC_1'")) == 1
