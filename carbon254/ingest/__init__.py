"""The way in: every byte is archived, then noted in the raw log. Nothing is parsed here."""

from .inbox import Accepted, Arrived, Inbox

__all__ = ["Accepted", "Arrived", "Inbox"]
