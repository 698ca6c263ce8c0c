"""carbon254: market prices from wire bytes to SQL, Python and a live page, as they were known at any past moment.

>>> import carbon254 as c
>>> w = c.open()
>>> w.sql("SELECT market, count() FROM interval_prices GROUP BY market").to_polars()
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from carbon254.reader import Reader

__version__ = "0.1.0"
__all__ = ["__version__", "open"]


def open(workspace: str | Path | None = None) -> Reader:
    """A reader of a workspace: through its running node where there is one, else by opening it here.

    Where none is named it is the folder `workspace`, or the demo's `demo-workspace` where only that is there.
    """
    from carbon254.reader import open_reader

    return open_reader(workspace)
