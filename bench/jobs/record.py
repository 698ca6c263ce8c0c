"""The job on one tick, for engines that carry one at a time: JSON → defaults, taxonomy → a framed Avro record.

Written for the peers' own environment: nothing of carbon254 is imported here.
"""

from __future__ import annotations

import hashlib
import io
import json
import struct
import sys
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import fastavro
import orjson


class Job:
    """`told` is a file with the schema as JSON, its id at the registry, and the constants of the feed."""

    def __init__(self, told: str) -> None:
        facts = json.loads(Path(told).read_text("utf-8"))
        self._schema = fastavro.parse_schema(facts["schema"])
        self._head = struct.pack(">bI", 0, facts["id"])
        self._fixed = facts["fixed"]

    def carry(self, value: bytes) -> tuple[bytes, bytes]:
        """(key, Avro message) of a tick."""
        row = self._enriched(orjson.loads(value), value)
        out = io.BytesIO()
        out.write(self._head)
        fastavro.schemaless_writer(out, self._schema, row)
        return row["instrument"].encode(), out.getvalue()

    def _enriched(self, tick: dict[str, Any], value: bytes) -> dict[str, Any]:
        at = datetime.fromisoformat(tick["time"])
        if tick["price"] is None or tick["quantity"] < 0:
            raise ValueError("a tick without a price, or with a negative quantity")
        return {
            **self._fixed, **tick, "event_time": at, "tenant": "public", "market": "PUSHED", "flags": 0,
            "sequence": Decimal(tick["sequence"]), "event_id": f"seq:{tick['sequence']}", "batch_id": "0",
            "received_at": datetime.now(UTC), "payload": hashlib.sha256(value).hexdigest(), "bid": None, "ask": None,
        }  # fmt: skip


def arguments() -> tuple[str, str, str, Job, list[str]]:
    """(bootstrap, topic in, topic out, the job, what else was said)."""
    bootstrap, source, target, told, *more = sys.argv[1:]
    return bootstrap, source, target, Job(told), more
