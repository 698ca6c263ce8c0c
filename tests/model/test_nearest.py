"""Finding a name among known ones: in any case, and the nearest where it is none."""

from __future__ import annotations

import pytest

from carbon254.errors import UnknownFeed, UnknownName
from carbon254.nearest import nearest, pick, unknown

MARKETS = ["CAISO", "ERCOT", "ISONE", "MISO", "NYISO", "PJM", "SPP"]
NODES = [
    f"{zone}.{number} KV {line}" for zone in ("AEP", "DOM", "PEPCO") for number in range(70) for line in range(250)
]


def test_a_known_name_is_taken_in_any_case_and_its_own_spelling_goes_first() -> None:
    assert [pick("market", name, MARKETS) for name in ("PJM", "pjm", " Pjm ")] == ["PJM"] * 3
    assert pick("place", "Hub", ["HUB", "Hub", "hub"]) == "Hub"


@pytest.mark.parametrize(
    ("wrong", "near"), [("PJMM", "PJM"), ("PMJ", "PJM"), ("NYSIO", "NYISO"), ("erc", "ERCOT"), ("ISO-NE", "ISONE")]
)
def test_a_typo_comes_with_the_nearest_name(wrong: str, near: str) -> None:
    assert nearest(wrong, MARKETS)[0] == near
    with pytest.raises(UnknownName, match=f"no market '{wrong}'; nearest: {near}"):
        pick("market", wrong, MARKETS)


@pytest.mark.parametrize("wrong", ["", "x" * 100_000, "'; DROP TABLE x", "日本", None, 7, ["PJM"]])
def test_what_resembles_nothing_is_refused_all_the_same(wrong: object) -> None:
    with pytest.raises(UnknownFeed, match="there are: CAISO") as refused:
        pick("feed", wrong, MARKETS, UnknownFeed)
    assert len(str(refused.value)) < 300


def test_among_very_many_names_the_nearest_is_found_too() -> None:
    assert len(NODES) > 50_000
    for wrong, near in (
        ("DOM.35 VK 107", "DOM.35 KV 107"),
        ("pepco.12kv 9", "PEPCO.12 KV 9"),
        ("AEP.7 K 77", "AEP.7 KV 77"),
    ):
        assert near in nearest(wrong, NODES), wrong
    assert nearest("WESTRN HUB", [*NODES, "WESTERN HUB"]) == ["WESTERN HUB"]
    assert nearest("§", NODES) == []


def test_few_names_are_listed_and_many_are_counted() -> None:
    assert unknown("run", "DA", []).endswith("none is known here yet")
    assert "and 12 more" in unknown("place", "zzzzzz", [f"P{number}" for number in range(24)])
    assert "there are" not in unknown("place", "zzzzzz", NODES, "see c254 places list")
