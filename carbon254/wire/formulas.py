"""Text that a spreadsheet would run as a formula when it opens a CSV file (CVE-2021-41270; OWASP, CSV injection)."""

from __future__ import annotations

# How such a cell begins; the wide forms are read as the narrow ones.
BEGINNINGS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def defused(text: str) -> str:
    """The text as it may stand in a cell: with a leading quote where a spreadsheet would run it."""
    return f"'{text}" if text.startswith(BEGINNINGS) else text
