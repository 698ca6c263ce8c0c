"""What the reading side is handed: open stores, the inbox, and the feeds' cards as data."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from carbon254.clock import Clock
from carbon254.ingest import Inbox
from carbon254.model import Stream
from carbon254.names import Listed, Vocabulary
from carbon254.stores.cache import Cache
from carbon254.stores.hot import HotStore
from carbon254.stores.ledger import Ledger
from carbon254.stores.log import Log
from carbon254.telemetry import Metrics

from .doors import Ask, Doors
from .notary import Notary
from .turns import Allowed

# Which topics each consumer carries.
CONSUMERS = {"normalise": "raw.", "project": "rows.", "lake": "rows."}


@dataclass
class Rooms:
    """The open rooms of a node. `ready` names consumers in trouble and why; empty means none is.

    `asks` are the rooms that the node cannot do without, each with a call that raises where it does not answer. Set
    `closing` when the node is asked to stop, so that live streams end and the server can drain. `strict` refuses what
    mixes market runs, which is told else; `emulated` says that the data are no provider's; `notes` is what was healed
    when the workspace was opened.
    """

    hot: HotStore
    cache: Cache
    log: Log
    ledger: Ledger
    inbox: Inbox
    clock: Clock
    metrics: Metrics
    streams: Mapping[str, Stream]
    ready: Callable[[], Mapping[str, str]]
    notary: Notary
    closing: threading.Event = field(default_factory=threading.Event)
    asks: Mapping[str, Ask] | None = None
    reference: Listed | None = None
    strict: bool = False
    emulated: bool = False
    allowed: Allowed = field(default_factory=Allowed)
    notes: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.names = Vocabulary(self.streams, self.hot.fetch, self.reference)
        asks = {"hot store": lambda: self.hot.fetch("SELECT 1")} if self.asks is None else self.asks
        self._doors = Doors(asks)

    def trouble(self) -> dict[str, str]:
        """Every reason not to be ready, by name."""
        found = dict(self.ready())
        if told := self.log.trouble():
            found["log"] = told
        if self.closing.is_set():
            found["node"] = "it is stopping"
        return found | self._doors.trouble()

    def lags(self) -> dict[str, int]:
        """Records each consumer has yet to carry."""
        more = {"publish": "rows."} if self.log.publishes else {}
        return {name: self.log.lag(name, prefix) for name, prefix in (CONSUMERS | more).items()}
