"""An emulator for the tests of one module."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from asking import Desk

from carbon254.emulator import Emulator, running


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    with running(seed=7) as found:
        yield found


@pytest.fixture(scope="module")
def desk(emulator: Emulator) -> Desk:
    return Desk(emulator)
