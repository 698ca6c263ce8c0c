"""Unit expressions: `USD/MWh`, `MMBtu/(MW*h)`, `$/MW-day`, `EUR MWh^-1` → one exact factor and its dimensions.

`/` and `*` are read from left to right; a space or a hyphen binds tighter, so `$/MW-day` is dollars per (MW × day), as
capacity auctions write it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

from carbon254.errors import UnitError

from .spelling import look_up, tidy
from .table import Dims, UnitDef, kinds

_LONGEST = 120
_BITS = 450  # beyond it the factor between two units might not fit a float
_TOKEN = re.compile(
    r"\s*(?:(?P<number>\d+(?:\.\d+)?(?:[eE][+-]?\d{1,2})?(?![A-Za-z\d]))|(?P<word>[A-Za-zΔ°€£¥¢$%µ][\w°€£¥¢$%]*)"
    r"|(?P<power>\^\s*[+-]?\d+)|(?P<sign>[-*/()]))"
)


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit as written: base units = scale × number + offset. `liquid` where its volume is of a liquid."""

    text: str
    dims: Dims
    scale: Fraction
    offset: Fraction = Fraction(0)
    liquid: bool = False

    @property
    def kind(self) -> str:
        """What it measures, in words: `energy`, `price of energy`, `heat content`, …"""
        return kind_of(self.dims)

    @property
    def currency(self) -> str | None:
        """The one currency it is in, if any."""
        codes = [name for name, _ in self.dims if _is_currency(name)]
        return codes[0] if len(codes) == 1 else None

    def power(self, name: str) -> int:
        """Its power of a base quantity, 0 where it has none."""
        return dict(self.dims).get(name, 0)

    def __str__(self) -> str:
        return self.text


@lru_cache(maxsize=4096)
def unit(text: str) -> Unit:
    """The unit that `text` writes.

    Raises UnknownUnit (with the nearest spelling), AmbiguousUnit (with both meanings), or UnitError where it is no
    expression.
    """
    if not isinstance(text, str):
        raise UnitError(f"a unit is text like 'MMBtu' or 'USD/MWh', not {type(text).__name__}")
    if len(text) > _LONGEST:
        raise UnitError(f"a unit of {len(text)} characters ({text[:20]!r}…) is none; write one like MMBtu or USD/MWh")
    tokens = _tokens(tidy(text), text)
    if not any(kind == "word" for kind, _ in tokens):
        raise UnitError(f"there is no unit in {text!r}; write one like MMBtu or USD/MWh")
    if len(tokens) == 1 and tokens[0][0] == "word":
        found = look_up(tokens[0][1])
        return Unit(found.symbol, found.dims, found.factor, found.offset, found.liquid)
    reader = _Reader(tokens, text)
    scale, dims = reader.quotient()
    reader.finish()
    return Unit(_shown(text), _sorted(dims), _countable(scale, text), liquid=reader.liquid)


class _Reader:
    """Reads tokens once, from left to right."""

    def __init__(self, tokens: list[tuple[str, str]], text: str) -> None:
        self._tokens, self._text, self._at = tokens, text, 0
        self.liquid = False

    def quotient(self) -> tuple[Fraction, dict[str, int]]:
        scale, dims = self._product()
        while (sign := self._peek()[1]) in ("/", "*"):
            self._at += 1
            factor, more = self._product()
            power = -1 if sign == "/" else 1
            scale, dims = scale * factor**power, _merged(dims, more, power)
        return scale, dims

    def finish(self) -> None:
        if self._at < len(self._tokens):
            raise UnitError(f"{self._text!r} cannot be read as a unit from {self._peek()[1]!r} on")

    def _product(self) -> tuple[Fraction, dict[str, int]]:
        """Factors side by side: a space or a hyphen between them."""
        scale, dims = self._factor()
        while self._peek()[0] in ("word", "number") or self._peek()[1] in ("-", "("):
            if self._peek()[1] == "-":
                self._at += 1
            factor, more = self._factor()
            scale, dims = scale * factor, _merged(dims, more, 1)
        return scale, dims

    def _factor(self) -> tuple[Fraction, dict[str, int]]:
        kind, text = self._peek()
        self._at += 1
        if kind == "number":
            found: tuple[Fraction, dict[str, int]] = (_positive(text, self._text), {})
        elif kind == "word":
            found = self._named(look_up(text))
        elif text == "(":
            found = self.quotient()
            if self._peek()[1] != ")":
                raise UnitError(f"{self._text!r} opens a bracket that nothing closes")
            self._at += 1
        else:
            raise UnitError(
                f"{self._text!r} is not a unit: {f'{text!r} stands' if text else 'it ends'} where one should"
            )
        return self._raised(found)

    def _raised(self, found: tuple[Fraction, dict[str, int]]) -> tuple[Fraction, dict[str, int]]:
        if self._peek()[0] != "power":
            return found
        power = int(self._peek()[1].lstrip("^").replace(" ", ""))
        self._at += 1
        if not -9 <= power <= 99 or power == 0:
            raise UnitError(f"{self._text!r} raises a unit to the power {power}")
        raised = found[0] ** power
        return _countable(raised, self._text), {name: value * power for name, value in found[1].items()}

    def _named(self, found: UnitDef) -> tuple[Fraction, dict[str, int]]:
        if found.offset:
            raise UnitError(
                f"{self._text!r} multiplies {found.symbol}, whose zero is not zero heat; "
                f"write delta_{found.symbol} for a difference of temperatures"
            )
        self.liquid = self.liquid or found.liquid
        return found.factor, dict(found.dims)

    def _peek(self) -> tuple[str, str]:
        return self._tokens[self._at] if self._at < len(self._tokens) else ("end", "")


def _tokens(text: str, given: str) -> list[tuple[str, str]]:
    # `MWh-1` is a power as papers write it; `MW-day` is a product.
    text = re.sub(r"(?<=[A-Za-z])-(?=\d)", "^-", text)
    found, at = [], 0
    while at < len(text.rstrip()):
        match = _TOKEN.match(text, at)
        if match is None:
            raise UnitError(f"{given!r} is not a unit: nothing here is written with {text[at:].strip()[:1]!r}")
        found.append((str(match.lastgroup), match[str(match.lastgroup)]))
        at = match.end()
    return found


def _positive(text: str, whole: str) -> Fraction:
    number = Fraction(text)
    if number <= 0:
        raise UnitError(f"{whole!r} has a factor of zero")
    return number


def _countable(scale: Fraction, text: str) -> Fraction:
    if scale.numerator.bit_length() + scale.denominator.bit_length() > _BITS:
        raise UnitError(f"{text!r} is too large or too small to count with")
    return scale


def _merged(one: dict[str, int], other: dict[str, int], power: int) -> dict[str, int]:
    return {name: one.get(name, 0) + power * other.get(name, 0) for name in {*one, *other}}


def _sorted(dims: dict[str, int]) -> Dims:
    return tuple(sorted((name, power) for name, power in dims.items() if power))


def _shown(text: str) -> str:
    return tidy(text).replace("US$", "USD").replace("$/", "USD/") if text.startswith(("$", "US$")) else tidy(text)


def _is_currency(name: str) -> bool:
    return len(name) == 3 and name != "eta"


_KINDS: dict[Dims, str] = {
    (("E", 1), ("V", -1)): "heat content of a volume",
    (("E", 1), ("M", -1)): "heat content of a mass",
    (("M", 1), ("V", -1)): "density",
    (("T", -1), ("V", 1)): "volume a time",
    (("M", 1), ("T", -1)): "mass a time",
    (("E", -1), ("M", 1)): "emission rate",
    (): "heat rate",
}


@lru_cache(maxsize=256)
def kind_of(dims: Dims) -> str:
    """What such dimensions measure, in words."""
    for name, known in kinds().items():
        if known == dims and name != "currency":
            return name
    if dims in _KINDS:
        return _KINDS[dims]
    money = [(name, power) for name, power in dims if _is_currency(name)]
    rest = tuple(pair for pair in dims if pair not in money)
    if len(money) == 1 and money[0][1] == 1:
        below = tuple((name, -power) for name, power in rest)
        return f"price of {kind_of(below)}" if rest else f"amount of {money[0][0]}"
    return " × ".join(name if power == 1 else f"{name}^{power}" for name, power in dims)
