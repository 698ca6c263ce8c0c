"""Means and other folds in a reader's own SQL that go over several market runs: found in the statement, and told.

Only what can be told for sure is: an aggregate of a price column over one price table, without `market_run` among its
groups. Where such a statement really folds over several runs is asked of the engine, group by group. A fold over a
subquery that has dropped `market_run`, or over a join, is not seen.
"""

from __future__ import annotations

import re
from typing import Any

from carbon254.errors import QueryRefused, TransientError

from .known import Fetch

_PRICES = {"lmp", "energy", "congestion", "loss", "ghg", "open", "high", "low", "close", "mean"}
_TABLES = re.compile(r"(commodity_data\.)?(interval_prices|current_prices|ohlc_bars)\w*")
# Nothing is parsed that cannot be such a statement.
_LIKELY = re.compile(r"\b(avg|sum|min|max|median|quantile|std|var|any|arg|corr|covar)\w*\s*\(", re.IGNORECASE)
_LONGEST = 64_000


def folded(fetch: Fetch, statement: str) -> str:
    """What to say of a statement that folds prices of several market runs into one; empty where none is seen to."""
    if len(statement) > _LONGEST or not _LIKELY.search(statement):
        return ""
    for told, probe in _probes(statement):
        try:
            found = fetch(probe).to_pylist()
        except (QueryRefused, TransientError):
            continue
        if found:
            runs = ", ".join(found[0]["runs"])
            return f"{told} is over several market runs: {runs}; add market_run to WHERE or GROUP BY"
    return ""


def _probes(statement: str) -> list[tuple[str, str]]:
    """(the fold as it is written, a statement that has a row where one of its groups has several runs)."""
    import sqlglot
    from sqlglot import exp
    from sqlglot.errors import SqlglotError

    try:
        tree = sqlglot.parse_one(statement, dialect="clickhouse")
    except (SqlglotError, RecursionError):
        return []
    found = []
    for select in tree.find_all(exp.Select):
        fold = _fold(select)
        table = _table(select)
        if fold is None or table is None or _by_run(select):
            continue
        where = select.args.get("where")
        groups = _groups(select)
        if groups is None:
            continue
        parts = [
            "SELECT arraySort(groupUniqArray(concat(market, ' ', market_run))) AS runs",
            f"FROM {table.sql(dialect='clickhouse')}",
            where.sql(dialect="clickhouse") if where else "",
            f"GROUP BY {', '.join(groups)}" if groups else "",
            "HAVING uniqExact(market_run) > 1 ORDER BY length(runs) DESC LIMIT 1",
        ]
        found.append((fold.sql(dialect="clickhouse"), " ".join(filter(None, parts))))
    return found


def _fold(select: Any) -> Any:
    """The first aggregate of a price among what is selected."""
    from sqlglot import exp

    for projection in select.expressions:
        for call in projection.find_all(exp.AggFunc):
            if isinstance(call, exp.Count) or call.find_ancestor(exp.Window):
                continue
            if any(column.name.lower() in _PRICES for column in call.find_all(exp.Column)):
                return call
    return None


def _table(select: Any) -> Any:
    """The one price table that is read; None for joins, subqueries and other tables."""
    from sqlglot import exp

    source = select.args.get("from_") or select.args.get("from")
    if source is None or select.args.get("joins") or not isinstance(source.this, exp.Table):
        return None
    named = source.this.sql(dialect="clickhouse")
    return source.this if _TABLES.match(named) else None


def _by_run(select: Any) -> bool:
    """Whether `market_run` is one value by the conditions themselves."""
    from sqlglot import exp

    where = select.args.get("where")
    equal = list(where.find_all(exp.EQ)) if where else []
    return any(
        isinstance(one.this, exp.Column)
        and one.this.name == "market_run"
        and isinstance(one.expression, exp.Literal)
        and not one.find_ancestor(exp.Or, exp.Not)
        for one in equal
    )


def _groups(select: Any) -> list[str] | None:
    """The groups as expressions of the table's columns; None where `market_run` is one of them."""
    from sqlglot import exp

    group = select.args.get("group")
    if group is None:
        return []
    named = {one.alias: one.this for one in select.expressions if isinstance(one, exp.Alias)}
    if group.args.get("all"):
        keys = [one.unalias() for one in select.expressions if not one.find(exp.AggFunc)]
    else:
        keys = [_meant(one, named, select.expressions) for one in group.expressions]
    if any(column.name == "market_run" for key in keys for column in key.find_all(exp.Column)):
        return None
    return [key.sql(dialect="clickhouse") for key in keys]


def _meant(key: Any, named: dict[str, Any], selected: list[Any]) -> Any:
    """A group's expression: itself, what its alias stands for, or what its number counts to."""
    from sqlglot import exp

    if isinstance(key, exp.Literal) and key.is_int and 0 < int(key.name) <= len(selected):
        return selected[int(key.name) - 1].unalias()
    if isinstance(key, exp.Column) and not key.table and key.name in named:
        return named[key.name]
    return key
