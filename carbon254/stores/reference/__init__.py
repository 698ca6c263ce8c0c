"""The reference store: places with their history and names, instruments, taxonomy, metadata. SQLite or Postgres."""

from .loading import Loaded
from .naming import Link, Resolved
from .store import Reference, market_name, open_reference
from .tables import KINDS

__all__ = ["KINDS", "Link", "Loaded", "Reference", "Resolved", "market_name", "open_reference"]
