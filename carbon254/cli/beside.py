"""Waiting for the node that runs a workspace to carry what a command put into the shared log beside it."""

from __future__ import annotations

import time
from collections.abc import Mapping

import httpx2 as httpx

from carbon254.errors import TransientError
from carbon254.stores.log import Log
from carbon254.workspace import Workspace

CONSUMERS = {"normalise": "raw.", "project": "rows.", "bars": "rows.", "lake": "rows."}
_STEP_S = 0.2
_ASK_AFTER_S = 10.0
_PATIENCE_S = 300.0
_KEPT = "what was taken in is kept, and is carried"


def wait_until_carried(workspace: Workspace, log: Log) -> None:
    """Return when nothing is left to carry.

    Raises TransientError when the node has stopped, is in trouble, or moves nothing for minutes: never waits for ever.
    """
    left, moved, asked = _left(log), time.monotonic(), 0.0
    while any(left.values()):
        time.sleep(_STEP_S)
        before, left = left, _left(log)
        now = time.monotonic()
        if left != before:
            moved = now
        elif now - moved > _PATIENCE_S:
            behind = ", ".join(name for name, count in left.items() if count)
            raise TransientError(f"the running node does not carry {behind}; {_KEPT} later. See: c254 logs")
        elif now - max(moved, asked) > _ASK_AFTER_S:
            asked = now
            _refuse_trouble(workspace)


def _left(log: Log) -> dict[str, int]:
    return {name: log.lag(name, prefix) for name, prefix in CONSUMERS.items()}


def _refuse_trouble(workspace: Workspace) -> None:
    running = workspace.running()
    if running is None:
        raise TransientError(f"the node that ran the workspace has stopped; {_KEPT} when one starts: c254 up")
    reasons = _reasons(running.url)
    if reasons:
        told = "; ".join(f"{name}: {reason}" for name, reason in reasons.items())
        raise TransientError(f"the running node is in trouble ({told}); {_KEPT} once that is mended. See: c254 logs")


def _reasons(url: str) -> Mapping[str, str]:
    """Why the node is not ready; empty when it is, or is too busy to say."""
    try:
        return httpx.get(f"{url}/ready", timeout=5.0, trust_env=False).json().get("reasons", {})
    except (httpx.HTTPError, ValueError):
        return {}
