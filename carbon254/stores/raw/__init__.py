"""The raw archive: every byte as it came, in a folder or on S3 by URL."""

from .archive import RawArchive, RawRef
from .held import Held
from .listing import Arrival, arrivals_in
from .notes import Provenance
from .opening import open_raw

__all__ = ["Arrival", "Held", "Provenance", "RawArchive", "RawRef", "arrivals_in", "open_raw"]
