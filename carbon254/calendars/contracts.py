"""Futures contracts as desks, screens and files write them: `CLZ25`, `NG Jan-26`, `CL December 25`, `PMJ F26-IUS`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date

import numpy as np

from carbon254.errors import BadLabel, UnknownProduct

from .expiry import delivery_days, front_months, last_trade_days
from .moments import OneDay, as_date, one_day
from .products import MONTHS, Product, full_year, month_code, month_of_code, month_of_name, product, roots

_SHAPES = "CLZ25, CLZ5 with a reference date, CL Dec-25, CL December and four figures, or CL and YYYY-MM"
_SUFFIX = re.compile(r"(\s+COMDTY|[-.](NYM|NYMEX|CME|IUS|IFED|ICE))$")
_LETTER = re.compile(r"[ ._-]*(?P<letter>[A-Z])(?P<year>\d{4}|\d{1,2})$")
_NAMED = re.compile(r"[ ._-]*(?P<name>[A-Z]{3,9})[ ._'-]*(?P<year>\d{4}|\d{2})$")
_ISO = re.compile(r"[ ._-]+(?P<year>\d{4})-?(?P<month>\d{2})$")


@dataclass(frozen=True, slots=True)
class Contract:
    """A product's contract for one delivery month."""

    product: Product
    year: int
    month: int

    def __str__(self) -> str:
        return f"{self.product.root} {MONTHS[self.month - 1]}-{self.year % 100:02}"

    @property
    def code(self) -> str:
        """With the month letter and two figures of the year: `CLZ25`."""
        return f"{self.product.root}{month_code(self.month)}{self.year % 100:02}"

    @property
    def delivery_month(self) -> date:
        """The first day of the delivery month."""
        return date(self.year, self.month, 1)

    @property
    def last_trade_day(self) -> date:
        """By the product's rule in `futures.toml`."""
        return last_trade_days(self.product, self.delivery_month)

    @property
    def first_delivery_day(self) -> date:
        return delivery_days(self.product, self.delivery_month)[0]

    @property
    def last_delivery_day(self) -> date:
        return delivery_days(self.product, self.delivery_month)[1]

    def next(self, months: int = 1) -> Contract:
        """The contract so many delivery months later."""
        return _of(self.product, np.datetime64(self.delivery_month, "M") + months)


def parse_contract(text: str, reference: OneDay | None = None) -> Contract:
    """The contract that a text names.

    A year of one figure (`CLZ5`) is read as the first such contract that still trades on `reference`. A year of two
    figures lies in the hundred years from `two_figures_from` of `futures.toml`. Raises UnknownProduct listing the known
    codes or month letters, BadLabel for a one-figure year without a reference.
    """
    if not isinstance(text, str):
        raise UnknownProduct(f"{text!r} is no contract; write {_SHAPES}")
    wanted = _SUFFIX.sub("", text.strip().upper().removeprefix("/"))
    for root, future in roots().items():
        if wanted.startswith(root) and (found := _after_root(wanted[len(root) :], future, text, reference)):
            return found
    raise _not_read(text, wanted)


def contract_codes(root: str | Product, first: OneDay, last: OneDay) -> list[str]:
    """The codes of all contracts that deliver in the months from first to last, both included."""
    low, high = (np.datetime64(one_day(edge), "M") for edge in (first, last))
    return [_of(product(root), month).code for month in np.arange(low, high + 1)]


def front_contract(root: str | Product, day: OneDay, rolled_before: int = 0) -> Contract:
    """The contract in front on a day; `front_months` answers for arrays. Raises UnknownProduct, BadLabel."""
    month = front_months(one_day(day), root, rolled_before)
    return Contract(product(root), month.year, month.month)


def _after_root(rest: str, future: Product, text: str, reference: OneDay | None) -> Contract | None:
    if found := _NAMED.match(rest):
        month = month_of_name(found["name"])
        return Contract(future, full_year(found["year"]), month) if month else None
    if (found := _ISO.match(rest)) and 1 <= int(found["month"]) <= len(MONTHS):
        return Contract(future, int(found["year"]), int(found["month"]))
    if not (found := _LETTER.match(rest)):
        return None
    try:
        month = month_of_code(found["letter"])
    except UnknownProduct as error:
        raise UnknownProduct(f"contract {text!r}: {error}") from None
    if len(found["year"]) == 1:
        return _of_one_figure(future, month, int(found["year"]), text, reference)
    return Contract(future, full_year(found["year"]), month)


def _of_one_figure(future: Product, month: int, figure: int, text: str, reference: OneDay | None) -> Contract:
    if reference is None:
        raise BadLabel(
            f"contract {text!r}: a year of one figure; give reference=, a day on which it trades, or two figures"
        )
    day = one_day(reference)
    # A contract may trade on after its delivery month has opened, and one of next January expires this year.
    near = day.year + (figure - day.year) % 10
    found = (Contract(future, year, month) for year in (near - 10, near, near + 10))
    return next(contract for contract in found if contract.last_trade_day >= day)


def _of(future: Product, month: np.datetime64) -> Contract:
    first = as_date(month.astype("M8[D]"))
    return Contract(future, first.year, first.month)


def _not_read(text: str, wanted: str) -> UnknownProduct:
    started = [root for root in roots() if wanted.startswith(root)]
    if started and not re.fullmatch(r"[A-Z0-9]+[FGHJKMNQUVXZ](\d{4}|\d{1,2})", wanted):
        return UnknownProduct(f"contract {text!r}: no delivery month is read in it; write {_SHAPES}")
    known = ", ".join(f"{root} ({future.title})" for root, future in sorted(roots().items()))
    return UnknownProduct(f"contract {text!r}: no product has this code; known: {known}")
