"""What every suite shares: where the recorded provider answers are, when they are there."""

from __future__ import annotations

from pathlib import Path

import pytest
from guardian import guard

guard()
pytest_plugins = ["servers.plugin"]

RECORDED = Path(__file__).parents[1].parent / "shared" / "recorded"


@pytest.fixture(scope="session")
def recorded() -> Path:
    """The folder of recorded answers; the test is skipped, visibly, where it is absent."""
    if not RECORDED.exists():
        pytest.skip("../shared/recorded is absent")
    return RECORDED
