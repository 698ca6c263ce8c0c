"""The names a question may use: markets, runs, places, instruments, feeds, datasets; case mended, typos refused."""

from .asked import Asked, in_order, sender
from .vocabulary import Listed, Vocabulary

__all__ = ["Asked", "Listed", "Vocabulary", "in_order", "sender"]
