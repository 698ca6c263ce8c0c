"""One word → one unit. What reads two ways is refused, what is unknown is answered with the nearest known spelling."""

from __future__ import annotations

import difflib
import re

from carbon254.errors import AmbiguousUnit, UnknownUnit

from .table import UnitDef, table

_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻µ", "0123456789-u")
_ALREADY_CLEAR = re.compile(r"^(wmo)?unit:", re.IGNORECASE)


def look_up(word: str) -> UnitDef:
    """The unit a word names: as written first, then in any case.

    Raises AmbiguousUnit naming both meanings, or UnknownUnit naming the nearest spelling.
    """
    found = _found(word)
    if found is None:
        raise UnknownUnit(f"{word!r} is not a unit known here{nearest(word)}; c254 units --list shows them all")
    return found


def known(word: str) -> bool:
    """Whether a word names a unit, or would if it read one way only."""
    try:
        return _found(word) is not None
    except AmbiguousUnit:
        return True


def nearest(word: str) -> str:
    """`; did you mean …?` with the closest spellings, or nothing."""
    length = len(word) / 2
    spelled = {name.casefold(): unit.symbol for name, unit in table().exactly.items() if len(name) > length}
    close = difflib.get_close_matches(word.casefold(), spelled, n=3, cutoff=0.6)
    symbols = list(dict.fromkeys(spelled[name] for name in close))
    return f"; did you mean {' or '.join(symbols)}?" if symbols else ""


def tidy(text: str) -> str:
    """A unit's text with phrases, powers and signs in the one form the grammar reads."""
    text = _ALREADY_CLEAR.sub("", " ".join(text.split()))
    text = re.sub(r"(?<=[A-Za-z)])([⁻]?[⁰¹²³⁴⁵⁶⁷⁸⁹]+)", lambda power: f"^{power[1].translate(_SUPERSCRIPTS)}", text)
    text = text.replace("**", "^").replace("·", "*").replace("×", "*").replace("⋅", "*").replace("∆", "Δ")
    text = re.sub(r"\b(m|ft)\^?3\b", r"\g<1>3", text)
    for phrase, unit in table().phrases:
        if phrase.split()[0].split("-")[0] in text.casefold():
            text = re.sub(rf"(?<![\w-]){re.escape(phrase)}(?![\w-])", unit, text, flags=re.IGNORECASE)
    text = re.sub(r"\s+per\s+", "/", text, flags=re.IGNORECASE)
    return re.sub(r"\s*([/*^])\s*", r"\1", text).strip()


def _found(word: str) -> UnitDef | None:
    known_units = table()
    if word in known_units.exactly:
        return known_units.exactly[word]
    folded = word.casefold()
    meanings = known_units.ambiguous_exactly.get(word) or (
        known_units.ambiguous.get(word if len(word) == 1 else folded)
    )
    if meanings:
        raise AmbiguousUnit(f"{word!r} reads two ways: {meanings}")
    return known_units.folded.get(folded) if len(word) > 1 else None
