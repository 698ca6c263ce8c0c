"""The kernel refuses: EIO, ENOSPC and EMFILE put in the way of one system call after another, by strace.

Each run is replayed on the disk that drops for good what a failed sync should have kept, so that an acknowledgement
given after a second, easier sync is found out. Errors must be the stores' own; the next number must work again.
"""

from __future__ import annotations

import random
from collections import defaultdict
from pathlib import Path

import pytest

from .powercuts import cut
from .syscalls import calls, need_strace, traced
from .tiers import figure, seed_for, tally

ERRORS = {
    "fsync": ("EIO", "ENOSPC"), "fdatasync": ("EIO", "ENOSPC"), "write": ("EIO", "ENOSPC", "EINTR"),
    "pwrite64": ("EIO", "ENOSPC", "EINTR"), "rename": ("EIO", "ENOSPC"), "openat": ("EMFILE", "EIO"),
    "ftruncate": ("EIO",), "mkdir": ("ENOSPC",), "unlink": ("EIO",),
}  # fmt: skip
MANY = 4
KINDS = ("raw", "log", "ledger")


def reachable(kind: str, folder: Path) -> dict[str, list[int]]:
    """Call → which of the process's calls of that name touch the store once it is open."""
    live, acks, trace = folder / "live", folder / "acks", folder / "trace"
    live.mkdir(parents=True)
    done = traced(["reliability.powerwork", kind, str(live), str(acks), str(MANY)], trace)
    assert done.returncode == 0, done.stderr[-2_000:]
    seen, found, opened = defaultdict[str, int](int), defaultdict[str, list[int]](list), False
    for call in calls(trace):
        seen[call.name] += 1
        if call.name == "writev" and call.path == str(acks):
            opened = opened or b"opened" in call.strings[0]
        elif opened and (call.path.startswith(str(live)) or any(s.startswith(bytes(live)) for s in call.strings)):
            found[call.name].append(seen[call.name])
    return {name: found[name] for name in ERRORS if found[name]}


def _until(error: str, at: int) -> str:
    """How long a lasting error goes on. A call that is for ever interrupted is no fault that a kernel has."""
    return f"..{at + 4}" if error == "EINTR" else "+"


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_a_refused_call_is_an_error_and_never_a_false_acknowledgement(kind: str, tmp_path: Path) -> None:
    need_strace()
    seed = seed_for(f"I/O errors of {kind}")
    chance = random.Random(seed)
    with tally(4, f"I/O errors of the {kind} store", seed) as done:
        places = reachable(kind, tmp_path / "calm")
        assert places.keys() & {"fsync", "fdatasync"} and places.keys() & {"write", "pwrite64"}
        for turn in range(figure(6, 200)):
            # Syncs first: what comes after a failed one is what goes wrong in practice.
            name = chance.choice([one for one in places if "sync" in one] if turn < 3 else list(places))
            error, at = chance.choice(ERRORS[name]), chance.choice(places[name])
            lasting = turn % 5 == 4
            inject = f"inject={name}:error={error}:when={at}{_until(error, at) if lasting else ''}"
            found = cut(kind, tmp_path / f"{turn}", MANY, seed + turn, share=figure(5, 10) / 100, inject=[inject])
            assert found.wrong == [], inject
            told = [one for one in found.said if one.startswith("failed")]
            if not lasting:
                assert f"done {MANY - 1}" in found.said or any(one.endswith("OSError") for one in told), inject
            done.add(injected=1, failed=len(told), acknowledged=found.acknowledged, states=found.states)
        assert done.counts["failed"] > 0


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["ledger", "reference", "lake"])
def test_a_commit_that_failed_last_is_on_disk_before_the_next_is_told(kind: str, tmp_path: Path) -> None:
    """The last sync of a commit fails, the commit is there to be read, and the next try finds its work done."""
    need_strace()
    with tally(4, f"the last sync of a commit of the {kind} store") as done:
        places = reachable(kind, tmp_path / "calm")
        for at in places["fdatasync"][-figure(1 if kind == "lake" else 2, 40) :]:
            inject = f"inject=fdatasync:error=ENOSPC:when={at}"
            found = cut(kind, tmp_path / str(at), MANY, at, share=0.0, inject=[inject])
            assert found.wrong == [], inject
            done.add(injected=1, states=found.states, acknowledged=found.acknowledged)
