"""The roof: opens the rooms that the settings name and hands them to each other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta

from carbon254.api.notary import Notary
from carbon254.clock import Clock, ServerClock, SystemClock
from carbon254.connections import base_urls, cluster_of, lake_of, limits_of, open_named_log
from carbon254.disk import told_of
from carbon254.engine.dayjudge import DayJudge
from carbon254.engine.directories import Directories
from carbon254.engine.feedrun import FeedRunner
from carbon254.engine.guarding import Bounds, Guard
from carbon254.engine.housekeeper import Housekeeper
from carbon254.engine.lakekeeper import Lakekeeper
from carbon254.engine.normaliser import Normaliser
from carbon254.engine.projector import Projector
from carbon254.engine.proof import Prover
from carbon254.engine.publisher import Publisher
from carbon254.engine.reasking import Reasker
from carbon254.engine.rebuilder import Rebuilder
from carbon254.engine.releasing import Releaser
from carbon254.engine.repair import Repair
from carbon254.engine.runner import Runner
from carbon254.engine.sealer import BarSealer
from carbon254.engine.seeding import seed_reference
from carbon254.engine.settling import Settler
from carbon254.engine.source import Source
from carbon254.engine.upkeep import Upkeep
from carbon254.engine.withholding import Withholding
from carbon254.engine.younger import begin_beyond_stores
from carbon254.feeds import feeds
from carbon254.feeds.budget import open_budget
from carbon254.feeds.http import Fetcher
from carbon254.ingest import Inbox
from carbon254.ingest.intake import PATTERN, Intake, began
from carbon254.memory import give_back
from carbon254.mirror import is_mirror
from carbon254.model import Stream
from carbon254.model.bars import bar_runs
from carbon254.model.dataset import of_intervals
from carbon254.names import Vocabulary
from carbon254.pipeline import Pipeline, sources
from carbon254.settings import Settings
from carbon254.stores.cache import Cache, open_cache
from carbon254.stores.hot import HotStore, open_hot
from carbon254.stores.lake import Lake
from carbon254.stores.ledger import Ledger, open_history, open_ledger
from carbon254.stores.log import Log
from carbon254.stores.metrics import MetricStore, open_metrics
from carbon254.stores.raw import RawArchive, open_raw
from carbon254.stores.reference import Reference, open_reference
from carbon254.telemetry import Metrics
from carbon254.wire.registry import SchemaRegistry
from carbon254.workspace import Workspace

# What nodes on one log share: each feed's partitions by consumer, the lake as a whole (its offsets are one row).
SHARES = {
    "normalise": ("raw.",),
    "project": ("rows.", "held.", "counts."),
    "lake": ("c254.journal",),
    "publish": ("rows.",),
}
# What each consumer cannot do without, beside the log.
_NEEDS = {
    "intake": ("raw archive",),
    "normalise": ("raw archive", "reference", "ledger"),
    "project": ("hot store", "cache", "ledger"),
    "bars": ("hot store", "ledger"),
    "lake": ("lake",),
    "settle": ("hot store", "ledger", "lake"),
    "audit": ("hot store", "ledger"),
    "housekeeping": ("ledger",),
    "upkeep": ("lake",),
    "publish": (),
}
# Merging files is work for a node that stays: a command that opens the workspace does not begin it.
_BESIDE = ("upkeep",)
_READERS = ("hot store", "cache", "ledger")


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
    cache: Cache
    metrics: Metrics
    quality: MetricStore
    pipeline: Pipeline
    runner: Runner

    def asks(self, carries: Iterable[str], reading: bool) -> Mapping[str, Callable[[], object]]:
        """The rooms that these consumers, and readers where there are any, cannot do without; see `Rooms`."""
        every: Mapping[str, Callable[[], object]] = {
            "raw archive": self.pipeline.inbox.answer,
            "ledger": self.ledger.answer,
            "reference": self.reference.answer,
            "hot store": lambda: self.hot.fetch("SELECT 1"),
            "lake": lambda: self.lake.offset("interval_prices"),
            "cache": self.cache.filled,
        }
        needed = {room for name in carries for room in _NEEDS[name]} | (set(_READERS) if reading else set())
        return {name: ask for name, ask in every.items() if name in needed}

    def notary(self) -> Notary:
        """Gives receipts for answers, and verifies them."""
        known = sources()
        streams = {topic: source.stream for topic, source in known.items()}
        codes = {topic: one.code for topic, one in known.items()}
        return Notary(self.hot, self.log, streams, codes, self.clock, self.quality.overall, self.emulated)

    @property
    def emulated(self) -> bool:
        """Whether the data are emulated."""
        return bool(self.settings.emulator_url) or self.workspace.emulated() is True

    def names(self) -> Vocabulary:
        """What there is to ask for here."""
        return Vocabulary(streams(), self.hot.fetch, self.reference)

    def catch_up(self) -> None:
        """Carry what is pending, before something is asked; in a mirror of a workspace nothing is carried."""
        if not is_mirror(self.workspace.root):
            self.runner.drain()

    def close(self) -> None:
        """Stop the consumers, close the stores, give the workspace up."""
        self.runner.stop()
        if self.pipeline.intake is not None:
            self.pipeline.intake.close()
        self.cache.close()
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


def streams() -> Mapping[str, Stream]:
    """Every feed's card, by topic."""
    return {topic: found.stream for topic, found in feeds().items()}


def _publisher(settings: Settings, log: Log, known: Mapping[str, Source]) -> Publisher | None:
    if not (settings.schema_registry and log.publishes):
        return None
    return Publisher(
        log, SchemaRegistry(settings.schema_registry, settings.schema_registry_ca), known, settings.kafka_prefix
    )


def _intake(settings: Settings, log: Log, inbox: Inbox, clock: Clock) -> Intake | None:
    if not settings.kafka_bootstrap:
        return None
    from carbon254.stores.log.kafka import Outside

    pushed = Outside(cluster_of(settings), "intake", PATTERN, lambda topic, part: began(log, topic, part))
    return Intake(pushed, inbox, log, clock.now)


def _hand_back(hot: HotStore) -> None:
    """Memory that nothing needs any more, back to the system."""
    hot.give_back()
    give_back()


def _housekeeper(
    settings: Settings, workspace: Workspace, log: Log, ledger: Ledger, inbox: Inbox, hot: HotStore, clock: Clock
) -> Housekeeper:
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


def open_node(
    settings: Settings,
    secrets: Mapping[str, str],
    clock: Clock | None = None,
    shares: Mapping[str, Sequence[str]] | None = None,
) -> Node:
    """Open the workspace as its owner. `secrets` holds credentials by the names the cards give.

    `shares` are consumers that share their topics with other nodes on the log (see `SHARES`). Against the emulator,
    arrival times are the emulator's. Raises WorkspaceError and SettingsError.
    """
    clock = clock or (ServerClock() if settings.emulator_url else SystemClock())
    workspace = Workspace(settings.workspace)
    workspace.claim()
    with told_of(workspace.root), ExitStack() as opened:
        opened.callback(workspace.release)
        node = _rooms(settings, secrets, clock, workspace, shares, opened)
        opened.pop_all()
    return node


def _open_hot(settings: Settings, workspace: Workspace) -> HotStore:
    """The hot store with its tables."""
    hot = open_hot(settings.hot_at(workspace.path("hot")), settings.ttl_days, limits_of(settings))
    try:
        hot.ensure(bar_runs(streams().values(), of_intervals()))
    except BaseException:
        hot.close()
        raise
    return hot


def _rooms(
    settings: Settings,
    secrets: Mapping[str, str],
    clock: Clock,
    workspace: Workspace,
    shares: Mapping[str, Sequence[str]] | None,
    opened: ExitStack,
) -> Node:
    """Open every room; `opened` closes those that are open where a later one does not open."""
    with ThreadPoolExecutor(1, "c254-opening") as beside:
        # The engine loads and makes its tables outside Python, while the other rooms open.
        opening = beside.submit(_open_hot, settings, workspace)
        opened.callback(lambda: None if opening.exception() else opening.result().close())
        raw = open_raw(settings.raw_at(workspace.path("raw")), settings.s3_endpoint)
        log = open_named_log(settings, workspace, shares)
        opened.callback(log.close)
        ledger = open_ledger(settings.ledger_at(workspace.path("ledger.db")))
        opened.callback(ledger.close)
        reference = open_reference(settings.reference_at(workspace.path("reference.db")), clock.now)
        opened.callback(reference.close)
        metrics, known = Metrics(), sources()
        seed_reference(reference, log, known.values(), clock.now())
        lake = lake_of(settings, workspace)
        opened.callback(lake.close)
        cache = open_cache(settings.redis_url, timedelta(hours=settings.cache_hours))
        opened.callback(cache.close)
        hot = opening.result()
    begin_beyond_stores(log, hot, lake)
    guard = Guard(Bounds(settings.payload_seconds, memory_bytes=settings.payload_memory_mb << 20))
    normaliser = Normaliser(log, raw, known, metrics, Directories(reference), guard)
    repair = Repair(log, hot, ledger, clock)
    quality = open_metrics(settings.ledger_at(workspace.path("quality.db")))
    verdicts = open_metrics(settings.ledger_at(workspace.path("quality.db")), "verdict")
    opened.callback(verdicts.close)

    def carried(topic: str) -> bool:
        return not log.lag("normalise", f"raw.{topic}") and not log.lag("project", f"rows.{topic}")

    days = DayJudge(hot, ledger, quality, verdicts, known, clock, carried)
    sealer = BarSealer(hot, known, clock, repair, shared=bool(settings.hot_url))
    inbox = Inbox(raw, log, metrics)
    withholding = Withholding(log, hot, ledger, days)
    rebuilder = Rebuilder(log, normaliser, hot, lake, ledger, withholding, clock)
    pipeline = Pipeline(
        log=log,
        inbox=inbox,
        fetcher=Fetcher(base_urls(settings), secrets, clock, open_budget(workspace.path("budget.db"))),
        normaliser=normaliser,
        projector=Projector(log, hot, cache, ledger, known, clock, metrics),
        lakekeeper=Lakekeeper(log, lake, known, settings.lake_commit_seconds),
        rebuilder=rebuilder,
        prover=Prover(log, hot, lake, ledger),
        checks=FeedRunner(ledger, clock),
        housekeeper=_housekeeper(settings, workspace, log, ledger, inbox, hot, clock),
        days=days,
        sealer=sealer,
        releaser=Releaser(log, hot, ledger, normaliser, days),
        reasker=Reasker(ledger, hot),
        repair=repair,
        upkeep=Upkeep(
            log, lake, clock, timedelta(hours=settings.lake_upkeep_hours), timedelta(days=settings.lake_keep_days)
        ),
        settler=Settler(log, normaliser, rebuilder, known, clock),
        publisher=_publisher(settings, log, known),
        intake=_intake(settings, log, inbox, clock) if shares and "normalise" in shares else None,
    )
    rests = {"lake": pipeline.lakekeeper.rest_s}
    at_rest = {"audit": days.settle, "bars": sealer.settle}
    runner = Runner(log, pipeline.steps(), metrics, rests, settings.trace_enabled, _BESIDE, at_rest, workspace.root)
    rooms = (raw, log, ledger, reference, hot, lake, cache, metrics, quality)
    return Node(settings, workspace, clock, *rooms, pipeline, runner)
