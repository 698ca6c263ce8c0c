"""What the reading side is handed: open stores, the inbox, and the feeds' cards as data."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from carbon254.clock import Clock
from carbon254.errors import Carbon254Error
from carbon254.ingest import Inbox
from carbon254.model import Stream
from carbon254.stores.cache import LatestPrices
from carbon254.stores.hot import HotStore
from carbon254.stores.ledger import Ledger
from carbon254.stores.log import Log
from carbon254.telemetry import Metrics

from .notary import Notary

# Which topics each consumer carries.
CONSUMERS = {"normalise": "raw.", "project": "rows.", "bars": "rows.", "lake": "rows."}


@dataclass
class Rooms:
    """The open rooms of a node. `ready` names consumers in trouble and why; empty means none is.

    Set `closing` when the node is asked to stop, so that live streams end and the server can drain.
    """

    hot: HotStore
    cache: LatestPrices
    log: Log
    ledger: Ledger
    inbox: Inbox
    clock: Clock
    metrics: Metrics
    streams: Mapping[str, Stream]
    ready: Callable[[], Mapping[str, str]]
    notary: Notary
    closing: threading.Event = field(default_factory=threading.Event)

    def trouble(self) -> dict[str, str]:
        """Every reason not to be ready, by name."""
        found = dict(self.ready())
        try:
            self.hot.query("SELECT 1")
        except (Carbon254Error, OSError) as error:
            found["hot store"] = f"it does not answer: {error}"
        return found

    def lags(self) -> dict[str, int]:
        """Records each consumer has yet to carry."""
        return {name: self.log.lag(name, prefix) for name, prefix in CONSUMERS.items()}
