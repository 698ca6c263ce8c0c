"""Typed as a new user would: replay with proof, a receipt kept and verified, the ledger asked on each backend."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from shell import RT, clean, spp_file, typed

pytestmark = pytest.mark.slow

NAME = "RTBM-LMP-SL-202507010705.csv"
ASKED = "SELECT location, lmp FROM current_prices ORDER BY location"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("proving")
    said = typed("feeds", "run", "--feed", RT, "--file", spp_file(folder / NAME), "-w", folder / "ws", "--json")
    assert said.code == 0, said
    return folder / "ws"


def test_a_replay_proves_that_nothing_changed(made: Path) -> None:
    told = []
    for workers in (1, 4):
        said = typed("feeds", "replay", "--feed", RT, "--partition", "2025-07-01", "--prove", "--workers", workers,
                     "--why", "a drill", "-w", made, "--json")  # fmt: skip
        assert said.code == 0, said
        told.append(json.loads(said.out))
    assert told[0]["equal"] and told[0]["before"] == told[0]["after"] == told[1]["after"]
    assert [(one["feed"], one["partition"], one["rows"]) for one in told[0]["partitions"]] == [(RT, "2025-07-01", 10)]
    said = typed("feeds", "replay", "--feed", RT, "--from", "2025-07-01", "--to", "2025-07-02", "--prove", "-w", made)
    assert "root before" in said.out and told[0]["after"] in said.out
    assert "exactly what was stored" in said.words
    acts = json.loads(typed("feeds", "history", "--feed", RT, "--partition", "2025-07-01", "-w", made, "--json").out)
    assert {act["why"] for act in acts if act["what"] == "replay"} == {"a drill", ""}


def test_a_receipt_is_kept_verified_and_fails_when_a_value_changed(made: Path, tmp_path: Path) -> None:
    path = tmp_path / "answer.json"
    said = typed("sql", ASKED, "--receipt", path, "-w", made)
    assert said.code == 0 and "10 rows, known at" in said.words
    corrected = spp_file(tmp_path / NAME, {3: "99.5"})
    assert typed("feeds", "run", "--feed", RT, "--file", corrected, "-w", made, "--json").code == 0
    said = typed("verify", "--receipt", path, "-w", made)
    assert said.code == 0 and said.out.startswith("equal: 10 rows as known at"), said
    assert json.loads(typed("verify", "--receipt", path, "-w", made, "--json").out)["equal"] is True
    path.write_text(path.read_text().replace('"count": 10', '"count": 9'))
    clean(typed("verify", "--receipt", path, "-w", made), 1, "the receipt itself was changed")


def test_the_ledger_is_asked_on_each_backend(made: Path) -> None:
    listed = ("feeds", "list", "--state", "completed", "--limit", "1", "-w", made, "--json")
    rows = json.loads(typed(*listed, "--backend", "sqlite").out)
    assert [(row["feed"], row["partition"]) for row in rows] == [(RT, "2025-07-01")]
    clean(typed(*listed, "--backend", "postgres"), 2, "C254_LEDGER_URL=postgresql://")
    clean(typed(*listed, "--backend", "oracle"), 2, "sqlite, postgres, clickhouse")
    assert json.loads(typed(*listed, "--backend", "clickhouse").out) == []
    assert typed("verify", "-w", made, C254_LEDGER_HISTORY="clickhouse").code == 0
    rows = json.loads(typed(*listed, "--backend", "clickhouse").out)
    assert [(row["feed"], row["state"]) for row in rows] == [(RT, "completed")]
    clean(typed(*listed, C254_LEDGER_URL="https://user@host:8443"), 1, "C254_LEDGER_HISTORY=clickhouse")


def test_status_tells_expected_against_received(made: Path) -> None:
    (row,) = json.loads(typed("feeds", "status", "--feed", RT, "-w", made, "--json").out)
    assert (row["intervals"], row["due"], row["received"], row["places"]) == (288, 288, 1, 10)
    assert row["complete"] == "0.35 %"
    mark = json.loads(typed("feeds", "watermark", "--feed", RT, "-w", made, "--json").out)
    assert mark["watermark"] == "2025-07-01T12:05:00Z"


def test_a_missing_payload_is_named_with_the_command_that_fetches_it(made: Path) -> None:
    payloads = sorted((made / "raw").glob("*/*.zst"))
    kept = payloads[0].read_bytes()
    payloads[0].unlink()
    try:
        said = typed("feeds", "replay", "--feed", RT, "--partition", "2025-07-01", "--prove", "-w", made)
        clean(said, 1, RT, "2025-07-01", "is missing", f"c254 feeds run --feed {RT} --from 2025-07-01", "--afresh")
        clean(typed("verify", "-w", made), 1, f"raw: {RT} 2025-07-01", "is missing from the raw archive")
    finally:
        payloads[0].write_bytes(kept)
    assert typed("verify", "-w", made).code == 0
