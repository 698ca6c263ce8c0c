"""How far a store has come in the log, kept in the store: by it a lost, older or swapped store or log is seen."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Mark:
    """A store holds every record of the log with this identity up to `offset`, as the workspace brought them."""

    workspace: str
    log: str
    offset: int
