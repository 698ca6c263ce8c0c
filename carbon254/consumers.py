"""What depends on the places that the settings name: publisher, intake, housekeeper, and to whom the places belong."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from carbon254.clock import Clock
from carbon254.connections import cluster_of
from carbon254.engine.claiming import claim, refuse_the_originals, writers_beside, writers_of
from carbon254.engine.housekeeper import Housekeeper
from carbon254.engine.publisher import Publisher
from carbon254.engine.source import Source
from carbon254.ingest import Inbox
from carbon254.ingest.intake import PATTERN, Intake, began
from carbon254.memory import give_back
from carbon254.settings import Settings
from carbon254.stores.decisions import Journal
from carbon254.stores.hot import HotStore
from carbon254.stores.ledger import Ledger, open_history
from carbon254.stores.log import Log
from carbon254.wire.registry import SchemaRegistry
from carbon254.workspace import Workspace


def publisher_of(settings: Settings, log: Log, known: Mapping[str, Source]) -> Publisher | None:
    """Carries rows to readers outside; None where no schema registry is named."""
    if not (settings.schema_registry and log.publishes):
        return None
    return Publisher(
        log, SchemaRegistry(settings.schema_registry, settings.schema_registry_ca), known, settings.kafka_prefix
    )


def intake_of(settings: Settings, log: Log, inbox: Inbox, clock: Clock) -> Intake | None:
    """Takes in what others push to Kafka; None where no cluster is named."""
    if not settings.kafka_bootstrap:
        return None
    from carbon254.stores.log.kafka import Outside

    pushed = Outside(cluster_of(settings), "intake", PATTERN, lambda topic, part: began(log, topic, part))
    return Intake(pushed, inbox, log, clock.now)


def _hand_back(hot: HotStore) -> None:
    """Memory that nothing needs any more, back to the system."""
    hot.give_back()
    give_back()


def housekeeper_of(
    settings: Settings, workspace: Workspace, log: Log, ledger: Ledger, inbox: Inbox, hot: HotStore, clock: Clock
) -> Housekeeper:
    """Looks after the workspace."""
    return Housekeeper(
        log,
        ledger,
        inbox,
        clock,
        workspace.size,
        timedelta(days=settings.log_retention_days),
        int(settings.disk_budget_gb * 1e9),
        open_history(hot) if settings.ledger_history else None,
        lambda: _hand_back(hot),
    )


def claim_places(
    settings: Settings, workspace: Workspace, log: Log, decisions: Journal, ledger: Ledger, clock: Clock
) -> None:
    """Refuse places that a copy's original holds, and claim them for this workspace. Raises SettingsError."""
    identity, places = workspace.identity, dict[str, set[str]]()
    if settings.kafka_bootstrap:
        places["C254_KAFKA_PREFIX"] = writers_of(log, identity)
    if settings.raw_url:
        places["C254_RAW_URL"] = writers_beside(decisions)
    if settings.ledger_url:
        places["C254_LEDGER_URL"] = {mark.workspace for mark in ledger.marks()}
    refuse_the_originals(identity, places)
    claim(identity, log, decisions if settings.raw_url else None, clock.now())
