"""A payload is one statement: how it is cut decides nothing, and its prices pass the gate whole or by name."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import polars as pl
import pytest
from flow.faults import DA, FAULTS, csv, day_rows

from carbon254.app import Node
from carbon254.engine.codec import decode
from carbon254.engine.normaliser import CONSUMER
from carbon254.feeds.contract import Rows
from carbon254.ingest import Arrived

OUT = datetime(2025, 6, 30, 19, tzinfo=UTC)
PJM = "iso.rt.lmp.pjm"
PARTS = (
    "datetime_beginning_utc,datetime_beginning_ept,pnode_id,pnode_name,voltage,equipment,type,zone,"
    "system_energy_price_rt,total_lmp_rt,congestion_price_rt,marginal_loss_price_rt,row_is_current,version_nbr"
)


def cut(rows: int, node: Node, topic: str) -> None:
    """Let the parser of a feed yield so many rows at a time."""
    known = dict(node.pipeline.normaliser._sources)
    whole = known[topic].parse

    def parse(name: str, data: bytes) -> Iterator[Rows]:
        for part in whole(name, data):
            for piece in part.frame.iter_slices(rows):
                yield Rows(piece)
            yield Rows(part.frame.clear(), part.rejects)

    node.pipeline.normaliser._sources = {**known, topic: replace(known[topic], parse=parse)}


def said(node: Node, topic: str, data: bytes, name: str) -> dict[str, list[str]]:
    """Rows of a payload by the topic they go to, as text; nothing is written."""
    node.pipeline.inbox.accept(Arrived(topic, data, name, OUT, name))
    (record,) = [one for one in node.log.read(CONSUMER, "raw.", 64) if one.headers["name"] == name]
    found: dict[str, list[str]] = {}
    for batch in node.pipeline.normaliser.outcome(record).batches:
        table = pl.DataFrame(decode(batch.body)).with_columns(pl.col(pl.Categorical).cast(pl.String))
        found.setdefault(batch.topic.split(".")[0], []).extend(map(str, table.drop("batch_id", strict=False).rows()))
    return {name: sorted(rows) for name, rows in found.items()}


@pytest.mark.slow
@pytest.mark.parametrize("fault", [name for name in FAULTS if name not in ("truncated", "missing_nodes")])
def test_however_a_payload_is_cut_the_same_rows_are_held(node: Node, fault: str) -> None:
    rows = day_rows(date(2025, 7, 1))
    if fault == "wrong_sign":
        # Cents on most rows, four decimals on a few: the whole statement tells which step it is rounded to.
        rows = rows.with_columns(pl.col("energy", "congestion", "loss").round(2))
        rows = rows.with_columns((pl.col("energy") + pl.col("congestion") + pl.col("loss") + 0.01).alias("lmp"))
    data, known = csv(FAULTS[fault](rows).rows), node.pipeline.normaliser._sources
    expected = said(node, DA, data, "DA-LMP-SL-whole.csv")
    assert expected["held"] or fault == "wrong_sign"
    for size in (1, 7, 1000):
        node.pipeline.normaliser._sources = known
        cut(size, node, DA)
        again = said(node, DA, data, "DA-LMP-SL-whole.csv")
        assert again == expected, (fault, size)


def load_node(hours: int, wrong: dict[int, float] | None = None) -> bytes:
    """PJM's file of a load node: cents, padded to six decimals, each number rounded for itself."""
    import random

    chance, lines = random.Random(2018), [PARTS]
    start = datetime(2018, 1, 1, 5)
    for hour in range(hours):
        parts = [chance.uniform(12, 60), chance.gauss(0, 9), chance.gauss(0, 0.8)]
        total = round(sum(parts) + chance.uniform(-0.0049, 0.0049), 2) + (wrong or {}).get(hour, 0.0)
        energy, congestion, loss = (f"{round(part, 2):.6f}" for part in parts)
        at = start + timedelta(hours=hour)
        stamp = f"{at.month}/{at.day}/{at.year} {at:%I:%M:%S %p}"
        ept = at - timedelta(hours=5)
        local = f"{ept.month}/{ept.day}/{ept.year} {ept:%I:%M:%S %p}"
        lines.append(
            f"{stamp},{local},1258625176,PSEG 69 KV LOAD,69 KV,1,LOAD,PSEG,"
            f"{energy},{total:.6f},{congestion},{loss},True,1"
        )
    return ("\n".join(lines) + "\n").encode()


@pytest.mark.slow
def test_a_year_of_cents_padded_to_six_decimals_goes_out_whole(node: Node) -> None:
    name = "rt_hrl_lmps.csv"
    told = said(node, PJM, load_node(2_000), name)
    assert "held" not in told and len(told["rows"]) == 2_000
    wrong = said(node, PJM, load_node(2_000, {500: 0.05, 1_500: -3.0}), "rt_hrl_lmps_2.csv")
    assert len(wrong["rows"]) == 1_998
    assert all("identity" in row for row in wrong["held"]) and len({row[:60] for row in wrong["held"]}) == 2


@pytest.mark.slow
def test_a_day_that_a_long_file_brought_is_no_stale_day_when_it_comes_alone(node: Node) -> None:
    days = [day_rows(date(2025, 7, 1) + timedelta(days=number)) for number in range(3)]
    at = OUT + timedelta(days=5)
    node.clock.instant = at  # type: ignore[attr-defined]
    node.pipeline.inbox.accept(Arrived(DA, csv(pl.concat(days)), "DA-LMP-SL-three.csv", at, "three"))
    node.runner.drain()
    moved = days[2].with_columns(pl.col("lmp").alias("lmp")).reverse()
    node.pipeline.inbox.accept(Arrived(DA, csv(moved), "DA-LMP-SL-one.csv", at + timedelta(hours=1), "one"))
    node.runner.drain()
    assert node.hot.query("SELECT count() AS n FROM quarantine")["n"][0].as_py() == 0
    # Under another date they are stale all the same.
    old = days[1].with_columns(pl.col("end") + timedelta(days=4))
    node.pipeline.inbox.accept(Arrived(DA, csv(old), "DA-LMP-SL-old.csv", at + timedelta(hours=2), "old"))
    node.runner.drain()
    assert node.hot.query("SELECT DISTINCT check_id FROM quarantine")["check_id"].to_pylist() == ["stale"]
