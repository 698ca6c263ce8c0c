"""A process that consumes, processes and produces on Kafka until it is told to stop: what the chaos tests kill.

    python kafka_copier.py BOOTSTRAP PREFIX FOLDER

Each record of `raw.a` becomes one of `rows.a`, with the offset in the same transaction. Prints a line a step.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from carbon254.errors import TransientError
from carbon254.stores.log import NewRecord
from carbon254.stores.log.kafka import Cluster, KafkaLog


def copy(log: KafkaLog) -> int:
    """Carry what is pending; how many records."""
    records = log.read("n", "raw.", 20)
    if records:
        with log.transaction() as txn:
            txn.append([NewRecord("rows.a", None, {}, one.body) for one in records])
            txn.commit("n", "raw.a", records[-1].offset)
    return len(records)


def main() -> None:
    """Copy for ever; a broker that is away is waited for."""
    bootstrap, prefix, folder = sys.argv[1:]
    log = KafkaLog(Cluster(bootstrap, prefix=prefix, transaction_s=3.0), Path(folder), make=True)
    while True:
        try:
            carried = copy(log)
        except TransientError as error:
            sys.stdout.write(f"waits: {error}\n")
            carried = 0
        sys.stdout.write(f"{carried}\n")
        sys.stdout.flush()
        if not carried:
            time.sleep(0.05)


if __name__ == "__main__":
    main()
