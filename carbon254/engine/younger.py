"""A log that is younger than the stores: its file is gone, or was restored from an older copy.

Offsets are positions that the lake has seen and never goes back behind: what a younger log carries under
offsets that were given before would not reach it, without a word. So its next offsets begin beyond theirs.
"""

from __future__ import annotations

import structlog

from carbon254.model import catalogue
from carbon254.stores.hot import HotStore
from carbon254.stores.lake import Lake
from carbon254.stores.log import Log


def begin_beyond_stores(log: Log, hot: HotStore, lake: Lake) -> int:
    """Let a younger log's next offset be higher than any that the lake has seen; how many offsets it leaves out.

    A log on a server gives its own offsets: it is left as it is.
    """
    seen = max(*(lake.offset(name) for name in catalogue()))
    behind = seen - log.end_offset()
    if behind <= 0 or not log.begin_beyond(seen):
        return 0
    structlog.get_logger().warning(
        "the log is younger than the stores: it was restored from an older copy, or is new; payloads that it does not "
        "know are taken in again when they are fetched, and no replay takes away what it cannot make",
        offsets=behind,
    )
    return behind
