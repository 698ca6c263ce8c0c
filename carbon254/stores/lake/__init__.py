"""The lake: every row for good, in open Iceberg tables that other engines read."""

from .iceberg import Lake, open_lake
from .port import LakeStore
from .seals import Broken

__all__ = ["Broken", "Lake", "LakeStore", "open_lake"]
