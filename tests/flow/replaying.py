"""A process that replays a feed and stops where it is told to: what the tests of leases kill and pause.

python -m flow.replaying WORKSPACE LEDGER_URL PLACE
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path

from flow.conftest import NOW

from carbon254.app import open_node
from carbon254.clock import ManualClock
from carbon254.faults import armed
from carbon254.settings import Settings

FEED = "iso.rt.lmp.spp"
SPAN = datetime(2025, 7, 1, 5, tzinfo=UTC), datetime(2025, 7, 2, 5, tzinfo=UTC)


def main(workspace: Path, ledger_url: str, place: str) -> None:
    def wait(name: str) -> None:
        if name == place:
            print("reached", flush=True)
            sys.stdin.readline()

    settings = Settings(workspace=workspace, ledger_url=ledger_url)
    with open_node(settings, {}, ManualClock(NOW)) as node, armed(wait):
        done = node.pipeline.replay(FEED, *SPAN, NOW)
        print(f"rebuilt {done.rows}", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3])
