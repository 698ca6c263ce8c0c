"""A local server that speaks each provider's own format, its faults and late revisions included."""

from .server import Emulator, running, serve

__all__ = ["Emulator", "running", "serve"]
