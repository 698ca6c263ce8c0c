"""One error family. What can be tried again and what must be given up are told apart by type.

Carbon254Error
├── TransientError            the same call may go through later
│   ├── Throttled             the provider asked us to wait (carries `retry_after_s`)
│   ├── NotPublished          the provider has not published this span yet
│   ├── ShortAnswer           an answer that does not hold what it announces
│   └── CircuitOpen           the host failed too often; we are leaving it alone
└── PermanentError            trying again changes nothing
    ├── PayloadRefused        bytes that are not what the feed publishes
    │   └── NothingYet        a sound answer without rows: nothing is published for the span yet
    ├── FetchFailed           the provider refused the request
    ├── WrongQuestion         what was asked cannot be, whatever is stored; the message says what to write instead
    │   ├── UnknownName       nothing is called like this; the message has the nearest names
    │   │   ├── UnknownFeed   no card has this topic
    │   │   └── UnknownPlace  no place of the market ever had this name
    │   ├── AmbiguousPlace    a name that several places have
    │   ├── WrongSpan         a span whose end is not after its start
    │   ├── SeveralRuns       several market runs answer, and none was named; the message lists them
    │   ├── EmulatedData      real and emulated data would come together in one workspace
    │   ├── UnitError         quantities that do not convert or add as asked
    │   │   ├── UnknownUnit   no such unit; the nearest known one is named
    │   │   ├── AmbiguousUnit a spelling that two people read in two ways
    │   │   ├── UnitMismatch  units, bases or currencies that do not go together
    │   │   └── MissingBasis  a figure without its date, base conditions, HHV/LHV basis, length or rate
    │   ├── BadLabel          a market label that names no instant, or two
    │   ├── UnknownProduct    no calendar, region, block, contract or strip is written like this
    │   └── SettingsError     a setting that cannot work, with the line to write
    ├── CorruptRecord         stored bytes that do not match their checksum
    ├── CorruptPayload        an archived payload that does not match its name
    ├── WorkspaceError        wrong format version, already open, disk budget used up
    │   ├── NoWorkspace       nothing, something else or a torn marker is there; a WrongQuestion too
    │   └── DiskTrouble       what the disk refused: DiskFull, DiskRefused (may not be written or read), DiskFailing
    ├── ReferenceRefused      a reference database or a list of places that cannot be taken as it is
    └── QueryRefused          SQL that is not one read-only statement, or one that failed
        └── UnknownRung       no settlement rung of the market is called like this; an UnknownName too

`RunsMixed` is a warning: rows of several market runs came together because none was named.
"""

from __future__ import annotations


class Carbon254Error(Exception):
    """Root of every error this package raises on purpose."""


class TransientError(Carbon254Error):
    """The same call may go through later."""


class Throttled(TransientError):
    """The provider asked us to wait `retry_after_s` seconds."""

    def __init__(self, message: str, retry_after_s: float) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class NotPublished(TransientError):
    """The provider has not published this span yet."""


class ShortAnswer(TransientError):
    """An answer that does not hold what it announces: a page is short, or a file was cut."""


class CircuitOpen(TransientError):
    """The host failed too often in a row; calls are withheld until it has had time to heal."""


class PermanentError(Carbon254Error):
    """Trying again changes nothing."""


class WrongQuestion(PermanentError):
    """What was asked cannot be, whatever is stored: a command ends with exit code 2 and one line that says what to
    write instead."""


class PayloadRefused(PermanentError):
    """Bytes that are not what the feed publishes; the message says why and is kept with the dead letter."""


class NothingYet(PayloadRefused):
    """A sound answer that has no rows: the provider has nothing for the span yet. Not a dead letter."""


class FetchFailed(PermanentError):
    """The provider refused the request."""


class UnknownName(WrongQuestion):
    """Nothing is called like this; the message has the nearest names."""


class UnknownFeed(UnknownName):
    """No card declares this topic."""


class WrongSpan(WrongQuestion):
    """A span whose end is not after its start; spans are [start, end)."""


class SeveralRuns(WrongQuestion):
    """Several market runs answer, and none was named; the message lists them."""


class RunsMixed(FutureWarning):
    """Rows of several market runs came together because none was named; with C254_STRICT=1 this is SeveralRuns."""


class EmulatedData(WrongQuestion):
    """Real and emulated data would come together in one workspace; the message says where each belongs."""


class UnitError(WrongQuestion):
    """Quantities that do not convert or add as asked; the message says what to write."""


class UnknownUnit(UnitError):
    """No such unit; the message names the nearest known one."""


class AmbiguousUnit(UnitError):
    """A spelling that two people read in two ways; the message names both."""


class UnitMismatch(UnitError):
    """Units, bases or currencies that do not go together."""


class MissingBasis(UnitError):
    """A figure without its date, base conditions, HHV/LHV basis, interval length or exchange rate."""


class BadLabel(WrongQuestion):
    """A market time label that names no instant, or two."""


class UnknownProduct(WrongQuestion):
    """No calendar, region, block, contract or strip is written like this; the message lists what is known."""


class CorruptRecord(PermanentError):
    """Stored bytes that do not match their checksum; they are never served."""


class CorruptPayload(PermanentError):
    """An archived payload whose bytes do not match the SHA-256 that names it; it is never parsed."""


class WorkspaceError(PermanentError):
    """The workspace cannot be opened or written as asked."""


class NoWorkspace(WorkspaceError, WrongQuestion):
    """Nothing, something else, or a torn marker is where a workspace was looked for."""


class DiskTrouble(WorkspaceError):
    """The disk refused; the message names the folder and what to do."""


class DiskFull(DiskTrouble):
    """No space is left, or the user's share of it is used up."""


class DiskRefused(DiskTrouble):
    """The folder may not be written, or not be read, by this user here."""


class DiskFailing(DiskTrouble):
    """The disk cannot read or write what it should."""


class SettingsError(WrongQuestion):
    """A setting that cannot work; the message names the line to write."""


class ReferenceRefused(PermanentError):
    """A reference database or a list of places that cannot be taken as it is; the message says what to do."""


class UnknownPlace(UnknownName):
    """No place of the market ever had this name; the message has the nearest ones."""


class AmbiguousPlace(WrongQuestion):
    """Several places have this name; the message lists them."""


class QueryRefused(PermanentError):
    """SQL that is not one read-only statement, or that the engine refused."""


class UnknownRung(QueryRefused, UnknownName):
    """No settlement rung is called like this; the message lists the market's own."""
