"""What a statement names: collected by two readers of SQL, judged once."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class Uses:
    """Names as the statement writes them.

    `sources` are table functions, `tables` stand where a table is read (`name` or `database.name`), `lambdas` are
    functions that the statement itself defines, `names` are single names (columns, aliases, or functions without
    parentheses), `members` are `a.b` where the engine takes a table or a column, `handed_on` are (function, name given
    to it): some functions take the name of another function and call it.
    """

    functions: set[str] = field(default_factory=set)
    sources: set[str] = field(default_factory=set)
    tables: set[str] = field(default_factory=set)
    lambdas: set[str] = field(default_factory=set)
    names: set[str] = field(default_factory=set)
    members: set[str] = field(default_factory=set)
    handed_on: set[tuple[str, str]] = field(default_factory=set)
