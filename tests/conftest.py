"""What every suite shares: where the recorded provider answers are, when they are there."""

from __future__ import annotations

from pathlib import Path

import pytest
from guardian import guard
from sampling import chosen_by, leave_out

guard()
pytest_plugins = ["servers.plugin"]

RECORDED = Path(__file__).parents[1].parent / "shared" / "recorded"


@pytest.fixture(scope="session")
def recorded() -> Path:
    """The folder of recorded answers; the test is skipped, visibly, where it is absent."""
    if not RECORDED.exists():
        pytest.skip("../shared/recorded is absent")
    return RECORDED


def pytest_report_header() -> str:
    return f"sweeps are sampled by C254_SAMPLE={chosen_by()}"


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    leave_out(items)
