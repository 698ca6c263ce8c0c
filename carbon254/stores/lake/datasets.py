"""pyarrow's datasets, which the lake's library is built on, loaded without pandas.

While they are imported they look whether pandas is there by importing it: half a second, and 40 MB that nothing here
asks for. Told that it cannot be had now, they look again when a table is first asked for as a pandas frame.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

_PANDAS, _DATASETS = "pandas", "pyarrow.dataset"


class _NotNow(MetaPathFinder):
    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname == _PANDAS:
            raise ModuleNotFoundError("pandas is loaded when a frame of it is asked for", name=_PANDAS)
        return None


def load() -> None:
    """Import them, unless they are; pandas that is there already stays."""
    if _DATASETS in sys.modules or _PANDAS in sys.modules:
        return
    not_now = _NotNow()
    sys.meta_path.insert(0, not_now)
    try:
        importlib.import_module(_DATASETS)
    finally:
        sys.meta_path.remove(not_now)
