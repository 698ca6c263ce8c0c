"""How every feed stands, as its running node tells it, and what was found wrong with the workspace's stores."""

from __future__ import annotations

from typing import TYPE_CHECKING

from carbon254.errors import Carbon254Error

from .asking import ask
from .console import out, tell

if TYPE_CHECKING:
    from carbon254.workspace import Running, Workspace

HEADS = ("feed", "batches", "rows", "watermark", "open letters")
_FIELDS = ("topic", "payloads", "rows", "watermark", "open_letters")


def told_by(url: str, as_json: bool = False) -> bool:
    """Print how every feed stands, from its node; whether it answered."""
    try:
        found = ask(url, "/v1/feeds")
    except Carbon254Error:
        return False
    feeds = sorted(
        (one for one in found["feeds"] if one["payloads"] or one["open_letters"]), key=lambda one: one["topic"]
    )
    tell(HEADS, [[one[name] for name in _FIELDS] for one in feeds], as_json)
    if not as_json:
        lags = ", ".join(f"{name} {lag:,}" for name, lag in found["lag"].items())
        out.print(f"{found['lag_unit']} to carry: {lags}", highlight=False)
    return True


def tell_condition(folder: Workspace, running: Running | None) -> None:
    """Print which stores lack something, with the command that mends each, when the log was last healed, and of which
    workspace this one is a copy. Where no node runs, the stores are looked at as far as that needs no engine."""
    identity = folder.identity
    if identity.copy_of:
        prefix = f"; its topics on Kafka begin with {identity.prefix}" if identity.prefix else ""
        out.print(f"a copy of the workspace {identity.copy_of}: this one is {identity.uuid}{prefix}", highlight=False)
    for line in _condition(folder, running):
        out.print(line, highlight=False, markup=False, soft_wrap=True)


def _condition(folder: Workspace, running: Running | None) -> list[str]:
    if running:
        try:
            found = ask(running.url, "/ready", also=(503,))
        except Carbon254Error:
            return []
        return [*found["reasons"].values(), *(f"the {name}: {told}" for name, told in found.get("notes", {}).items())]
    from carbon254.engine.noted import last_healed, missing_files, noted_lost

    from .books import books
    from .console import settings_of

    # Before they are opened, for opening makes what lacks.
    settings, gone = settings_of(folder.root), missing_files(folder.root)
    embedded = {"hot store": not settings.hot_url, "lake": not settings.lake_url, "ledger": not settings.ledger_url,
                "quality": not settings.ledger_url, "reference": not settings.reference_url}  # fmt: skip
    with books(folder.root) as (_, log):
        lost, healed = noted_lost(log), last_healed(log)
        carried = bool(log.offsets("project"))
    told = {store: why for store, why in gone.items() if carried and embedded[store]} | lost
    return [*told.values(), *([f"the log was healed at {healed}"] if healed else [])]
