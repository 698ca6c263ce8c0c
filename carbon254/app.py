"""The roof: opens the rooms that the settings name and hands them to each other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from carbon254.api.notary import Notary
from carbon254.clock import Clock, ServerClock, SystemClock
from carbon254.engine.barmaker import Barmaker
from carbon254.engine.dayjudge import DayJudge
from carbon254.engine.directories import Directories
from carbon254.engine.feedrun import FeedRunner
from carbon254.engine.housekeeper import Housekeeper
from carbon254.engine.lakekeeper import Lakekeeper
from carbon254.engine.normaliser import Normaliser
from carbon254.engine.projector import Projector
from carbon254.engine.proof import Prover
from carbon254.engine.reasking import Reasker
from carbon254.engine.rebuilder import Rebuilder
from carbon254.engine.releasing import Releaser
from carbon254.engine.repair import Repair
from carbon254.engine.runner import Runner
from carbon254.engine.seeding import seed_reference
from carbon254.engine.withholding import Withholding
from carbon254.feeds import feeds
from carbon254.feeds.budget import open_budget
from carbon254.feeds.http import Fetcher
from carbon254.ingest import Inbox
from carbon254.model import Stream
from carbon254.pipeline import Pipeline, sources
from carbon254.settings import Settings
from carbon254.stores.cache import LatestPrices
from carbon254.stores.hot import HotStore, open_hot
from carbon254.stores.lake import Lake, open_lake
from carbon254.stores.ledger import Ledger, open_history, open_ledger
from carbon254.stores.log import Log, open_log
from carbon254.stores.metrics import MetricStore, open_metrics
from carbon254.stores.raw import RawArchive, open_raw
from carbon254.stores.reference import Reference, open_reference
from carbon254.telemetry import Metrics
from carbon254.workspace import Workspace

# How long a consumer rests after it carried something. The lake gathers many batches into one commit.
_PAUSES = {"lake": 5.0, "bars": 0.2}


@dataclass
class Node:
    """Every open room of a workspace."""

    settings: Settings
    workspace: Workspace
    clock: Clock
    raw: RawArchive
    log: Log
    ledger: Ledger
    reference: Reference
    hot: HotStore
    lake: Lake
    cache: LatestPrices
    metrics: Metrics
    quality: MetricStore
    pipeline: Pipeline
    runner: Runner

    def notary(self) -> Notary:
        """Gives receipts for answers, and verifies them."""
        known = sources()
        streams = {topic: source.stream for topic, source in known.items()}
        codes = {topic: one.code for topic, one in known.items()}
        return Notary(self.hot, self.log, streams, codes, self.clock, self.quality.overall)

    def close(self) -> None:
        """Stop the consumers, close the stores, give the workspace up."""
        self.runner.stop()
        self.hot.close()
        self.lake.close()
        self.ledger.close()
        self.quality.close()
        self.reference.close()
        self.log.close()
        self.workspace.release()

    def __enter__(self) -> Node:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def base_urls(settings: Settings) -> Mapping[str, str]:
    """Base URLs that stand in for the providers' own."""
    if not settings.emulator_url:
        return settings.base_urls
    providers = {found.stream.provider.id for found in feeds().values()}
    root = settings.emulator_url.rstrip("/")
    return {provider: f"{root}/{provider}" for provider in providers} | settings.base_urls


def streams() -> Mapping[str, Stream]:
    """Every feed's card, by topic."""
    return {topic: found.stream for topic, found in feeds().items()}


def open_node(settings: Settings, secrets: Mapping[str, str], clock: Clock | None = None) -> Node:
    """Open the workspace as its owner. `secrets` holds credentials by the names the cards give.

    Against the emulator, arrival times are the emulator's. Raises WorkspaceError and SettingsError.
    """
    settings.refuse_unavailable()
    clock = clock or (ServerClock() if settings.emulator_url else SystemClock())
    workspace = Workspace(settings.workspace)
    workspace.claim()
    try:
        return _open(settings, secrets, clock, workspace)
    except BaseException:
        workspace.release()
        raise


def _open(settings: Settings, secrets: Mapping[str, str], clock: Clock, workspace: Workspace) -> Node:
    raw = open_raw(workspace.path("raw"))
    log = open_log(workspace.path("log.db"))
    ledger = open_ledger(settings.ledger_url or f"sqlite:///{workspace.path('ledger.db')}")
    reference = open_reference(settings.reference_at(workspace.path("reference.db")), clock.now)
    hot = open_hot(settings.hot_url or f"chdb://{workspace.path('hot')}", ttl_days=settings.ttl_days)
    hot.ensure()
    lake = open_lake(settings.lake_url or str(workspace.path("lake")))
    cache, metrics, known = LatestPrices(), Metrics(), sources()
    seed_reference(reference, log, known.values(), clock.now())
    normaliser = Normaliser(log, raw, known, metrics, Directories(reference))
    repair = Repair(log, hot, ledger, clock)
    barmaker = Barmaker(log, hot, known, repair.repaired)
    quality = open_metrics(settings.ledger_url or f"sqlite:///{workspace.path('quality.db')}")
    days = DayJudge(hot, ledger, quality, known, clock)
    inbox = Inbox(raw, log, metrics)
    pipeline = Pipeline(
        log=log,
        inbox=inbox,
        fetcher=Fetcher(base_urls(settings), secrets, clock, open_budget(workspace.path("budget.db"))),
        normaliser=normaliser,
        projector=Projector(log, hot, cache, ledger, known, clock, metrics),
        barmaker=barmaker,
        lakekeeper=Lakekeeper(log, lake, known),
        rebuilder=Rebuilder(log, normaliser, hot, lake, ledger, barmaker, Withholding(log, hot, ledger, days)),
        prover=Prover(log, hot, lake, ledger),
        checks=FeedRunner(ledger, clock),
        housekeeper=Housekeeper(
            log,
            ledger,
            inbox,
            clock,
            workspace.size,
            timedelta(days=settings.log_retention_days),
            int(settings.disk_budget_gb * 1e9),
            open_history(hot) if settings.ledger_history else None,
        ),
        days=days,
        releaser=Releaser(log, hot, ledger, normaliser, days),
        reasker=Reasker(ledger, hot),
        repair=repair,
    )
    runner = Runner(log, pipeline.steps(), metrics, _PAUSES, settings.trace_enabled)
    rooms = (raw, log, ledger, reference, hot, lake, cache, metrics, quality)
    return Node(settings, workspace, clock, *rooms, pipeline, runner)
