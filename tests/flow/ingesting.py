"""A process that takes emulated market days through the whole flow: what the kill test kills.

python -m flow.ingesting WORKSPACE EMULATOR_URL MARKET_DAY
"""

from __future__ import annotations

import sys
from datetime import date, timedelta
from pathlib import Path

from carbon254.app import open_node
from carbon254.calendars import market_day_span
from carbon254.feeds import feed
from carbon254.settings import Settings

TOPICS = (
    "iso.da.lmp.spp",
    "iso.rt.lmp.isone",
    "iso.da.lmp.caiso",
    "iso.rt.lmp.nyiso",
    "iso.da.lmp.pjm",
    "iso.da.lmp.ercot",
    "iso.da.lmp.miso",
)


def main(workspace: Path, emulator_url: str, day: date) -> None:
    with open_node(Settings(workspace=workspace, emulator_url=emulator_url), {}) as node:
        node.runner.start()
        for topic in TOPICS:
            clock = feed(topic).stream.clock
            start, end = market_day_span(day, clock)[0], market_day_span(day + timedelta(days=1), clock)[1]
            for fetched in node.pipeline.fetch(topic, start, end):
                if fetched.state == "failed":
                    raise SystemExit(fetched.error)
        node.runner.stop()
        node.runner.drain()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], date.fromisoformat(sys.argv[3]))
