"""How much is asked of each test: P in `make test`, N in `make test-reliability`; seeds; counts for the report.

`C254_TIER=N` chooses the long figures, and `C254_MINUTES` takes as large a share of them as those minutes are of the
hours that all of it takes. `C254_SEED` replays; `C254_TALLY` names a file that gets a JSON line a test.
"""

from __future__ import annotations

import json
import os
import random
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

TIER = os.environ.get("C254_TIER", "P")
_WHOLE_MINUTES = 180.0
SHARE = min(1.0, float(os.environ.get("C254_MINUTES") or _WHOLE_MINUTES) / _WHOLE_MINUTES)


def figure(short: int, long: int) -> int:
    """How many: `short` in tier P, `long` (or a share of it, and no less than `short`) in tier N."""
    return max(short, int(long * SHARE)) if TIER == "N" else short


def seed_for(test: str) -> int:
    """The seed of this run, printed; `C254_SEED` replays one."""
    chosen = int(os.environ.get("C254_SEED") or random.SystemRandom().randrange(1 << 30))
    sys.stdout.write(f"{test}: C254_SEED={chosen}\n")
    return chosen


@dataclass
class Tally:
    """What one test did: written once it has passed, and with its failure where it has not."""

    number: int
    test: str
    seed: int | None = None
    counts: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def add(self, **counts: int) -> None:
        """Count."""
        for name, more in counts.items():
            self.counts[name] = self.counts.get(name, 0) + more


@contextmanager
def tally(number: int, test: str, seed: int | None = None) -> Iterator[Tally]:
    """A tally that is written when the block ends, however it ends."""
    found, began, failure = Tally(number, test, seed), time.monotonic(), ""
    try:
        yield found
    except BaseException as error:
        failure = f"{type(error).__name__}: {error}"[:300]
        raise
    finally:
        line = {
            "number": number, "test": test, "tier": TIER, "seed": seed, "counts": found.counts, "notes": found.notes,
            "share": SHARE if TIER == "N" else 1.0, "failure": failure, "seconds": round(time.monotonic() - began, 1),
        }  # fmt: skip
        sys.stdout.write(json.dumps(line) + "\n")
        if target := os.environ.get("C254_TALLY"):
            with Path(target).open("a") as out:
                out.write(json.dumps(line) + "\n")
