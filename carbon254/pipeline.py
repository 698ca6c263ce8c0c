"""The flow on one screen, and the only place where feeds and stores meet.

fetch → inbox: raw archive + raw.<topic>
  → normalise   raw.<topic>  → rows.<topic>, held.<topic>, letters
                                                           parse, normalise, known-at, enrich, gate: one transaction
  → project     rows.<topic> → hot store, latest prices, ledger
  → lake        rows.<topic> → Iceberg                     off the hot path
  → settle      what was read again, or came out of order: its span is rebuilt from raw
  → audit       finished market days → verdicts
  → bars        judged market days → sealed bars; of all other days bars are computed when they are read
  → upkeep      the lake's small files merged, its old snapshots forgotten, once a day
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

import carbon254
from carbon254.engine.code import code_version
from carbon254.engine.dayjudge import DayJudge
from carbon254.engine.feedrun import FeedRunner
from carbon254.engine.housekeeper import Housekeeper
from carbon254.engine.lakekeeper import Lakekeeper
from carbon254.engine.normaliser import Normaliser
from carbon254.engine.placing import LISTS
from carbon254.engine.projector import Projector
from carbon254.engine.proof import Prover
from carbon254.engine.publisher import Publisher
from carbon254.engine.quarantine import Release
from carbon254.engine.reasking import Reasker
from carbon254.engine.rebuilder import How, Progress, Rebuilder, Rebuilt
from carbon254.engine.releasing import Released, Releaser
from carbon254.engine.repair import Repair
from carbon254.engine.sealer import BarSealer
from carbon254.engine.settling import Settler
from carbon254.engine.source import Source
from carbon254.engine.upkeep import Upkeep
from carbon254.errors import Carbon254Error, NotPublished, WrongQuestion
from carbon254.feeds import Feed, Request, feed, feeds
from carbon254.feeds.answers import page_told
from carbon254.feeds.contract import Rows
from carbon254.feeds.http import BY_HAND, Fetcher
from carbon254.feeds.paging import walk
from carbon254.ingest import Accepted, Arrived, Inbox
from carbon254.ingest.intake import Intake
from carbon254.model import Stream
from carbon254.proof import Proof
from carbon254.quality import read_rules
from carbon254.stores.log import Letter, Log, Record, records_of


@dataclass(frozen=True)
class Fetched:
    """What one request came to: `state` is new, repeated, unpublished or failed.

    `taken` is the payload in the archive, None where nothing was taken in.
    """

    request: Request
    state: str
    size: int = 0
    error: str = ""
    taken: Accepted | None = None


@dataclass
class Pipeline:
    """Everything that writes."""

    log: Log
    inbox: Inbox
    fetcher: Fetcher
    normaliser: Normaliser
    projector: Projector
    lakekeeper: Lakekeeper
    rebuilder: Rebuilder
    prover: Prover
    checks: FeedRunner
    housekeeper: Housekeeper
    days: DayJudge
    sealer: BarSealer
    releaser: Releaser
    reasker: Reasker
    repair: Repair
    upkeep: Upkeep
    settler: Settler
    publisher: Publisher | None = None
    intake: Intake | None = None

    def steps(self) -> dict[str, Callable[[], int]]:
        """The consumers by name, in the order of the flow."""
        first = {"intake": self.intake.step} if self.intake is not None else {}
        last = {"publish": self.publisher.step} if self.publisher is not None else {}
        return {
            **first,
            "normalise": self.normaliser.step,
            "project": self.projector.step,
            "lake": self.lakekeeper.step,
            "settle": self.settler.step,
            "audit": self.days.step,
            "bars": self.sealer.step,
            "housekeeping": self.housekeeper.step,
            "upkeep": self.upkeep.step,
            **last,
        }

    def fetch(self, topic: str, start: datetime, end: datetime, locations: Sequence[str] = ()) -> Iterator[Fetched]:
        """Ask the provider for [start, end); see `fetch`."""
        asked = fetch(self.fetcher, self.inbox, topic, start, end, locations)
        return self.checks.around(feed(topic).stream, start, end, asked, trouble_of)

    def reprocess(self, letters: Sequence[Letter], how: str) -> tuple[int, int]:
        """Parse the letters' payloads again with the present code; returns (letters resolved, letters still open).

        A payload that gives what it gave before changes nothing; one that gives other rows replaces them (`settle`).
        """
        resolved = 0
        # A list of places is no payload of a feed: loading the mended list resolves its letters.
        read = [letter for letter in letters if letter.topic != LISTS]
        for topic, payload in dict.fromkeys((letter.topic, letter.payload) for letter in read):
            mine = [letter for letter in read if (letter.topic, letter.payload) == (topic, payload)]
            record = self._raw_record(mine[0])
            outcome = self.normaliser.carry(record, commit=False)
            still = {(letter.line, letter.reason) for letter in outcome.letters}
            gone = [letter.id for letter in mine if (letter.line, letter.reason) not in still and letter.id is not None]
            with self.log.transaction() as txn:
                txn.resolve_letters(gone, how)
            resolved += len(gone)
        return resolved, len(letters) - resolved

    def correct(self, letters: Sequence[Letter], data: bytes, name: str, at: datetime) -> tuple[int, int]:
        """Take an edited copy of the letters' payload; returns (letters resolved, letters still open).

        The copy is a payload of its own for the same subject; the original stays as it came. The original's letters
        are resolved when the copy could be read; what the copy still rejects are letters of the copy.
        """
        payloads = {letter.payload for letter in letters}
        if len(payloads) != 1:
            raise Carbon254Error(f"an edited copy corrects one payload, and these letters are of {len(payloads)}")
        original = self._raw_record(letters[0])
        topic = original.topic.removeprefix("raw.")
        sha256, _ = self.inbox.accept(Arrived(topic, data, name, at, original.headers["subject"]))
        while self.normaliser.step():
            pass
        refused = [
            one for one in self.log.letters(f"dlq.{topic}", "open") if one.payload == sha256 and one.line is None
        ]
        if refused:
            return 0, len(letters)
        with self.log.transaction() as txn:
            txn.resolve_letters([one.id for one in letters if one.id is not None], f"edited copy {sha256}")
        return len(letters), 0

    def replay(
        self,
        topic: str,
        start: datetime,
        end: datetime,
        now: datetime,
        progress: Progress | None = None,
        how: How | None = None,
    ) -> Rebuilt:
        """Rebuild a span of a feed from raw bytes."""
        return self.rebuilder.rebuild(sources()[topic], start, end, now, progress, how)

    def release(self, topic: str, day: date | None, ids: Sequence[str], decision: Release) -> Released:
        """Let held rows go out by a person's decision, and carry them."""
        done = self.releaser.release(sources()[topic], day, ids, decision)
        for step in (self.projector.step, self.lakekeeper.step):
            while step():
                pass
        return done

    def prove(self, topic: str, start: datetime, end: datetime) -> Proof:
        """What the market days of a span were made of, and what they hold now."""
        return self.prover.prove(sources()[topic], start, end)

    def _raw_record(self, letter: Letter) -> Record:
        topic = "raw." + letter.topic.removeprefix("dlq.")
        for record in records_of(self.log, topic):
            if record.headers["sha256"] == letter.payload:
                return record
        raise Carbon254Error(f"the payload {letter.payload} of letter {letter.id} is not in the raw log")


def trouble_of(fetched: Fetched) -> str:
    """Why a request failed; empty where it did not."""
    return fetched.error if fetched.state == "failed" else ""


def fetch(
    fetcher: Fetcher,
    inbox: Inbox,
    topic: str,
    start: datetime,
    end: datetime,
    locations: Sequence[str] = (),
    public: bool = False,
) -> Iterator[Fetched]:
    """Ask the provider for [start, end) in UTC, and put every whole answer in the inbox.

    With `public`, or where there is no key and the card names files that need none, those are asked for. Raises
    WrongQuestion where `public` is wanted of a feed without such files.
    """
    source = feed(topic)
    if public and source.stream.public is None:
        some = ", ".join(name for name, found in sorted(feeds().items()) if found.stream.public)
        raise WrongQuestion(f"{topic} has no public files beside what its provider's key opens; these have: {some}")
    for request in source.requests(start, end, locations, public or keyless(fetcher, source.stream)):
        yield _ask(fetcher, inbox, source, request)


def keyless(fetcher: Fetcher, stream: Stream) -> bool:
    """Whether the public files of a feed are asked for, since its provider's key is not set."""
    return stream.public is not None and not fetcher.keyed(stream.provider)


def _ask(fetcher: Fetcher, inbox: Inbox, source: Feed, request: Request) -> Fetched:
    provider = source.stream.provider
    try:
        walked = walk(lambda one: fetcher.get(provider, one), source, request, fetcher.pause)
    except NotPublished as error:
        return Fetched(request, "unpublished", error=str(error))
    except Carbon254Error as error:
        return Fetched(request, "failed", error=str(error))
    answer = walked.answer
    if answer.not_modified:
        return Fetched(request, "repeated")
    if request.public and (page := page_told(answer.data)):
        # A site for people may answer a program with a page of its own: that is no file of the provider's.
        return Fetched(request, "failed", error=f"{answer.url}: {page}. {BY_HAND}")
    arrived = Arrived(source.topic, answer.data, walked.name, answer.received_at, request.subject, answer.url)
    empty = source.unpublished(walked.name, answer.data)
    taken = inbox.take(arrived)
    if empty:
        # Never asked for conditionally: "not modified" would hide that there is still nothing.
        return Fetched(request, "unpublished", len(answer.data), empty, taken)
    # Only what is stored may be asked for conditionally: a crash in between must ask for the bytes again. The first of
    # several pages may be as it was while another is not.
    if walked.pages == 1:
        fetcher.remember(answer)
    return Fetched(request, "new" if taken.new else "repeated", len(answer.data), taken=taken)


def sources() -> Mapping[str, Source]:
    """Every feed as the engine knows it."""
    return {topic: _source(found) for topic, found in feeds().items()}


def _source(found: Feed) -> Source:
    def parse(name: str, data: bytes) -> Iterator[Rows]:
        return found.read(name, data)

    rules = read_rules(found.quality(), found.stream, f"{found.package.replace('.', '/')}/quality.yaml")
    code = code_version(found.package)
    return Source(
        found.stream, found.package, found.places(), parse, carbon254.__version__, code, rules, found.instruments()
    )
