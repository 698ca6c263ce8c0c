"""Two that carry rows to the lake at once: each row is there once, whoever was first."""

from __future__ import annotations

import pytest
from flow.conftest import NOW, spp

from carbon254 import faults
from carbon254.app import Node
from carbon254.ingest import Arrived


@pytest.mark.slow
def test_rows_that_another_carried_meanwhile_are_not_stored_again(node: Node) -> None:
    for at in range(5, 30, 5):
        data = spp({"A": float(at), "B": 1.0}, f"07/01/2025 12:{at:02}:00")
        assert node.pipeline.inbox.accept(Arrived("iso.rt.lmp.spp", data, f"{at}.csv", NOW, ""))
    while node.pipeline.normaliser.step():
        pass
    keeper, others = node.pipeline.lakekeeper, iter((2, 1))

    def another_comes(place: str) -> None:
        # Each time the rows to store were chosen, another stores the first of them before this one does.
        if place == "lake.asked" and (many := next(others, 0)):
            with faults.armed(lambda _: None):
                assert keeper.step(many) == many

    with faults.armed(another_comes):
        keeper.step()
    rows = node.lake.scan("interval_prices", columns=("location_id", "interval_start", "lmp")).to_pylist()
    assert len(rows) == 10 and len({(row["location_id"], row["interval_start"]) for row in rows}) == 10
    assert next(others, 0) == 0 and keeper.step() == 0
