"""`c254 calendar` answers in words and in parts, and says what to write where it cannot."""

from __future__ import annotations

import json

import pytest
from shell import c254, typed


def test_the_question_of_the_long_night() -> None:
    said = c254("calendar", "what is HE25 on 2025-11-02 at ERCOT in UTC?")
    assert said.code == 0
    assert "2025-11-03T05:00:00Z to 2025-11-03T06:00:00Z" in said.out
    assert "2025-11-02 23:00 CST" in said.out and "25th hour that passes" in said.out


@pytest.mark.parametrize(
    ("words", "start"),
    [
        (["HE25", "on", "2025-11-02", "at", "CAISO"], "2025-11-02T09:00:00Z"),
        (["02X on 11/02/2025 at ISO-NE"], "2025-11-02T06:00:00Z"),
        (["when does 01:05 EST on 2025-11-02 begin at nyiso"], "2025-11-02T06:05:00Z"),
        (["EIA-930 HE 1 2025-07-01"], "2025-07-01T04:00:00Z"),
    ],
)
def test_any_words(words: list[str], start: str) -> None:
    said = typed("calendar", *words, "--json")
    assert (said.code, json.loads(said.out)["start"]) == (0, start)


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["HE2 on 2025-11-02 at PJM"], "comes twice"),
        (["HE3 on 2026-03-08 at PJM"], "does not exist"),
        (["HE3 at PJM"], "names no day"),
        (["HE3 on 2026-03-08"], "names no market"),
        (["what time is it"], "no day and no label and no market"),
        (["utc", "PJN", "2025-07-01", "HE1"], "did you mean PJM"),
        (["utc", "PJM", "2025-07-01", "HE1", "-r", "7m"], "5m, 15m, 30m, 1h"),
        (["changes", "PJM", "--year", "99999"], "out of range"),
        (["day", "PJM", "tomorrow"], "not a market day"),
        (["label", "PJM", "soon"], "not a time"),
    ],
)
def test_what_cannot_be_answered_ends_with_two_and_one_line(words: list[str], reason: str) -> None:
    said = typed("calendar", *words)
    assert said.code == 2 and said.out == ""
    assert reason in said.words


def test_days_changes_labels_and_conventions() -> None:
    day = json.loads(typed("calendar", "day", "SPP", "2026-03-08", "--json").out)
    assert (day["hours"], day["intervals"]["5m"], day["changes"]) == (23.0, 276, ["2026-03-08T08:00:00Z"])
    assert "01:00 to 02:00 comes twice" in typed("calendar", "day", "CAISO", "2025-11-02").out
    changes = json.loads(typed("calendar", "changes", "CAISO", "--year", "2025", "--years", "2", "--json").out)
    assert [change["to"] for change in changes] == ["PDT", "PST", "PDT", "PST"]
    none = typed("calendar", "changes", "MISO", "--year", "2025")
    assert none.code == 0 and "does not change" in none.words
    labels = json.loads(typed("calendar", "label", "ISONE", "2025-11-02T06:00Z", "--json").out)
    assert "2025-11-02 HE02X" in [label["label"] for label in labels]
    listed = json.loads(typed("calendar", "conventions", "--json").out)
    assert {how["market"] for how in listed} >= {"AEMO", "IESO", "EIA-930"}
    assert "ercot.he25" in typed("calendar", "conventions", "ercot").out


def test_help_shows_an_example() -> None:
    assert "HE25 on 2025-11-02 at ERCOT" in " ".join(typed("calendar", "--help").out.split())


def test_holidays_blocks_gas_days_contracts_and_strips() -> None:
    kept = json.loads(typed("calendar", "holidays", "2026", "--json").out)
    assert [one["day"] for one in kept][2] == "2026-07-04" and len(kept) == 6
    assert "Good Friday" in typed("calendar", "holidays", "2026", "-c", "NYMEX").out
    hours = {
        one["block"]: one["hours"]
        for one in json.loads(typed("calendar", "blocks", "pjm", "--year", "2026", "--json").out)
    }
    assert (hours["5x16"], hours["7x24"], hours["5x16"] + hours["2x16"] + hours["7x8"]) == (4096, 8760, 8760)
    inside = json.loads(typed("calendar", "blocks", "ERCOT", "--at", "2026-07-06T18:00Z", "--json").out)
    assert {one["block"] for one in inside if one["in it"]} >= {"peak", "5x16"}
    gas = json.loads(typed("calendar", "gas", "2026-03-07", "--json").out)
    assert (gas["hours"], gas["2026-03-07 ends"]) == (23.0, "2026-03-08T14:00:00Z")
    assert json.loads(typed("calendar", "contract", "CLZ25", "--json").out)
    assert "2025-11-20" in typed("calendar", "contract", "CLZ25").out
    assert json.loads(typed("calendar", "strip", "Q1-26", "ERCOT", "--json").out)["5x16"] == 1008.0
    assert "days" in typed("calendar", "strip", "BalMo", "PJM", "--reference", "2026-02-10").out


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["blocks", "NOWHERE"], "known: PJM"),
        (["holidays", "2026", "-c", "MARS"], "known"),
        (["contract", "XX25"], "known: CL"),
        (["strip", "Q9-26"], "Q1-26"),
        (["gas", "someday"], "not a time"),
        (["holidays", "1"], "four figures"),
    ],
)
def test_unknown_products_are_told_with_what_is_known(words: list[str], reason: str) -> None:
    said = typed("calendar", *words)
    assert said.code == 2 and reason in said.words
