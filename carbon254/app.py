"""The roof: opens the rooms that the settings name and hands them to each other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta

from carbon254.api.notary import Notary
from carbon254.clock import Clock, ServerClock, SystemClock
from carbon254.connections import base_urls, lake_of, limits_of, open_named_log, with_prefix
from carbon254.consumers import claim_places, housekeeper_of, intake_of, publisher_of
from carbon254.disk import told_of
from carbon254.engine.claiming import refuse_the_originals
from carbon254.engine.condition import Condition, examine
from carbon254.engine.dayjudge import DayJudge
from carbon254.engine.deciding import Decider, older_places
from carbon254.engine.directories import Directories
from carbon254.engine.feedrun import FeedRunner
from carbon254.engine.guarding import Bounds, Guard
from carbon254.engine.lakekeeper import Lakekeeper
from carbon254.engine.listed import seed as seed_reference
from carbon254.engine.lost import Watched
from carbon254.engine.marking import Marker
from carbon254.engine.normaliser import Normaliser
from carbon254.engine.projector import Projector
from carbon254.engine.proof import Prover
from carbon254.engine.reasking import Reasker
from carbon254.engine.rebuilder import Rebuilder
from carbon254.engine.releasing import Releaser
from carbon254.engine.remaking import Remaker
from carbon254.engine.repair import Repair
from carbon254.engine.runner import Runner
from carbon254.engine.sealer import BarSealer
from carbon254.engine.settling import Settler
from carbon254.engine.upkeep import Upkeep
from carbon254.engine.withholding import Withholding
from carbon254.feeds import feeds
from carbon254.feeds.budget import open_budget
from carbon254.feeds.http import Fetcher
from carbon254.identity import Origin
from carbon254.ingest import Inbox
from carbon254.mirror import is_mirror
from carbon254.model import Stream
from carbon254.model.bars import bar_runs
from carbon254.model.dataset import of_intervals
from carbon254.names import Vocabulary
from carbon254.pipeline import Pipeline, sources
from carbon254.settings import Settings
from carbon254.stores.cache import Cache, open_cache
from carbon254.stores.decisions import Journal, open_decisions
from carbon254.stores.hot import HotStore, open_hot
from carbon254.stores.lake import Lake
from carbon254.stores.ledger import Ledger, open_ledger
from carbon254.stores.log import Log, identity_of
from carbon254.stores.metrics import MetricStore, open_metrics
from carbon254.stores.raw import RawArchive, open_raw
from carbon254.stores.reference import Reference, open_reference
from carbon254.telemetry import Metrics, log_to_standard_error
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
    verdicts: MetricStore
    decisions: Journal
    condition: Condition
    pipeline: Pipeline
    runner: Runner

    def trouble(self) -> dict[str, str]:
        """Consumers in trouble and why, and stores that lost something, with the command that mends them."""
        return self.condition.lost | self.runner.told()

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
        return Notary(
            self.hot,
            self.log,
            streams,
            codes,
            self.clock,
            self.quality.overall,
            self.emulated,
            lambda feed: older_places(self.decisions, feed),
        )

    @property
    def emulated(self) -> bool:
        """Whether the data are emulated."""
        return bool(self.settings.emulator_url) or self.workspace.emulated() is True

    def names(self) -> Vocabulary:
        """What there is to ask for here."""
        return Vocabulary(streams(), self.hot.fetch, self.reference)

    def remaker(self) -> Remaker:
        """Makes lost stores again."""
        parts = self.pipeline
        return Remaker(self.condition.stores, self.raw, parts.normaliser, parts.projector, parts.rebuilder, parts.days,
                       self.clock, self.runner.drain)  # fmt: skip

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
        self.verdicts.close()
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
    log_to_standard_error()
    clock = clock or (ServerClock() if settings.emulator_url else SystemClock())
    workspace = Workspace(settings.workspace)
    workspace.claim()
    with told_of(workspace.root), ExitStack() as opened:
        opened.callback(workspace.release)
        # A mirror is no workspace: it goes when it was read.
        origin = "same" if is_mirror(workspace.root) else workspace.identify()
        settings = with_prefix(settings, workspace)
        node = _rooms(settings, secrets, clock, workspace, shares, opened, origin)
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


def _marker(settings: Settings, workspace: Workspace, log: Log, hot: HotStore) -> Marker:
    """Marks stores for this workspace and its log. Raises SettingsError where a named hot store is an original's."""
    if settings.hot_url:
        refuse_the_originals(workspace.identity, {"C254_HOT_URL": {mark.workspace for mark in hot.marks()}})
    return Marker(workspace.identity.uuid, identity_of(log))


def _carried(log: Log) -> Callable[[str], bool]:
    """Tells whether everything that has arrived of a feed is stored."""
    return lambda topic: not log.lag("normalise", f"raw.{topic}") and not log.lag("project", f"rows.{topic}")


def _upkeep(settings: Settings, log: Log, lake: Lake, clock: Clock) -> Upkeep:
    hours, keep = timedelta(hours=settings.lake_upkeep_hours), timedelta(days=settings.lake_keep_days)
    return Upkeep(log, lake, clock, hours, keep)


def _rooms(
    settings: Settings,
    secrets: Mapping[str, str],
    clock: Clock,
    workspace: Workspace,
    shares: Mapping[str, Sequence[str]] | None,
    opened: ExitStack,
    origin: Origin,
) -> Node:
    """Open every room; `opened` closes those that are open where a later one does not open."""
    with ThreadPoolExecutor(1, "c254-opening") as beside:
        # The engine loads and makes its tables outside Python, while the other rooms open.
        opening = beside.submit(_open_hot, settings, workspace)
        opened.callback(lambda: None if opening.exception() else opening.result().close())
        raw = open_raw(settings.raw_at(workspace.path("raw")), settings.s3_endpoint)
        decisions = open_decisions(settings.raw_at(workspace.path("raw")), settings.s3_endpoint)
        log = open_named_log(settings, workspace, shares)
        opened.callback(log.close)
        ledger = open_ledger(settings.ledger_at(workspace.path("ledger.db")))
        opened.callback(ledger.close)
        claim_places(settings, workspace, log, decisions, ledger, clock)
        reference = open_reference(settings.reference_at(workspace.path("reference.db")), clock.now)
        opened.callback(reference.close)
        metrics, known = Metrics(), sources()
        seed_reference(reference, log, known.values(), clock.now(), decisions)
        lake = lake_of(settings, workspace)
        opened.callback(lake.close)
        cache = open_cache(settings.redis_url, timedelta(hours=settings.cache_hours))
        opened.callback(cache.close)
        hot = opening.result()
    guard = Guard(Bounds(settings.payload_seconds, memory_bytes=settings.payload_memory_mb << 20))
    normaliser = Normaliser(log, raw, known, metrics, Directories(reference), guard)
    repair = Repair(log, hot, ledger, clock)
    quality = open_metrics(settings.ledger_at(workspace.path("quality.db")))
    verdicts = open_metrics(settings.ledger_at(workspace.path("quality.db")), "verdict")
    opened.callback(verdicts.close)
    before, forgets = _marker(settings, workspace, log, hot), settings.ttl_days > 0
    watched = Watched(log, hot, lake, ledger, verdicts, reference, decisions, known, before, forgets)
    condition = examine(watched, raw, origin, clock.now())
    marker = condition.stores.marker
    days = DayJudge(hot, ledger, quality, verdicts, known, clock, _carried(log), marker)
    sealer = BarSealer(hot, known, clock, repair, shared=bool(settings.hot_url))
    inbox, decider = Inbox(raw, log, metrics), Decider(decisions, clock)
    rebuilder = Rebuilder(log, normaliser, hot, lake, ledger, Withholding(log, hot, ledger, days), clock)
    pipeline = Pipeline(
        log=log,
        inbox=inbox,
        fetcher=Fetcher(base_urls(settings), secrets, clock, open_budget(workspace.path("budget.db"))),
        normaliser=normaliser,
        projector=Projector(log, hot, cache, ledger, known, clock, metrics, marker, normaliser.unsettle),
        lakekeeper=Lakekeeper(log, lake, known, settings.lake_commit_seconds),
        rebuilder=rebuilder,
        prover=Prover(log, hot, lake, ledger),
        checks=FeedRunner(ledger, clock),
        housekeeper=housekeeper_of(settings, workspace, log, ledger, inbox, hot, clock),
        days=days,
        sealer=sealer,
        releaser=Releaser(log, hot, ledger, normaliser, days, decider),
        decider=decider,
        reasker=Reasker(ledger, hot),
        repair=repair,
        upkeep=_upkeep(settings, log, lake, clock),
        settler=Settler(log, ledger, normaliser, rebuilder, known, clock),
        publisher=publisher_of(settings, log, known),
        intake=intake_of(settings, log, inbox, clock) if shares and "normalise" in shares else None,
    )
    rests, at_rest = {"lake": pipeline.lakekeeper.rest_s}, {"audit": days.settle, "bars": sealer.settle}
    runner = Runner(log, pipeline.steps(), metrics, rests, settings.trace_enabled, _BESIDE, at_rest, workspace.root)
    rooms = (raw, log, ledger, reference, hot, lake, cache, metrics, quality, verdicts, decisions, condition)
    return Node(settings, workspace, clock, *rooms, pipeline, runner)
