"""The hot store: ClickHouse in process or on a server, chosen by URL."""

from .clickhouse import HotStore, open_hot
from .port import Limits

__all__ = ["HotStore", "Limits", "open_hot"]
