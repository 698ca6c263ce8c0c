"""The lake: every row for good, in open Iceberg tables that other engines read."""

from .compacting import Compacted
from .expiring import Expired
from .iceberg import Lake, open_lake
from .lying import Lying, Part
from .port import LakeStore
from .rest import rest_properties
from .seals import Broken
from .sweeping import Orphan

__all__ = [
    "Broken",
    "Compacted",
    "Expired",
    "Lake",
    "LakeStore",
    "Lying",
    "Orphan",
    "Part",
    "open_lake",
    "rest_properties",
]
