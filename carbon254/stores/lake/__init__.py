"""The lake: every row for good, in open Iceberg tables that other engines read."""

from .datasets import load

load()

from .compacting import Compacted  # noqa: E402
from .expiring import Expired  # noqa: E402
from .iceberg import Lake  # noqa: E402
from .lying import Lying, Part  # noqa: E402
from .opening import open_lake  # noqa: E402
from .port import LakeStore  # noqa: E402
from .positions import Again, Following, Position  # noqa: E402
from .rest import rest_properties  # noqa: E402
from .seals import Broken  # noqa: E402
from .sweeping import Orphan  # noqa: E402

__all__ = [
    "Again",
    "Broken",
    "Compacted",
    "Expired",
    "Following",
    "Lake",
    "LakeStore",
    "Lying",
    "Orphan",
    "Part",
    "Position",
    "open_lake",
    "rest_properties",
]
