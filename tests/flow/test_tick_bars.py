"""Bars of ticks: of one tenant and one source, opened by the first tick and closed by the last, however they came."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import polars as pl
import pytest
from flow.conftest import NOW
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from carbon254.api import queries
from carbon254.api.known import Known
from carbon254.api.queries import BarsAsked
from carbon254.app import Node, open_node
from carbon254.clock import ManualClock
from carbon254.engine.rebuilder import How
from carbon254.ingest import Arrived
from carbon254.settings import Settings

pytestmark = pytest.mark.slow

Bring = Callable[..., bool]
AT = datetime(2025, 7, 1, 12, 0, 1, tzinfo=UTC)
SPAN = AT.replace(hour=0, second=0), AT.replace(hour=0, second=0) + timedelta(days=1)
_SHOWN = ("tenant", "source", "location", "width", "bar_start", "open", "high", "low", "close", "volume", "count")


def tick(price: float, **more: Any) -> dict[str, Any]:
    return {"instrument": "NG", "time": AT.isoformat().replace("+00:00", "Z"), "price": price, "quantity": 1.0} | more


def payload(ticks: Sequence[dict[str, Any]]) -> bytes:
    return b"\n".join(orjson.dumps(one) for one in ticks)


def stored(node: Node, width: str) -> list[tuple[Any, ...]]:
    sql = f"SELECT {', '.join(_SHOWN)} FROM ohlc_bars WHERE width = '{width}'"
    return sorted(pl.DataFrame(node.hot.fetch(sql)).with_columns(pl.col(pl.Categorical).cast(pl.String)).iter_rows())


def as_known(node: Node, width: str, known: Known) -> list[tuple[Any, ...]]:
    found = pl.DataFrame(node.hot.query(queries.bars(BarsAsked(["NG"], width, *SPAN), known)))
    return sorted(found.select(_SHOWN).with_columns(pl.col(pl.Categorical).cast(pl.String)).iter_rows())


def rebuilt(node: Node) -> None:
    node.pipeline.replay("market.ticks", *SPAN, node.clock.now(), how=How())


def test_bars_of_two_tenants_and_two_sources_are_not_mixed(node: Node, bring: Bring) -> None:
    owners = [("acme", "ice"), ("acme", "cme"), ("zenith", "ice")]
    ticks = [
        tick(10.0 * at + number, tenant=tenant, source=source, sequence=number)
        for at, (tenant, source) in enumerate(owners, 1)
        for number in (1, 2)
    ]
    bring("market.ticks", payload(ticks), "t.ndjson")
    for width in ("1m", "5m", "1h", "1d"):
        found = [(row[0], row[1], row[5], row[8], row[-1]) for row in stored(node, width)]
        assert found == [("acme", "cme", 21, 22, 2), ("acme", "ice", 11, 12, 2), ("zenith", "ice", 31, 32, 2)], width
        assert as_known(node, width, Known(as_of=NOW + timedelta(days=1))) == stored(node, width)
    sql = queries.bars(BarsAsked(["NG"], "1h", *SPAN, tenant="acme", source="ice"))
    assert [(row["tenant"], row["source"], row["close"]) for row in node.hot.query(sql).to_pylist()] == [
        ("acme", "ice", 12.0)
    ]
    asked = BarsAsked(["NG"], "1h", *SPAN, tenant="acme", source="ice")
    later = node.hot.query(queries.bars(asked, Known(as_of=NOW + timedelta(days=1))))
    assert later["close"].to_pylist() == [12.0]


def test_ticks_of_one_instant_are_ordered_by_their_number_and_not_by_its_text(node: Node, bring: Bring) -> None:
    numbered = [tick(float(number), sequence=number) for number in (10, 9, 100)]
    told = [tick(float(number), event_id=f"seq:{number}", source="ids") for number in (10, 9, 100)]
    bring("market.ticks", payload([*numbered, *told]), "t.ndjson")
    assert [(row[1], row[5], row[8]) for row in stored(node, "1m")] == [("ids", 9.0, 100.0), ("push", 9.0, 100.0)]


def test_ticks_without_a_number_are_ordered_by_arrival(node: Node, bring: Bring) -> None:
    bring("market.ticks", payload([tick(1.0, event_id="zz"), tick(2.0, event_id="mm")]), "first.ndjson", NOW)
    soon, later = NOW + timedelta(seconds=1), NOW + timedelta(seconds=2)
    bring("market.ticks", payload([tick(3.0, event_id="aa")]), "second.ndjson", soon)
    bring("market.ticks", payload([tick(4.0, event_id="bb"), tick(5.0, event_id="ab")]), "third.ndjson", later)
    assert [(row[5], row[8]) for row in stored(node, "1m")] == [(1.0, 5.0)]
    assert [(row[5], row[8]) for row in as_known(node, "1m", Known(as_of=soon))] == [(1.0, 3.0)]


def test_the_newest_tick_is_the_one_that_closes_the_bar(node: Node, bring: Bring) -> None:
    for number in range(12):
        at = NOW + timedelta(milliseconds=number)
        bring("market.ticks", payload([tick(float(number), event_id=f"e{99 - number}")]), f"{number}.ndjson", at)
    ids = [tick(9.0, event_id="seq:9", source="ids"), tick(8.0, event_id="8", source="ids")]
    bring("market.ticks", payload(ids), "ids.ndjson")
    close = {row[1]: row[8] for row in stored(node, "1m")}
    assert close == {"ids": 9.0, "push": 11.0}
    cached = node.cache.get_ticks()
    assert cached is not None and dict(cached.select("source", "price").iter_rows()) == close
    fetched = pl.DataFrame(node.hot.fetch(queries.newest_ticks()))
    assert dict(fetched.select(pl.col("source").cast(pl.String), "price").iter_rows()) == close


_ticks = st.lists(
    st.fixed_dictionaries(
        {
            "price": st.sampled_from([1.0, 2.0, 3.0, -4.0]),
            "tenant": st.sampled_from(["acme", "zenith"]),
            "source": st.sampled_from(["ice", "cme"]),
            "second": st.integers(0, 2),
            "number": st.none() | st.integers(8, 11),
        }
    ),
    min_size=1,
    max_size=12,
)


@settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(drawn=_ticks, seed=st.integers(0, 1000))
def test_bars_made_one_by_one_rebuilt_and_as_known_are_the_same(
    tmp_path_factory: pytest.TempPathFactory, drawn: list[dict[str, Any]], seed: int
) -> None:
    chance, seen = random.Random(seed), set()
    made: list[dict[str, Any]] = []
    for at, one in enumerate(drawn):
        key = one["tenant"], one["source"], one["second"], one["number"]
        if one["number"] is not None and key in seen:
            continue  # a message sent twice is stored once
        seen.add(key)
        name = {"sequence": one["number"]} if one["number"] is not None else {"event_id": f"e{chance.random()}{at}"}
        when = (AT + timedelta(seconds=one["second"])).isoformat().replace("+00:00", "Z")
        made.append(tick(one["price"], tenant=one["tenant"], source=one["source"], **name) | {"time": when})
    chance.shuffle(made)
    with open_node(Settings(workspace=tmp_path_factory.mktemp("ws") / "w"), {}, ManualClock(NOW)) as node:
        while made:
            some, made = made[: (cut := chance.randint(1, len(made)))], made[cut:]
            arrived = Arrived("market.ticks", payload(some), f"{len(made)}.ndjson", NOW, "")
            node.pipeline.inbox.accept(arrived)
            node.runner.drain()
        before = {width: stored(node, width) for width in ("1m", "1h", "1d")}
        for width, bars in before.items():
            assert as_known(node, width, Known(as_of=NOW)) == bars
        rebuilt(node)
        assert {width: stored(node, width) for width in before} == before
        total = sum(row[-1] for row in before["1d"])
        assert total == node.hot.count("market_ticks")
