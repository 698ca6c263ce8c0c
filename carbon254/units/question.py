"""A question in words → an answer with every assumption it stands on: `10 Mcf at 1037 Btu/cf in MWh`.

A figure that is stated stands for itself: nothing is missing then, and the answer says what was taken for granted.
What is not stated is never supplied: `10 Mcf in MWh` is refused with what is missing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import Any

from carbon254.errors import MissingBasis, UnitError, UnitMismatch

from .base import base_conditions, bases
from .bridge import Density, FxRate, HeatContent, dated, heating_basis
from .conversion import convert
from .expression import unit
from .factors import exact_factor
from .intervals import energy_from_power, power_from_energy
from .quantity import Quantity
from .reading import parse
from .table import table

_ASKING = re.compile(r"^(?:what(?:'s| is| are)|how much (?:is|are)|convert|units)\s+", re.IGNORECASE)
_HOW_MANY = re.compile(r"^how many\s+(?P<target>.+?)\s+(?:are in|is in|are|is|in)\s+(?P<rest>.+)$", re.IGNORECASE)
_TARGET = re.compile(r"^(?P<rest>.*\S)\s*(?:\s(?:in|to|into|as)\s|->|=>|→|=)\s*(?P<target>\S.*)$", re.IGNORECASE)
_JOINT = re.compile(r"\s+(?:at|@|for|over|with|and|,)\s+|\s*@\s*|\s*,\s+", re.IGNORECASE)
_DATED = re.compile(r"\s+(?:dated|on|of|from)\s+(?P<date>\d{4}(?:-\d{2}){0,2})$", re.IGNORECASE)


@dataclass(slots=True)
class Asked:
    """The parts of a question. Texts as they were written; empty where nothing was said."""

    quantity: str
    target: str = ""
    heat_content: str = ""
    density: str = ""
    fx: str = ""
    length: str = ""
    base: str = ""
    heat_base: str = ""
    basis: str = ""
    date: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """`value` in `unit`; what it came from, what it was on the way, and what it stands on."""

    given: str
    value: float
    unit: str
    on_the_way: list[tuple[float, str]] = field(default_factory=list)
    assumptions: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """As JSON shows it."""
        way = [{"value": value, "unit": name} for value, name in self.on_the_way]
        stands_on = {"on_the_way": way, "assumptions": self.assumptions}
        return {"given": self.given, "value": self.value, "unit": self.unit, **stands_on}


def read_question(text: str) -> Asked:
    """The parts of a question in words. Raises UnitError where a part fits nowhere."""
    words = _ASKING.sub("", " ".join(text.split()).rstrip("?").strip())
    counted = _HOW_MANY.match(words)
    if counted:
        words = f"{counted['rest']} in {counted['target']}"
    split = _TARGET.match(words)
    target = split["target"].strip() if split else ""
    first, *rest = [part for part in _JOINT.split(split["rest"] if split else words) if part.strip()] or [""]
    # "… in MWh at 1037 Btu/cf" says its figure last.
    target, *more = [part.strip() for part in _JOINT.split(target) if part.strip()] or [""]
    asked = Asked(first, target)
    for part in (*rest, *more):
        _place(asked, part.strip())
    return asked


def answer(asked: Asked) -> Answer:
    """The answer to a question. Raises the errors of `convert`, with the words that would make it answerable."""
    given = parse(asked.quantity)
    if not asked.target:
        raise UnitError(f"{asked.quantity!r}: into which unit? Write it behind --to, or like '{asked.quantity} in MWh'")
    _refuse_idle(given, asked)
    try:
        found = _answer(given, asked)
    except MissingBasis as error:
        raise MissingBasis(f"{error}{_in_words(asked, given)}") from None
    return replace(found, assumptions=[*found.assumptions, *_conventions(asked)])


def _answer(given: Quantity, asked: Asked) -> Answer:
    if asked.length:
        return _by_length(given, asked)
    if asked.heat_content:
        return _by_heat_content(given, asked)
    fx, density = _rate(asked), _density(asked)
    value = convert(given.value, given.unit, asked.target, fx=fx, density=density, base=asked.base or None)
    return Answer(_told(given), _plain(value), unit(asked.target).text, [], [*_density_notes(asked), *_rate_notes(fx)])


def ask(text: str) -> Answer:
    """The answer to a question in words: ask("10 Mcf at 1037 Btu/cf in MWh").value is 3.0391….

    Raises MissingBasis for "10 Mcf in MWh", and the other errors of `convert`.
    """
    return answer(read_question(text))


def _refuse_idle(given: Quantity, asked: Asked) -> None:
    """Raise UnitError where a figure is stated that the conversion has no use for: something else was meant."""
    idle = asked.heat_content or asked.density or asked.fx or asked.length
    if idle and unit(given.unit).dims == unit(asked.target).dims:
        raise UnitError(
            f"{given.unit} → {asked.target} are both {given.kind}: {idle!r} says nothing here; leave it out"
        )


def _conventions(asked: Asked) -> list[str]:
    """What units themselves stand on: conventions of the trade, days of 24 hours, whose dollar."""
    text = f"{asked.quantity} {asked.target} {asked.heat_content}"
    found = [one for one in map(_convention, re.findall(r"[A-Za-z_]+", text)) if one]
    if re.search(r"(?<![A-Za-z])\$(?![A-Z])", text):
        found.append("$ is the US dollar")
    return list(dict.fromkeys(found))


def _convention(word: str) -> str:
    one = table().exactly.get(word) or table().folded.get(word.casefold())
    return f"{one.symbol}: {one.note}" if one and one.note.startswith(("convention", "24 hours", "mechanical")) else ""


def _place(asked: Asked, part: str) -> None:
    """Put one `at …` into the part of the question it belongs to, by what it measures."""
    if part in bases():
        asked.base = part
        return
    stated = _DATED.search(part)
    if stated:
        asked.date, part = stated["date"], part[: stated.start()]
    found = unit(parse(part).unit)
    if found.kind.startswith("heat content"):
        asked.heat_content = part
    elif found.kind in ("time", "density"):
        setattr(asked, "length" if found.kind == "time" else "density", part)
    elif sorted(power for _, power in found.dims) == [-1, 1] and all(len(name) == 3 for name, _ in found.dims):
        asked.fx = part
    else:
        raise UnitError(f"{part!r} measures {found.kind}; it says nothing that a conversion could use")


def _by_heat_content(given: Quantity, asked: Asked) -> Answer:
    figure = parse(asked.heat_content)
    stated = {heating_basis(one) for one in (asked.basis, figure.basis, given.basis) if one}
    if len(stated) > 1:
        raise UnitMismatch("the question is on HHV in one place and on LHV in another; state one basis")
    basis = next(iter(stated), None)
    heat = HeatContent(figure.value, figure.unit, asked.date or None, basis, asked.heat_base or None).as_stated()
    base = asked.base or None
    if base and heat.base is None and heat.of_volume:
        heat = replace(heat, base=base_conditions(base))
    fx, density = _rate(asked), _density(asked)
    value = convert(given.value, given.unit, asked.target, fx=fx, density=density, heat_content=heat, base=base)
    way: list[tuple[float, str]] = []
    if unit(given.unit).kind == "volume" and unit(asked.target).kind == "energy":
        for name in dict.fromkeys((heat.unit.partition("/")[0], "MMBtu")):
            if name != asked.target:
                way.append((_plain(convert(given.value, given.unit, name, heat_content=heat, base=base)), name))
    notes = [*_heat_notes(heat, asked), *_density_notes(asked), *_rate_notes(fx)]
    return Answer(_told(given), _plain(value), unit(asked.target).text, way, notes)


def _heat_notes(heat: HeatContent, asked: Asked) -> list[str]:
    custom = (
        "US convention" if unit(heat.unit).liquid or "cf" in heat.unit.casefold() else "gross, the trading convention"
    )
    basis = f"basis {heat.basis} as stated" if heat.basis else f"basis HHV ({custom}), as none was stated"
    date = f"of {heat.date}" if heat.date else "undated: the figure stands for itself"
    notes = [f"heat content {heat.value:.12g} {heat.unit} as stated, {date}", basis]
    if not heat.of_volume:
        return notes
    if heat.base is not None and str(heat.base) == "liquid":
        return [*notes, "a liquid's volume: no base conditions apply"]
    if asked.base and asked.heat_base and asked.base != asked.heat_base:
        return [
            *notes,
            f"volume at {asked.base}, heat content at {asked.heat_base}: brought together by the ideal gas law",
        ]
    same = "base conditions taken as the same for volume and heat content"
    return [*notes, f"{same}: {asked.base or asked.heat_base}" if asked.base or asked.heat_base else same]


def _by_length(given: Quantity, asked: Asked) -> Answer:
    span = parse(asked.length)
    seconds = convert(span.value, span.unit, "s")
    work = energy_from_power if unit(given.unit).kind == "power" else power_from_energy
    value = work(given.value, given.unit, asked.target, seconds=seconds)
    return Answer(
        _told(given), _plain(value), unit(asked.target).text, [], [f"average power over {asked.length} as stated"]
    )


def _density(asked: Asked) -> Density | None:
    if not asked.density:
        return None
    figure = parse(asked.density)
    return Density(figure.value, figure.unit)


def _density_notes(asked: Asked) -> list[str]:
    return [f"density {asked.density} as stated"] if asked.density else []


def _rate(asked: Asked) -> FxRate | None:
    """A rate written as `1.08 USD/EUR`: so many dollars a euro. Raises MissingBasis where it has no day."""
    if not asked.fx:
        return None
    figure = parse(asked.fx)
    powers = dict(unit(figure.unit).dims)
    quote, base = (next(name for name, power in powers.items() if power == sign) for sign in (1, -1))
    if not asked.date:
        raise MissingBasis(f"the rate {asked.fx!r} has no date; write '{asked.fx} on 2025-06-02', or add --date")
    rate = figure.value * float(exact_factor(figure.unit, f"{quote}/{base}"))
    return FxRate(base, quote, rate, dated(asked.date))


def _rate_notes(fx: FxRate | None) -> list[str]:
    return [f"1 {fx.base} = {fx.rate:.12g} {fx.quote} on {fx.date} as stated"] if fx else []


def _in_words(asked: Asked, given: Quantity) -> str:
    """How the question would be asked so that it has an answer."""
    kinds = {unit(given.unit).kind, unit(asked.target).kind}
    if kinds == {"volume", "energy"} and not asked.heat_content:
        figure = "5.8 MMBtu/bbl" if unit(given.unit).liquid or unit(asked.target).liquid else "1037 Btu/cf"
        return f'. In words, with your figure: "{asked.quantity} at {figure} in {asked.target}"'
    if kinds == {"power", "energy"}:
        return f'. In words: "{asked.quantity} for 15 min in {asked.target}"'
    return ""


def _told(given: Quantity) -> str:
    number = f"{given.value:,}" if isinstance(given.value, int) else f"{given.value:,.12g}"
    return f"{number} {given.unit}{f' {given.basis}' if given.basis else ''}"


def _plain(value: Any) -> float:
    return float(value)
