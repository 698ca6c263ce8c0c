"""The raw archive: every byte as it came."""

from .archive import Provenance, RawArchive, RawRef, open_raw

__all__ = ["Provenance", "RawArchive", "RawRef", "open_raw"]
