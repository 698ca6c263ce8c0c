"""Ticks pushed to Kafka → enriched Avro records, by the stages of a node.

ours.py BOOTSTRAP PREFIX REGISTRY FOLDER
"""

from __future__ import annotations

import sys
import threading
from pathlib import Path

from carbon254.app import SHARES, open_node
from carbon254.settings import Settings

bootstrap, prefix, registry, folder = sys.argv[1:]
carries = ("intake", "normalise", "publish")
settings = Settings(
    workspace=Path(folder), kafka_bootstrap=f"kafka://{bootstrap}", kafka_prefix=prefix, schema_registry=registry
)
with open_node(settings, {}, shares={name: SHARES[name] for name in ("normalise", "publish")}) as node:
    node.runner.start(carries)
    threading.Event().wait()
