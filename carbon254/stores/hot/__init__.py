"""The hot store."""

from .interim import HotStore, open_hot
