"""A process that appends to a lake which others append to as well: python -m reliability.appending LAKE ACKS MANY.

It stores batch k+1 where the lake says that k is the last, as a consumer of the log does. Losing a race is an error of
the lake's; the process then looks again.
"""

from __future__ import annotations

import os
import sys
from datetime import date, timedelta
from pathlib import Path

from contract.given_rows import benchmark, shaped

from carbon254.stores.lake import open_lake

TABLE = "energy_prices"


def rows(number: int) -> object:
    """Batch `number`: three rows of its own."""
    day = date(2025, 1, 1) + timedelta(days=number % 300)
    return shaped(TABLE, [benchmark("oil", f"B{number}_{n}", day, float(number)) for n in range(3)])


def main(folder: Path, acks: Path, many: int) -> None:
    handle = os.open(acks, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    while True:
        try:
            lake = open_lake(folder)
            number = lake.offset(TABLE) + 1
            if number > many:
                return
            if lake.append({TABLE: rows(number)}, {TABLE: number}):
                os.write(handle, b"%d\n" % number)
            lake.close()
        except Exception as error:
            os.write(handle, f"lost {type(error).__name__}\n".encode())


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
