"""Futures as facts: month letters, years of two figures, and the products of `futures.toml`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from carbon254.errors import UnknownProduct

from .catalogue import facts

MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


@dataclass(frozen=True, slots=True)
class Product:
    """A futures product. `size` (of `unit`) and `tick` (currency per unit) are None where no one figure tells them."""

    root: str
    title: str
    exchange: str
    unit: str
    calendar: str
    expiry: Mapping[str, Any]
    size: float | None = None
    tick: float | None = None
    currency: str = "USD"
    size_note: str = ""
    megawatts: float | None = None
    region: str = ""
    block: str = ""
    delivery: Mapping[str, Any] = field(default_factory=lambda: {"kind": "month"})
    aliases: tuple[str, ...] = ()
    basis: str = "K"
    source: str = ""


@cache
def products() -> dict[str, Product]:
    """Every product by root, in the order of the file."""
    made = (Product(**{**raw, "aliases": tuple(raw.get("aliases", ()))}) for raw in facts("futures.toml")["product"])
    return {product.root: product for product in made}


@cache
def roots() -> dict[str, Product]:
    """Every product by each of its codes, the longest code first: so a code is read before one it begins with."""
    codes = {code: product for product in products().values() for code in (product.root, *product.aliases)}
    return dict(sorted(codes.items(), key=lambda one: -len(one[0])))


def product(root: str | Product) -> Product:
    """The product of a root (`CL`). Raises UnknownProduct listing the known ones."""
    if isinstance(root, Product):
        return root
    if isinstance(root, str) and (found := roots().get(root.strip().upper())):
        return found
    known = ", ".join(f"{one.root} ({one.title})" for one in products().values())
    raise UnknownProduct(f"no future has the code {root!r}; known: {known}")


def month_code(month: int) -> str:
    """The letter of a month (1 to 12): Z for December. Raises UnknownProduct."""
    for letter, number in facts("futures.toml")["months"].items():
        if number == month:
            return letter
    raise UnknownProduct(f"{month} is no month; months are 1 to 12")


def month_of_code(letter: str) -> int:
    """The month (1 to 12) of a letter: 12 for Z. Raises UnknownProduct listing the letters."""
    letters = facts("futures.toml")["months"]
    if found := letters.get(letter.strip().upper()):
        return found
    known = ", ".join(f"{one} {MONTHS[number - 1]}" for one, number in letters.items())
    raise UnknownProduct(f"{letter!r} is no month letter; known: {known}")


def month_of_name(name: str) -> int | None:
    """The month (1 to 12) of an English name, short or whole; None where it is no month."""
    wanted = name.strip().capitalize()
    return next((at for at, one in enumerate(MONTHS, 1) if len(wanted) > 2 and _WHOLE[at - 1].startswith(wanted)), None)


def full_year(figures: str) -> int:
    """A year of four figures, or of two: in the hundred years from `two_figures_from` of `futures.toml`."""
    if len(figures) == len("YYYY"):
        return int(figures)
    first = int(facts("futures.toml")["two_figures_from"])
    return first + (int(figures) - first) % 100


_WHOLE = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)
