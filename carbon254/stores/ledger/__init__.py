"""The ledger: states, watermarks and checksums of each feed and partition."""

from .ledger import Entry, IllegalTransition, Ledger, Noted, open_ledger

__all__ = ["Entry", "IllegalTransition", "Ledger", "Noted", "open_ledger"]
