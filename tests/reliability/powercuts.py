"""Cuts the power at every sync and acknowledgement of a traced process, and judges every tree that may be left."""

from __future__ import annotations

import random
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from .disk import DIED, VARIANTS
from .powerwork import judged
from .syscalls import ACK, SYNC, Replay, run_module, traced

# Kinds whose judge takes seconds: cut only where a number was acknowledged, and only what was synced is left.
SLOW = ("hot", "history")


@dataclass
class Cuts:
    """What came of it."""

    states: int = 0
    syncs: int = 0
    acknowledged: int = 0
    failed: int = 0
    wrong: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)


def cut(
    kind: str,
    folder: Path,
    many: int,
    seed: int,
    mutant: str = "",
    share: float = 1.0,
    inject: Sequence[str] = (),
    stop_at_first: bool = False,
) -> Cuts:
    """Work on a store under strace and cut the power at a `share` of the moments, in every variant."""
    live, acks, trace = folder / "live", folder / "acks", folder / "trace"
    live.mkdir(parents=True)
    arguments = ["reliability.powerwork", kind, str(live), str(acks), str(many)]
    done = traced(arguments, trace, [part for one in inject for part in ("-e", one)], {"C254_MUTANT": mutant})
    assert done.returncode == 0, f"{kind} ended with {done.returncode}: {done.stderr[-2_000:]}"
    found, chance, replay = Cuts(), random.Random(seed), Replay(live, acks)
    for event in replay.events(trace):
        found.syncs += event == SYNC
        for variant in _variants(kind, event, replay.said) if chance.random() <= share else ():
            _judge(kind, live, replay, variant, chance, found)
        if found.wrong and stop_at_first:
            break
    for variant in () if found.wrong or kind in SLOW else (*VARIANTS, DIED):
        _judge(kind, live, replay, variant, chance, found)
    found.said = replay.said
    found.acknowledged, found.failed = (sum(one.startswith(word) for one in found.said) for word in ("done", "failed"))
    shutil.rmtree(folder)
    return found


def _variants(kind: str, event: str, said: Sequence[str]) -> Sequence[str]:
    if kind not in SLOW:
        return VARIANTS
    return VARIANTS[:1] if event == ACK and said[-1].startswith("done") else ()


def _judge(kind: str, live: Path, replay: Replay, variant: str, chance: random.Random, found: Cuts) -> None:
    shutil.rmtree(live)
    replay.disk.crash(live, variant, chance)
    found.states += 1
    judge = _judge_apart if kind in SLOW else judged
    if what := judge(kind, live, replay.said):
        found.wrong.append(f"{variant}, after {replay.said[-1:]}: {what.replace(str(live), '…')}")


def _judge_apart(kind: str, folder: Path, said: Sequence[str]) -> str:
    """By a process of its own: a process opens one folder of the hot store in its life."""
    found = run_module(["reliability.powerwork", "judge", kind, str(folder), *said])
    assert found.returncode == 0, found.stderr[-2_000:]
    return found.stdout
