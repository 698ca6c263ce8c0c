"""Lists and changes of the reference store: written down before they are taken in, and taken in again from there."""

from __future__ import annotations

import getpass
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from carbon254.errors import ReferenceRefused, UnknownPlace

from .console import settings_of

if TYPE_CHECKING:
    from carbon254.stores.decisions import Decision
    from carbon254.stores.raw import RawArchive
    from carbon254.stores.reference import Reference

# Payloads of no feed: lists that somebody loaded.
_FEED = "reference"


@contextmanager
def written_down(
    workspace: Path, reference: Reference, kind: str, told: Mapping[str, Any], data: bytes | None = None
) -> Iterator[datetime]:
    """Write down what is about to be taken into the reference store, its bytes in the raw archive; gives its moment."""
    from carbon254.engine.listed import written_down as written
    from carbon254.stores.decisions import open_decisions
    from carbon254.stores.raw import Provenance, open_raw

    settings, now = settings_of(workspace), datetime.now(UTC)
    place, facts = settings.raw_at(workspace / "raw"), dict(told)
    if data is not None:
        archive = open_raw(place, settings.s3_endpoint)
        facts["sha256"] = archive.put(data, Provenance(_FEED, "", str(told["name"]), kind, now)).sha256
    with written(reference, open_decisions(place, settings.s3_endpoint), kind, now, _who(), facts):
        yield now


def rebuild_reference(workspace: Path) -> str:
    """Make the reference store of a workspace again, in one transaction; what that came to, in words.

    Raises MissingPayload where a loaded list is not in the raw archive any more.
    """
    from carbon254.app import open_node
    from carbon254.engine.listed import LISTED, SEED, keep_taken
    from carbon254.engine.marking import REFERENCE
    from carbon254.engine.noted import note_made_again
    from carbon254.engine.seeding import seed_reference
    from carbon254.pipeline import sources
    from carbon254.stores.reference import open_reference

    from .console import secrets

    with open_node(settings_of(workspace), secrets()) as node:
        decisions = [one for one in node.decisions.every() if one.kind in LISTED]
        url = node.settings.reference_at(node.workspace.path("reference.db"))
        moment = [node.clock.now()]
        with open_reference(url, lambda: moment[0]) as reference, reference.together():
            reference.forget()
            for decision in decisions:
                moment[0] = decision.at
                if decision.kind == SEED:
                    seed_reference(reference, node.log, sources().values(), decision.at)
                else:
                    _take(reference, node.raw, decision)
            moment[0] = node.clock.now()
            seed_reference(reference, node.log, sources().values(), moment[0])
            keep_taken(reference, len(decisions))
        note_made_again(node.log, REFERENCE)
        places = node.reference.places("all").height
    return f"{len(decisions):,} lists and changes, {places:,} places"


def _take(reference: Reference, raw: RawArchive, decision: Decision) -> None:
    """Take in what was taken in before; what was refused is refused again."""
    ways: Mapping[str, Callable[[Reference, RawArchive, Decision], object]] = {
        "places": _places, "instruments": _instruments, "rename": _rename, "merge": _merge, "split": _split,
    }  # fmt: skip
    try:
        ways[decision.kind](reference, raw, decision)
    except (ReferenceRefused, UnknownPlace):
        return


def _places(reference: Reference, raw: RawArchive, decision: Decision) -> None:
    from . import placelists

    told = decision.told
    frame, _ = placelists.read(told["name"], raw.get(told["sha256"]))
    at = datetime.fromisoformat(told["effective"]) if told["effective"] else None
    reference.load(told["list"], told["market"], frame, at, told["source"], told["complete"], decision.at)


def _instruments(reference: Reference, raw: RawArchive, decision: Decision) -> None:
    from . import instrumentlists, placelists

    told = decision.told
    frame, _ = placelists.read(told["name"], raw.get(told["sha256"]))
    instrumentlists.load(reference, frame, told["source"], told["new"])


def _rename(reference: Reference, _: RawArchive, decision: Decision) -> None:
    told = decision.told
    at = datetime.fromisoformat(told["when"])
    reference.rename(told["market"], told["old"], told["new"], at, told["source"], told["name"], decision.at)


def _merge(reference: Reference, _: RawArchive, decision: Decision) -> None:
    told = decision.told
    at = datetime.fromisoformat(told["when"])
    reference.merge(told["market"], told["olds"], told["into"], at, told["source"], decision.at)


def _split(reference: Reference, _: RawArchive, decision: Decision) -> None:
    told = decision.told
    at = datetime.fromisoformat(told["when"])
    reference.split(told["market"], told["old"], told["into"], at, told["source"], decision.at)


def _who() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "unknown"
