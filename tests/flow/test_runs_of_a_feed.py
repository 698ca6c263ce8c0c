"""Several market runs in one feed: each row has the interval, the bars and the due moment of its own run."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta

import orjson
import polars as pl
import pytest

from carbon254.api.freshness import with_deadline
from carbon254.app import Node
from carbon254.engine.reasking import Reasker
from carbon254.feeds import feed, feeds
from carbon254.stores.ledger import completeness

Bring = Callable[..., bool]
NYISO, ISONE, SPP = "iso.rt.lmp.nyiso", "iso.rt.lmp.isone", "iso.rt.lmp.spp"
DAY = "2025-07-01"


def rows(node: Node, sql: str) -> list[tuple[object, ...]]:
    return [tuple(row.values()) for row in node.hot.query(sql).to_pylist()]


def nyiso(clocks: list[str], price: float = 20.0) -> bytes:
    lines = ["Time Stamp,Name,PTID,LBMP ($/MWHr),Marginal Cost Losses ($/MWHr),Marginal Cost Congestion ($/MWHr)"]
    for number, clock in enumerate(clocks):
        lines += [
            f"07/01/2025 {clock}:00,{name},{price + number:.2f},1.00,0.00" for name in ("CAPITL,61757", "WEST,61752")
        ]
    return ("\n".join(lines) + "\n").encode()


def isone(kind: str, begins: list[str]) -> bytes:
    records = [
        {
            "BeginDate": f"2025-07-01T{begin}:00.000-04:00",
            "Location": {"@LocId": "4000", "@LocType": "HUB", "$": ".H.INTERNAL_HUB"},
            "LmpTotal": 30.0 + number, "EnergyComponent": 30.0 + number, "CongestionComponent": 0, "LossComponent": 0,
        }
        for number, begin in enumerate(begins)
    ]  # fmt: skip
    return orjson.dumps({f"{kind}s": {kind: records}})


def bars(node: Node, run: str) -> dict[str, list[tuple[int, int]]]:
    """(count, expected) of a run's bars, by width."""
    found: dict[str, list[tuple[int, int]]] = {}
    sql = f"SELECT width, count, expected FROM ohlc_bars WHERE market_run = '{run}' ORDER BY width, bar_start, location"
    for width, count, expected in rows(node, sql):
        found.setdefault(str(width), []).append((count, expected))  # type: ignore[arg-type]
    return found


DISPATCH = ["07:45", "07:50", "07:55", "08:00", "08:05"]
AHEAD = ["08:15", "08:30", "08:45"]


@pytest.mark.slow
@pytest.mark.parametrize("later", [timedelta(0), timedelta(days=1)], ids=["live", "a day later"])
def test_the_look_ahead_is_stored_beside_dispatch_and_changes_nothing_of_it(
    node: Node, bring: Bring, later: timedelta
) -> None:
    bring(NYISO, nyiso([*DISPATCH, *AHEAD]), "20250701realtime_zone.csv", node.clock.now() + later)
    sql = (
        "SELECT market_run, count() AS n, min(date_diff('minute', interval_start, interval_end)) AS shortest, "
        "max(date_diff('minute', interval_start, interval_end)) AS longest, uniqExact(interval_start) AS starts "
        "FROM current_prices GROUP BY market_run ORDER BY market_run"
    )
    assert rows(node, sql) == [("RTC", 6, 15, 15, 3), ("RTD", 10, 5, 5, 5)]
    assert rows(node, "SELECT count() AS n FROM quarantine") == [(0,)], "looking ahead is no shifted hour"
    assert set(bars(node, "RTC")) == {"15m", "1h", "1d"}
    assert bars(node, "RTD")["5m"] == [(1, 1)] * 10 and bars(node, "RTD")["1h"][0] == (4, 12)
    # How far the feed is, and what is there of it, is told by dispatch alone.
    assert node.ledger.watermark(NYISO) == datetime(2025, 7, 1, 12, 5, tzinfo=UTC)
    latest = node.cache.get("NYISO", "RTD", ["WEST"])
    assert latest is not None and latest["interval_end"].to_list() == [datetime(2025, 7, 1, 12, 5, tzinfo=UTC)]
    cells = node.ledger.cells(NYISO, DAY)
    found = completeness(
        feed(NYISO).stream, DAY, datetime(2025, 7, 1, 13, tzinfo=UTC), cells, node.ledger.places(cells)
    )
    assert found is not None and (found.received, found.received_cells) == (5, 10)


@pytest.mark.slow
def test_a_later_dispatch_price_is_a_row_of_the_other_run(node: Node, bring: Bring) -> None:
    bring(NYISO, nyiso([*DISPATCH, *AHEAD]), "20250701realtime_zone.csv")
    before = rows(node, "SELECT * FROM current_prices WHERE market_run = 'RTC' ORDER BY location, interval_start")
    node.clock.sleep(600)
    bring(NYISO, nyiso([*DISPATCH, "08:10", "08:15", "08:30"]), "20250701realtime_zone.csv")
    own = rows(node, "SELECT market_run, count() AS n FROM current_prices GROUP BY market_run ORDER BY market_run")
    assert own == [("RTC", 6), ("RTD", 14)]
    ahead = rows(node, "SELECT lmp FROM current_prices WHERE market_run = 'RTC' AND lmp IS NULL")
    assert ahead == [], "nothing of the look ahead is withdrawn"
    assert len(before) == 6


@pytest.mark.slow
def test_hourly_prices_beside_five_minute_ones_keep_their_own_interval(node: Node, bring: Bring) -> None:
    fives = [f"07:{minute:02}" for minute in range(5, 60, 5)]
    bring(ISONE, isone("FiveMinLmp", fives), "rt_fiveminutelmp.json")
    bring(ISONE, isone("HourlyLmp", ["07:00"]), "rt_hourlylmp_final_20250701.json")
    assert bars(node, "RT_HOURLY") == {"1h": [(1, 1)], "1d": [(1, 24)]}
    assert bars(node, "RT")["1h"] == [(11, 12)] and len(bars(node, "RT")["5m"]) == 11
    # 07:00 has an hourly price and no five-minute one: it is missing, and asked for again.
    stream, cells = feed(ISONE).stream, node.ledger.cells(ISONE, DAY)
    missing = datetime(2025, 7, 1, 11, tzinfo=UTC)
    found = completeness(stream, DAY, datetime(2025, 7, 1, 12, 5, tzinfo=UTC), cells, node.ledger.places(cells))
    assert found is not None and missing in found.missing and found.received == 11
    bring(ISONE, isone("FiveMinLmp", ["06:50", "06:55"]), "rt_fiveminutelmp.json")
    wanted = Reasker(node.ledger, node.hot).wanted(stream, datetime(2025, 7, 1, 12, 30, tzinfo=UTC))
    assert any(start <= missing < end for start, end in wanted)
    source = node.pipeline.days._sources[ISONE]
    _, judgement = node.pipeline.days.judge(
        source, DAY, node.pipeline.days.standing(source, DAY), datetime(2025, 7, 1, 12, 5, tzinfo=UTC)
    )
    told = {one.check: one.why for one in judgement.findings}
    assert "2025-07-01T11:00Z" in told["intervals"], told["intervals"]


@pytest.mark.slow
def test_the_western_area_of_spp_is_stored_named_and_withdrawn_by_itself(node: Node, bring: Bring) -> None:
    def file(west: list[str], minute: int = 5, more: float = 0.0) -> bytes:
        head = "Interval,GMTIntervalEnd,BAA,Settlement Location,Pnode,LMP,MLC,MCC,MEC"
        stamp = f"07/01/2025 07:{minute:02}:00,07/01/2025 12:{minute:02}:00"
        made = [f"{stamp},SPP,PLACE_{n},P,{20 + more},0,{more},20" for n in range(60)]
        made += [f"{stamp},SWPW,{name},P,31,0,1,30" for name in west]
        return "\n".join([head, *made, ""]).encode()

    west = [f"WEST_{n}" for n in range(60)]
    bring(SPP, file([*west, "PSCO"]), "RTBM-LMP-SL-202507010705.csv")
    own = rows(node, "SELECT market_run, count() AS n, any(region) AS r FROM current_prices "
        "GROUP BY market_run ORDER BY market_run")  # fmt: skip
    assert own == [("RTBM", 60, "SPP"), ("RTBM_SWPW", 61, "SWPW")]
    assert rows(node, "SELECT count() AS n FROM quarantine") == [(0,)], "each area has an energy price of its own"
    node.clock.sleep(60)
    bring(SPP, file(west, more=1.0), "RTBM-LMP-SL-202507010705.csv")
    gone = rows(node, "SELECT market_run, location FROM current_prices WHERE lmp IS NULL")
    assert gone == [("RTBM_SWPW", "PSCO")], "a withdrawal is of the run that listed the place"
    assert set(bars(node, "RTBM_SWPW")) == {"5m", "15m", "1h", "1d"}
    cells = node.ledger.cells(SPP, DAY)
    places = frozenset[str]().union(*node.ledger.places(cells).values())
    assert not [name for name in places if name.startswith("WEST")], "completeness counts the feed's own places"


def test_a_price_grows_old_by_its_own_run() -> None:
    end = datetime(2025, 7, 1, 12, tzinfo=UTC)
    made = [("ISONE", "RT", 5), ("ISONE", "RT_HOURLY", 60), ("NYISO", "RTC", 15), ("SPP", "RTBM_SWPW", 5)]
    frame = pl.DataFrame(
        [
            {"market": m, "market_run": r, "interval_start": end - timedelta(minutes=n), "interval_end": end}
            for m, r, n in made
        ]
    ).with_columns(pl.col("interval_start", "interval_end").cast(pl.Datetime("us", "UTC")))
    told = with_deadline(frame, {topic: found.stream for topic, found in feeds().items()})
    late = dict(told.select("market_run", pl.col("stale_at") - pl.col("interval_end")).iter_rows())
    assert late["RT"] == timedelta(minutes=15) and late["RT_HOURLY"] == timedelta(hours=8)
    assert late["RTC"] == timedelta(minutes=30) and late["RTBM_SWPW"] == timedelta(minutes=11)


@pytest.mark.slow
def test_lineage_lists_the_bars_of_every_run(node: Node, bring: Bring) -> None:
    bring(NYISO, nyiso([*DISPATCH, *AHEAD]), "20250701realtime_zone.csv")
    found = node.pipeline.repair.lineage(node.pipeline.days._sources[NYISO], date(2025, 7, 1))
    told = [node_.partition.split(",")[0] for node_ in found.nodes if node_.table == "ohlc_bars"]
    assert told == ["5m", "15m", "1h", "1d", "RTC 15m", "RTC 1h", "RTC 1d"]
