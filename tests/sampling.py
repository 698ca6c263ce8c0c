"""Which tests a run takes, and which worker runs them.

Of a sweep `make test` runs a sample: with `@pytest.mark.sampled(6)` six of a test's cases, others every day.
The rest are marked slow, so that `make test-wide` runs exactly what `make test` left out on the same day.
`C254_SAMPLE` chooses; without it the date does, and every run names it in its first lines.
"""

from __future__ import annotations

import os
import random
from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime

import pytest

CHOOSES = "C254_SAMPLE"


def chosen_by() -> str:
    """What chooses the samples of this run; the workers of a run inherit it."""
    return os.environ.setdefault(CHOOSES, datetime.now(UTC).date().isoformat())


def leave_out(items: Sequence[pytest.Item]) -> None:
    """Mark the cases of sampled tests that are not in the sample as slow."""
    cases: dict[str, list[pytest.Item]] = defaultdict(list)
    for item in items:
        if item.get_closest_marker("sampled"):
            cases[item.nodeid.split("[")[0]].append(item)
    for name, found in cases.items():
        (many,) = found[0].get_closest_marker("sampled").args
        left = sorted(found, key=lambda item: item.nodeid)
        for item in random.Random(f"{chosen_by()} {name}").sample(left, max(0, len(left) - many)):
            item.add_marker(pytest.mark.slow)


def keep_together(items: Sequence[pytest.Item]) -> None:
    """Let one worker run all tests that share a fixture of their module: a second one would make it again."""
    for item in items:
        found = getattr(item, "_fixtureinfo", None)
        shared = found and any(one[-1].scope == "module" for one in found.name2fixturedefs.values())
        if shared and not item.get_closest_marker("xdist_group"):
            item.add_marker(pytest.mark.xdist_group(item.nodeid.split("::")[0]))
