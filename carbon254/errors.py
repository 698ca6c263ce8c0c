"""One error family. What can be tried again and what must be given up are told apart by type.

Carbon254Error
├── TransientError            the same call may go through later
│   ├── Throttled             the provider asked us to wait (carries `retry_after_s`)
│   ├── NotPublished          the provider has not published this span yet
│   └── CircuitOpen           the host failed too often; we are leaving it alone
└── PermanentError            trying again changes nothing
    ├── PayloadRefused        bytes that are not what the feed publishes
    │   └── NothingYet        a sound answer without rows: nothing is published for the span yet
    ├── FetchFailed           the provider refused the request
    ├── UnknownFeed           no card has this topic
    ├── BadLabel              a market label that names no instant, or two
    ├── CorruptRecord         stored bytes that do not match their checksum
    ├── CorruptPayload        an archived payload that does not match its name
    ├── WorkspaceError        wrong format version, already open, disk budget used up
    ├── SettingsError         a setting that cannot work, with the line to write
    └── QueryRefused          SQL that is not one read-only statement, or one that failed
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


class CircuitOpen(TransientError):
    """The host failed too often in a row; calls are withheld until it has had time to heal."""


class PermanentError(Carbon254Error):
    """Trying again changes nothing."""


class PayloadRefused(PermanentError):
    """Bytes that are not what the feed publishes; the message says why and is kept with the dead letter."""


class NothingYet(PayloadRefused):
    """A sound answer that has no rows: the provider has nothing for the span yet. Not a dead letter."""


class FetchFailed(PermanentError):
    """The provider refused the request."""


class UnknownFeed(PermanentError):
    """No card declares this topic."""


class BadLabel(PermanentError):
    """A market time label that names no instant, or two."""


class CorruptRecord(PermanentError):
    """Stored bytes that do not match their checksum; they are never served."""


class CorruptPayload(PermanentError):
    """An archived payload whose bytes do not match the SHA-256 that names it; it is never parsed."""


class WorkspaceError(PermanentError):
    """The workspace cannot be opened or written as asked."""


class SettingsError(PermanentError):
    """A setting that cannot work; the message names the line to write."""


class QueryRefused(PermanentError):
    """SQL that is not one read-only statement, or that the engine refused."""
