"""The vocabulary, as tables: datasets, flags, and what a feed says about itself."""

from .dataset import Column, Dataset, catalogue, dataset
from .flags import Flag, describe_flags
from .source import Access, Provider, Public, Publication, Rounding, Stream, by_run

__all__ = [
    "Access",
    "Column",
    "Dataset",
    "Flag",
    "Provider",
    "Public",
    "Publication",
    "Rounding",
    "Stream",
    "by_run",
    "catalogue",
    "dataset",
    "describe_flags",
]
