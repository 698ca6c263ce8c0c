"""Power cuts: whatever the disk had not been told to keep may be gone, torn or there.

The log runs on an apsw VFS that keeps only synced bytes. Every other store runs as a process of its own under strace,
and its system calls are done again on a model of a disk. Each of our syncs is then taken away in turn: the cuts must
notice.
"""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import pytest

from .mutants import Site, sites
from .powercuts import SLOW, cut
from .syscalls import need_strace, run_module
from .tiers import TIER, figure, seed_for, tally

ROUNDS = {"raw": (6, 60), "log": (6, 40), "ledger": (5, 40), "metrics": (4, 30), "reference": (3, 20), "lake": (2, 8),
          "workspace": (4, 40), "hot": (1, 8), "history": (1, 8)}  # fmt: skip
# A clone of the lake or the reference store takes long to judge: so large a share of the moments is cut.
SHARE = {"lake": figure(20, 100) / 100, "reference": figure(25, 100) / 100, "metrics": figure(50, 100) / 100}


def power_log(folder: Path, seed: int, many: int, mutant: str = "") -> dict[str, object]:
    """The tearing VFS is the default one of its process, so it gets a process."""
    done = run_module(["reliability.powerlog", str(folder), str(seed), str(many)], environment={"C254_MUTANT": mutant})
    assert done.returncode == 0, done.stderr[-2_000:]
    return json.loads(done.stdout)


@pytest.mark.slow
def test_the_log_survives_a_power_cut_at_every_sync(tmp_path: Path) -> None:
    seed = seed_for("power cuts of the log")
    with tally(3, "power cuts of the log (apsw VFS)", seed) as done:
        for turn in range(figure(2, 60)):
            found = power_log(tmp_path / f"{turn}", seed + turn, 40)
            assert found["wrong"] == []
            done.add(states=int(str(found["states"])), transactions=40)
        assert done.counts["states"] >= 400


@pytest.mark.slow
@pytest.mark.parametrize("kind", ROUNDS)
def test_a_store_survives_a_power_cut_at_every_sync(kind: str, tmp_path: Path) -> None:
    need_strace()
    seed = seed_for(f"power cuts of {kind}")
    with tally(3, f"power cuts of the {kind} store (system calls)", seed) as done:
        found = cut(kind, tmp_path / "cuts", figure(*ROUNDS[kind]), seed, share=SHARE.get(kind, 1.0))
        assert found.wrong == []
        assert (found.acknowledged, found.failed) == (figure(*ROUNDS[kind]), 0)
        assert found.states >= (1 if kind in SLOW else 15)
        done.add(states=found.states, acknowledged=found.acknowledged)


# File with syncs of ours → the kind of store whose cuts miss them.
WORKS = {
    "stores/raw/archive.py": "raw", "lasting.py": "workspace", "workspace.py": "workspace",
    "stores/log/connections.py": "log", "stores/commits.py": "ledger", "stores/metrics/metrics.py": "metrics",
    "stores/lake/lasting.py": "lake", "stores/hot/handles.py": "hot", "stores/hot/ddl.py": "hot",
    "stores/ledger/clickhouse.py": "history", "stores/hot/clickhouse.py": "hot", "stores/ledger/tables.py": "ledger",
    "stores/reference/database.py": "reference", "stores/lake/opening.py": "lake",
    "stores/decisions/folder.py": "decisions",
}  # fmt: skip


def test_every_sync_has_a_store_whose_cuts_would_miss_it() -> None:
    assert {site.file for site in sites()} == WORKS.keys()


def chosen() -> list[Site]:
    """All in tier N; in tier P those of the stores that are judged fast, and one of the others by the day."""
    found = sites()
    if TIER == "N":
        return found
    slow = [site for site in found if WORKS.get(site.file) in ("hot", "history", "lake", "reference", "metrics")]
    fast = [site for site in found if site not in slow]
    return [*fast, slow[date.today().toordinal() % len(slow)]]


@pytest.mark.sampled(2)
@pytest.mark.parametrize("site", chosen(), ids=lambda site: site.name)
def test_without_a_sync_of_ours_a_power_cut_shows(site: Site, tmp_path: Path) -> None:
    need_strace()
    seed = seed_for(site.name)
    with tally(3, f"without {site.name} ({site.text})", seed) as done:
        done.add(mutants=1, caught=0)
        found = cut(WORKS[site.file], tmp_path / "cuts", 3, seed, mutant=site.name, stop_at_first=True)
        assert found.wrong, f"{site.text} (line {site.line}) was taken away, and no cut of {found.states} missed it"
        done.add(caught=1)
        done.notes.append(found.wrong[0][:160])
