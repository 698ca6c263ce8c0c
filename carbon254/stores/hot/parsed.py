"""What a statement names, read by sqlglot: tables by their scope, so that a common table expression is no table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .uses import Uses

if TYPE_CHECKING:
    from sqlglot import exp


def uses_of(sql: str) -> Uses | None:
    """The names of one SELECT in the engine's own spelling; None where sqlglot cannot read it.

    Nested deeper than Python's stack is among what it cannot read: the engine's tree decides then.
    """
    import sqlglot
    from sqlglot import errors, exp

    try:
        found = sqlglot.parse(sql, dialect="clickhouse")
        if len(found) != 1 or not isinstance(found[0], exp.Query | exp.Subquery):
            return None
        used = Uses()
        for node in found[0].walk():
            _note(node, used)
    except (errors.SqlglotError, RecursionError, ValueError):
        return None
    return used


def _note(node: exp.Expr, used: Uses) -> None:
    from sqlglot import exp

    if isinstance(node, exp.Table):
        _note_table(node, used)
    elif isinstance(node, exp.Lambda):
        if node.parent is not None and node.parent.alias:
            used.lambdas.add(node.parent.alias)
    elif isinstance(node, exp.Func) and not isinstance(node.parent, exp.Table):
        written = node.name if isinstance(node, exp.Anonymous) else node.meta.get("name")
        if isinstance(written, str) and written:
            used.functions.add(written)
    elif isinstance(node, exp.In):
        for given in (node.args.get("field"), *node.expressions):
            if isinstance(given, exp.Column) and given.table:
                used.members.add(f"{given.table}.{given.name}")


def _note_table(node: exp.Table, used: Uses) -> None:
    from sqlglot import exp

    joined = node.parent
    if isinstance(joined, exp.Join) and "ARRAY" in (joined.kind, joined.method, joined.side):
        return
    if isinstance(node.this, exp.Func):
        name = node.this.name if isinstance(node.this, exp.Anonymous) else node.this.meta.get("name", "")
        if name:
            used.sources.add(".".join(part for part in (node.db, name) if part))
        return
    name = ".".join(part for part in (node.catalog, node.db, node.name) if part)
    if name and (node.db or not _is_common(node, node.name)):
        used.tables.add(name)


def _is_common(node: exp.Expr, name: str) -> bool:
    """Whether `name` is a common table expression (or a table's own alias) where the node stands."""
    above: exp.Expr | None = node
    while above is not None:
        given = above.args.get("with_") or above.args.get("with")
        if given is not None and any(one.alias == name for one in given.expressions):
            return True
        above = above.parent
    return False
