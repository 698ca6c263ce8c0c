"""`c254 serve STAGE`: one stage of the flow as a service, beside others on the same Kafka."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from .console import DEFAULT_WORKSPACE, EmulatorUrl, NewWorkspace
from .node import Port


class Stage(StrEnum):
    """The services; see `_CARRIES` for what each does."""

    normalise = "normalise"
    enrich = "enrich"
    aggregate = "aggregate"
    project = "project"


_PORTS = {Stage.normalise: 8080, Stage.enrich: 8081, Stage.aggregate: 8082, Stage.project: 8083}
_CARRIES = {
    Stage.normalise: ("intake", "normalise"),
    Stage.enrich: ("publish",),
    Stage.aggregate: ("bars",),
    Stage.project: ("project", "lake", "settle", "audit", "housekeeping", "upkeep"),
}


def serve(
    stage: Annotated[Stage, typer.Argument(case_sensitive=False, help="normalise, enrich, aggregate or project.")],
    workspace: NewWorkspace = DEFAULT_WORKSPACE,
    port: Port = None,
    emulator_url: EmulatorUrl = "",
    feed: Annotated[list[str] | None, typer.Option(help="normalise also polls these feeds.")] = None,
) -> None:
    """Run one stage as a service: /health, /ready and /metrics on ports 8080 to 8083; project has the API too.

    Several of one stage share the partitions. Each needs a workspace of its own.
    Example: `C254_KAFKA_BOOTSTRAP=kafka://kafka:9092 c254 serve project --workspace project`
    """
    from carbon254.feeds import feed as find
    from carbon254.memory import loading

    with loading():
        from carbon254.app import SHARES, open_node
        from carbon254.poller import Poller
        from carbon254.telemetry import configure_logging

        from .console import secrets, settings_of
        from .origin import keep_apart
        from .ports import listener
        from .serving import Served, carry, is_up

    feed = [find(topic).topic for topic in feed or ()]
    settings = settings_of(workspace, emulator_url=emulator_url)
    carries = _carried(stage, bool(settings.hot_url), bool(settings.kafka_bootstrap), bool(settings.schema_registry))
    configure_logging(settings.log_level)
    listening = listener(settings.host, _PORTS[stage] if port is None else port, explicit=True)
    shares = {name: prefixes for name, prefixes in SHARES.items() if name in carries}
    with open_node(settings, secrets(), shares=shares) as node:
        if feed and stage is Stage.normalise:
            keep_apart(node.workspace, node.log, node.raw, settings)
        served = Served(node, listening, reading=stage is Stage.project, carries=carries)
        poller = Poller(node.pipeline, node.clock, feed if stage is Stage.normalise else [])
        carry(node, served, poller, lambda: is_up(stage, served.url), carries)


def _carried(stage: Stage, server: bool, kafka: bool, registry: bool) -> tuple[str, ...]:
    """The consumers of a service. Raises SettingsError where it lacks what it works on."""
    from carbon254.errors import SettingsError

    if not kafka:
        raise SettingsError("services meet on Kafka: set C254_KAFKA_BOOTSTRAP, or run everything in one node: c254 up")
    if stage is Stage.enrich and not registry:
        raise SettingsError("enrich publishes Avro records: set C254_SCHEMA_REGISTRY=http(s)://host/apis/ccompat/v7")
    if stage is Stage.aggregate and not server:
        raise SettingsError(
            "aggregate reads and writes a ClickHouse server: set C254_HOT_URL; without one, project seals the bars"
        )
    return _CARRIES[stage] + (("bars",) if stage is Stage.project and not server else ())
