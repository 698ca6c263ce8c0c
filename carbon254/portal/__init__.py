"""The portal: one page over the API, its files in this package, nothing fetched from elsewhere."""

from .page import mount

__all__ = ["mount"]
