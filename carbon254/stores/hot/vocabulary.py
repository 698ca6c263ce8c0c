"""What readers' SQL may name: functions from a list of ours, a few table functions, and the views of one database."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from carbon254.errors import QueryRefused

from .ddl import VIEWS
from .uses import Uses

# Table functions that make rows of what stands in the statement, and read nothing else.
SOURCES = frozenset(
    {"numbers", "numbers_mt", "zeros", "zeros_mt", "primes", "generateseries", "generate_series", "values",
     "sqlstandardvalues", "view"}
)  # fmt: skip
# Functions that the engine also reads without parentheses, and that name a user, a request or a database.
BARE = frozenset(
    {"currentdatabase", "currenthandler", "currentuser", "currentrequesturl", "current_database", "current_user",
     "session_user", "database", "schema", "user"}
)  # fmt: skip
# What may stand behind the name of an aggregate function, longest first.
COMBINATORS = (
    "SimpleState", "OrDefault", "Distinct", "Resample", "ForEach", "ArgMax", "ArgMin", "OrNull", "Tuple", "Merge",
    "State", "Array", "Null", "Map", "If",
)  # fmt: skip
_NEAR = 3


@cache
def functions() -> frozenset[str]:
    """Names of the functions that may be called, in lower case."""
    return frozenset(name.lower() for name in listed())


@cache
def listed() -> tuple[str, ...]:
    """The same as they are written, in the order of the list."""
    lines = files("carbon254.stores.hot").joinpath("functions.txt").read_text("utf-8").splitlines()
    return tuple(line for line in lines if line and not line.startswith("#"))


def callable_name(name: str) -> bool:
    """Whether a function may be called: it is on the list, or an aggregate function of it with combinators."""
    while name.lower() not in functions():
        found = next((end for end in COMBINATORS if name.lower().endswith(end.lower()) and len(name) > len(end)), None)
        if found is None:
            return False
        name = name[: -len(found)]
    return True


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """What the engine holds: the readers' views, every database, every function, and those that take functions."""

    views: frozenset[str]
    databases: frozenset[str]
    engine_functions: frozenset[str]
    taking_functions: frozenset[str]

    def judge(self, used: Uses) -> None:
        """Raises QueryRefused for the first name that readers may not use, with the nearest ones that they may."""
        for name in used.functions:
            self._judge_function(name, used.lambdas)
        for name in used.sources:
            self._judge_source(name)
        for name in used.tables:
            self._judge_table(name)
        for caller, name in used.handed_on:
            takes = caller.lower() in self.taking_functions or caller.lower().startswith(("array", "map"))
            if takes and name.lower() in self.engine_functions and not callable_name(name):
                raise QueryRefused(_unavailable(name, listed()))
        for name in used.names:
            if name.lower() in BARE:
                raise QueryRefused(f"{name} is not available: it names a user or database; call the column otherwise")
        for name in used.members:
            database, _, table = name.partition(".")
            if database.lower() in self.databases and (database != VIEWS or table not in self.views):
                raise QueryRefused(_elsewhere(name))

    def _judge_function(self, name: str, lambdas: Collection[str]) -> None:
        if callable_name(name) or (name in lambdas and name.lower() not in self.engine_functions):
            return
        # A table function in the place of a function: the engine says so itself.
        if name.lower() not in SOURCES:
            raise QueryRefused(_unavailable(name, listed()))

    def _judge_source(self, name: str) -> None:
        if name.lower() in SOURCES or name.removeprefix(f"{VIEWS}.") in self.views:
            return
        raise QueryRefused(_unavailable(name, (*sorted(SOURCES), *sorted(self.views))))

    def _judge_table(self, name: str) -> None:
        database, dot, table = name.partition(".")
        if dot and database != VIEWS:
            raise QueryRefused(_elsewhere(name))
        if (table or name) not in self.views:
            near = _nearest(table or name, self.views)
            raise QueryRefused(f"there is no table {name}{near}: SHOW TABLES lists what there is")


def _elsewhere(name: str) -> str:
    return f"{name} is not for readers: the tables are in {VIEWS} (SHOW TABLES)"


def _unavailable(name: str, known: Iterable[str]) -> str:
    return f"{name} is not available: queries read the stored tables only{_nearest(name, known)}"


def _nearest(name: str, known: Iterable[str]) -> str:
    by_lower = {other.lower(): other for other in known}
    near = difflib.get_close_matches(name.lower(), list(by_lower), _NEAR, 0.75)
    return f"; near to it: {', '.join(by_lower[other] for other in near)}" if near else ""
