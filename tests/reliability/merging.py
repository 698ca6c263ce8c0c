"""A process that keeps a lake up while others append: python -m reliability.merging LAKE ENDS.

It merges and forgets until the file ENDS is there. What it loses to others it does again.
"""

from __future__ import annotations

import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from carbon254.stores.lake import open_lake

from .appending import TABLE


def main(folder: Path, ends: Path) -> None:
    lake = open_lake(folder)
    while not ends.exists():
        now = datetime.now(UTC)
        list(lake.compact(TABLE, now + timedelta(days=1)))
        lake.expire(TABLE, now - timedelta(seconds=3))
        time.sleep(0.2)
    lake.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
