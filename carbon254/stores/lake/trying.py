"""A commit that another writer's came before has not happened: look again at what stands now, and commit on top."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import TypeVar

from pyiceberg.exceptions import CommitFailedException

from carbon254.errors import TransientError

_TRIES = 30
_WAIT_S = 0.03

Done = TypeVar("Done")


def looking_again(table: str, act: Callable[[], Done]) -> Done:
    """What `act` gives, done again from its beginning where it loses. Raises TransientError where it always does."""
    for turn in range(_TRIES):
        try:
            return act()
        except CommitFailedException:
            # Processes that lost together must not come back together.
            time.sleep(_WAIT_S * min(turn + 1, 5) * (1 + os.getpid() % 7 / 7))
    raise TransientError(f"the lake's {table} is written to by others all the time; try again later")
