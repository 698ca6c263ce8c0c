"""A node that dies at a named point without leaving its process, and one that takes over what it left.

Forks cannot run the engines (they start threads), so here death is an exception that nothing catches on its way, after
which every further named point raises it again: what would have been done in farewell is not done. The engine of the
hot store stays open between deaths; that it survives the end of its process is shown by `test_kills`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any
from unittest import mock

from carbon254 import app, faults
from carbon254.app import Node, open_node
from carbon254.clock import ManualClock
from carbon254.model.bars import bar_runs
from carbon254.model.dataset import of_intervals
from carbon254.settings import Settings
from carbon254.stores.hot import HotStore, open_hot


class Died(BaseException):
    """The process is gone."""


class Dying:
    """Raises at the `visit`-th time a point is reached, and at every point after it."""

    def __init__(self, name: str, visit: int = 1) -> None:
        self.name, self.left, self.dead = name, visit, False

    def __call__(self, reached: str) -> None:
        if reached == self.name and not self.dead:
            self.left -= 1
            self.dead = not self.left
        if self.dead:
            raise Died(self.name)


class Kept:
    """A hot store that closing a node leaves open."""

    def __init__(self, hot: HotStore) -> None:
        self._hot = hot

    def __getattr__(self, name: str) -> Any:
        return getattr(self._hot, name)

    def ensure(self, *_: object) -> None:
        """It is ready."""

    def close(self) -> None:
        """It stays."""


class Lives:
    """One workspace, one engine, as many nodes one after the other as it takes."""

    def __init__(self, folder: Path, now: datetime) -> None:
        self.folder, self.now = folder, now
        self._hot = open_hot(f"chdb://{folder / 'hot'}")
        self._hot.ensure(bar_runs(app.streams().values(), of_intervals()))

    def open(self) -> Node:
        """A node that takes over."""
        with mock.patch.object(app, "open_hot", lambda *_, **__: Kept(self._hot)):
            return open_node(Settings(workspace=self.folder / "ws"), {}, ManualClock(self.now))

    @contextmanager
    def dying_at(self, name: str, visit: int = 1) -> Iterator[tuple[Node, Dying]]:
        """A node that dies there; the block goes on after it where it does, and `dead` says whether it did."""
        node, action = self.open(), Dying(name, visit)
        try:
            with faults.armed(action):
                yield node, action
        except Died:
            pass
        finally:
            abandon(node)

    def close(self) -> None:
        self._hot.close()


def abandon(node: Node) -> None:
    """What the kernel does for a process that ended: files are closed, locks are free, nothing is committed."""
    for room in (node.lake, node.ledger, node.quality, node.reference, node.log):
        room.close()
    node.workspace.release()
