"""Which workspaces write to a place that the settings name: a copy is refused what its original holds."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime

from carbon254.errors import SettingsError
from carbon254.identity import Identity
from carbon254.stores.decisions import Decision, Journal
from carbon254.stores.log import Log

_SCOPE, _KIND, _WHO = "workspaces", "workspace", "c254"


def refuse_the_originals(identity: Identity, places: Mapping[str, Collection[str]]) -> None:
    """Raise SettingsError where a place (by its setting) knows the workspace that this one was copied from and not
    this one: writing there would mix the two."""
    for setting, workspaces in places.items():
        if identity.copy_of and identity.copy_of in workspaces and identity.uuid not in workspaces:
            raise SettingsError(
                f"{setting}: what is there belongs to the workspace {identity.copy_of}, and this one is a copy of it; "
                f"name another place in {setting}, or run the original"
            )


def writers_of(log: Log, identity: Identity) -> set[str]:
    """Which of this workspace and its original have written to the log."""
    return {one for one in (identity.uuid, identity.copy_of) if one and log.get_state(_SCOPE, one) is not None}


def writers_beside(journal: Journal) -> set[str]:
    """The workspaces that have written to the raw archive beside a journal."""
    return {str(one.told["uuid"]) for one in journal.every() if one.kind == _KIND}


def claim(identity: Identity, log: Log, journal: Journal | None, at: datetime) -> None:
    """Say in the log, and beside a raw archive that the settings name, that this workspace writes there."""
    if log.get_state(_SCOPE, identity.uuid) is None:
        with log.transaction() as txn:
            txn.put_state(_SCOPE, identity.uuid, b"1")
    if journal is not None and identity.uuid not in writers_beside(journal):
        journal.write(Decision(_KIND, at, _WHO, {"uuid": identity.uuid}))
