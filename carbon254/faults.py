"""Named places in the commit recipe where a test may let the process die or a store fail.

`reach("raw.synced")` does nothing unless a test armed an action; then the action gets the name and may end the
process, raise, or count. The names are read out of the source by `tests/reliability`, so that none is left untested.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

Action = Callable[[str], None]
_action: Action | None = None


def reach(name: str) -> None:
    """Say that the process has come to a named place."""
    if _action is not None:
        _action(name)


def arm(action: Action | None) -> None:
    """From now on `action` is called with every name reached; None disarms."""
    global _action
    _action = action


@contextmanager
def armed(action: Action) -> Iterator[None]:
    """Armed within the block."""
    before = _action
    arm(action)
    try:
        yield
    finally:
        arm(before)
