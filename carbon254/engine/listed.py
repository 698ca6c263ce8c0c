"""What was taken into the reference store, in its order: lists of the code, lists people loaded, and renames.

Each is written into the journal of decisions before it takes effect; the store notes how many it has taken, so that one
that was lost or is an older copy is seen, and can be made again from the journal and the raw archive.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from carbon254.stores.decisions import Decision, Journal
from carbon254.stores.log import Log
from carbon254.stores.reference import Reference

from .seeding import seed_reference
from .source import Source

SEED = "seed"
LISTED = (SEED, "places", "instruments", "rename", "merge", "split")
_SUBJECT, _ENTITY, _KEY, _WHO = "store", "reference", "decisions taken in", "c254"


def taken(reference: Reference) -> int:
    """How many decisions of the journal the store has taken in."""
    facts = reference.metadata(_SUBJECT, _ENTITY)
    return int(facts["value"][0]) if facts.height else 0


def keep_taken(reference: Reference, count: int) -> None:
    """Note how many decisions of the journal the store has taken in."""
    reference.put_metadata(_SUBJECT, _ENTITY, {_KEY: str(count)}, _WHO)


def seed(reference: Reference, log: Log, sources: Iterable[Source], at: datetime, journal: Journal) -> None:
    """Bring in the lists that come with the code, as often as a node starts; when they are news, that is written down.

    A store that was lost is filled with them too, and stays known as one that lacks what else was taken in.
    """
    before = reference.version()
    with reference.learning(at):
        seed_reference(reference, log, sources, at)
    if reference.version() == before:
        return
    count = journal.count(LISTED)
    if count == taken(reference):
        journal.write(Decision(SEED, at, _WHO))
        keep_taken(reference, count + 1)


@contextmanager
def written_down(
    reference: Reference, journal: Journal, kind: str, at: datetime, who: str, told: Mapping[str, Any]
) -> Iterator[None]:
    """Write down what is about to be taken in, before it is; a refused one stays written, and is refused again."""
    whole = taken(reference) == journal.count(LISTED)
    journal.write(Decision(kind, at, who, told))
    try:
        with reference.learning(at):
            yield
    finally:
        if whole:
            keep_taken(reference, journal.count(LISTED))
