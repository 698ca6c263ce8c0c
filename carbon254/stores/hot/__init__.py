"""The hot store: what readers query. ClickHouse, embedded or a server, chosen by URL."""

from .clickhouse import HotStore, open_hot
from .port import Hot, Limits

__all__ = ["Hot", "HotStore", "Limits", "open_hot"]
