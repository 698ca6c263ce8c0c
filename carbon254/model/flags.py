"""Quality flags: a bit set stored with every row, so that a reader can see what was assumed.

A row with flags 0 was received as published and passed every check. Bits are never reused.
"""

from __future__ import annotations

from enum import IntFlag


class Flag(IntFlag):
    """One bit each; the sentence is what the reference page prints."""

    ASSUMED_KNOWN_AT = 1, "known_at was not observed: it is the interval plus the card's publication delay"
    NO_OFFSET = 2, "the provider's time had no offset; it was read as UTC"
    INCOMPLETE_COMPONENTS = 4, "the published components do not add up to the price, or one of them is missing"
    DERIVED_ENERGY = 8, "the energy component was derived from price, congestion and loss"
    RETRACTED = 16, "the location is missing from a corrected file that is complete: its price was withdrawn"
    NOT_CURRENT = 32, "the provider itself marks this version as superseded"
    AMBIGUOUS_TIME = (
        64,
        "a repeated hour whose pass no mark of its own tells: taken by the order of rows, else as the first",
    )
    OFF_GRID = 128, "the interval does not end on the stream's grid (an extra market run)"
    LATE = 256, "received later than the stream's service level allows"
    MISSING_PRICE = 512, "the provider published the interval without a price"
    PLACE_NOT_VALID = 1024, "the place is listed, and not for that time: not yet, or retired"
    RELEASED = 2048, "a quality check held the row, and a person released it"
    IMPLAUSIBLE = 4096, "unlike other prices (a lone spike, beyond the usual range), and nothing contradicts it"
    UNKNOWN_INSTRUMENT = (
        8192,
        "the instrument is not listed: its commodity, product tier and unit are not known",
    )
    CLOCK_AHEAD = 16384, "the event time lies after the arrival: the source's clock is ahead of ours"

    meaning: str

    def __new__(cls, value: int, meaning: str = "") -> Flag:
        member = int.__new__(cls, value)
        member._value_ = value
        member.meaning = meaning
        return member


def describe_flags(bits: int) -> list[str]:
    """Names of the flags set in `bits`, lowest bit first."""
    return [flag.name.lower() for flag in Flag if flag.name and bits & flag.value]
