"""A real process that is killed: takes deliveries one after the other, carries them on threads, commits to the lake.

python -m reliability.living WORKSPACE FIRST ACKS     each acknowledgement is a line in ACKS
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from carbon254.app import open_node
from carbon254.clock import ManualClock
from carbon254.settings import Settings

from .deliveries import NOW, arrived


def main(workspace: Path, first: int, acks: Path) -> None:
    handle = os.open(acks, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    with open_node(Settings(workspace=workspace), {}, ManualClock(NOW)) as node:
        os.write(handle, b"open\n")
        node.runner.start()
        for number in range(first, first + 1_000):
            node.pipeline.inbox.accept(arrived(number))
            os.write(handle, b"%d\n" % number)
            if number % 3 == 0:
                node.pipeline.lakekeeper.step()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))
