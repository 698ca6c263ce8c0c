"""One reading statement and nothing else, decided before it runs.

The engine's own read-only mode stops writes and changed settings; measured on ClickHouse 26.9 it does not stop
`SELECT file('/etc/passwd')`, `arrayMap(file, […])`, `INTO OUTFILE`, `KILL QUERY`, `python(...)` or a second statement.

So the engine first writes the statement anew, as a value that is formatted and never run: what comes back is one
statement without comments, with one way of quoting. sqlglot reads that text (tables by scope), and the engine's own
`EXPLAIN AST` of it, which parses and does not run, is read too: it decides alone where sqlglot cannot read the dialect.
Both sets of names are held against lists of what is allowed, and the text that was read is the text that runs.

Work is bounded: 64 kB of text, the engine's limits on depth and backtracking, and readers linear in the text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Protocol

from carbon254.errors import QueryRefused

from .ddl import VIEWS
from .literal import literal
from .parsed import uses_of as parsed_uses_of
from .tree import applies, read_tree, uses_of
from .uses import Uses
from .vocabulary import Vocabulary

LONGEST = 64 << 10
# Written anew a statement may grow by its blanks and names; beyond this sqlglot is not asked.
_LONGEST_PARSED = 2 * LONGEST
_STRING = r"'(?:[^'\\]|\\.)*'"
_NAME = r"(?:[A-Za-z_][A-Za-z_0-9]*|`(?:[^`\\]|\\.)*`)"
_QUOTED = re.compile(rf"{_STRING}|`(?:[^`\\]|\\.)*`", re.DOTALL)
_ESCAPED_NAME = re.compile(r"`(?:[^`\\])*\\")
_READING = ("SELECT", "WITH", "FROM", "EXPLAIN", "SHOW", "DESCRIBE", "DESC")
_EXPLAIN = re.compile(r"EXPLAIN (?:(?:PLAN|PIPELINE|SYNTAX|ESTIMATE|QUERY TREE) )?"
                      r"(?:\w+ = (?:\d+|'[a-z]*')(?:, )?)*\s*(?=SELECT|WITH|\()(?P<rest>.*)", re.DOTALL)  # fmt: skip
_LIKE = rf"(?: (?:NOT )?I?LIKE {_STRING})?(?: LIMIT \d+)?"
_SHOW_TABLES = re.compile(rf"SHOW (?:FULL )?TABLES(?: (?:FROM|IN) (?P<database>{_NAME}))?{_LIKE}")
_SHOW_COLUMNS = re.compile(
    rf"SHOW (?:EXTENDED )?(?:FULL )?(?:COLUMNS|FIELDS) (?:FROM|IN) (?P<table>{_NAME})"
    rf"(?: (?:FROM|IN) (?P<database>{_NAME}))?{_LIKE}"
)
_SHOW_CREATE = re.compile(rf"SHOW CREATE (?:TABLE |VIEW )?(?:(?P<database>{_NAME})\.)?(?P<table>{_NAME})")
_SHOW_DATABASES = re.compile(rf"SHOW DATABASES{_LIKE}")
_APPLY = re.compile(r"\bAPPLY ")
# Where what an APPLY does has ended, outside of parentheses.
_NEXT = re.compile(r",| (?:AS|APPLY|EXCEPT|REPLACE|FROM|WHERE|GROUP|HAVING|QUALIFY|ORDER|LIMIT|UNION|INTERSECT)\b")


class Engine(Protocol):
    """What reads a statement without running it."""

    def text(self, sql: str, params: Mapping[str, Any] | None = None) -> str:
        """The one text column of a statement of ours, a row a line. Raises QueryRefused with the engine's reason."""
        ...


def check(sql: str, params: Mapping[str, Any] | None, engine: Engine, known: Vocabulary) -> str:
    """The statement as it may run, in the engine's own spelling. Raises QueryRefused with the reason if readers may
    not run it."""
    statement = rewritten(sql, engine)
    first = statement.lstrip("(").split(None, 1)[0].upper() if statement.lstrip("(") else ""
    if first not in _READING:
        raise QueryRefused(
            f"{first or sql[:20]} is not a reading statement: begin with SELECT, WITH, EXPLAIN, SHOW or DESCRIBE"
        )
    bare = _QUOTED.sub(lambda found: found.group()[0] * 2, statement)
    _refuse_clauses(bare)
    if first == "SHOW":
        return _shown(statement, known)
    inner = statement
    if first == "EXPLAIN":
        explained = _EXPLAIN.fullmatch(statement)
        if explained is None:
            raise QueryRefused("only EXPLAIN [PLAN | PIPELINE | SYNTAX | ESTIMATE | QUERY TREE] SELECT … is available")
        inner = explained["rest"]
    root = read_tree(engine.text(f"EXPLAIN AST {inner}", params))
    found = uses_of(root)
    if first not in ("DESCRIBE", "DESC") and len(inner) <= _LONGEST_PARSED and (used := parsed_uses_of(inner)):
        used.lambdas |= found.lambdas
        known.judge(used)
    known.judge(found)
    if applies(root):
        for text in _applied(statement):
            # The tree does not show what an APPLY does: it is read by itself.
            root = read_tree(engine.text(f"EXPLAIN AST SELECT arrayMap({text}, [1])", params))
            known.judge(uses_of(root))
    return statement


def rewritten(sql: str, engine: Engine) -> str:
    """The statement in the engine's own spelling. Raises QueryRefused where it is not one statement of the dialect."""
    if len(sql.encode("utf-8", "surrogatepass")) > LONGEST:
        raise QueryRefused(f"the statement is longer than {LONGEST >> 10} kB: send lists of values in parts")
    if not sql.strip().strip(";"):
        raise QueryRefused("the query is empty: write one SELECT statement")
    try:
        sql.encode()
    except UnicodeEncodeError:
        raise QueryRefused("the statement is not UTF-8 text") from None
    if "\x00" in sql:
        raise QueryRefused("the statement holds a zero byte: leave it out")
    try:
        statement = engine.text(f"SELECT formatQuerySingleLine({literal(sql)})").rstrip("\n")
    except QueryRefused as error:
        raise QueryRefused(_unreadable(str(error))) from None
    if _ESCAPED_NAME.search(re.sub(_STRING, "''", statement, flags=re.DOTALL)):
        raise QueryRefused("names with escapes in them are not read: give columns and tables plain names")
    return statement


def words(statement: str) -> list[tuple[str, bool]]:
    """(name or word, whether it is called) of a statement in the engine's own spelling, in its order."""
    found = re.finditer(rf"{_STRING}|({_NAME})(\s*\()?", statement, re.DOTALL)
    return [(match[1].strip("`"), match[2] is not None) for match in found if match[1]]


def _unreadable(reason: str) -> str:
    if "Multi-statements" in reason:
        return "more than one statement: send them one by one, without ';' between"
    if "Empty query" in reason:
        return "the query is empty: write one SELECT statement"
    said = re.split(r": In scope |\. Expected one of", reason, maxsplit=1)[0]
    return f"{said[:200]}: check the statement; the dialect is ClickHouse"


def _refuse_clauses(bare: str) -> None:
    """Clauses that say what is not the reader's to say. `bare` has no quoted text."""
    if re.search(r"\bINTO OUTFILE\b", bare):
        raise QueryRefused("INTO OUTFILE is not available: results come back to the caller")
    if re.search(r"\bSETTINGS [\w.]+ ?=|\bSETTINGS ``", bare):
        raise QueryRefused("leave the SETTINGS clause away: limits are set by the caller of the query")
    if re.search(r"\bFORMAT (\w+|``)$", bare):
        raise QueryRefused("leave the FORMAT clause away: the caller chooses the form of the result")
    if re.search(r"\bPARALLEL WITH\b", bare):
        raise QueryRefused("more than one statement: send them one by one, without PARALLEL WITH between")


def _shown(statement: str, known: Vocabulary) -> str:
    if _SHOW_DATABASES.fullmatch(statement):
        return f"SELECT '{VIEWS}' AS name"
    found = next(
        filter(None, (form.fullmatch(statement) for form in (_SHOW_TABLES, _SHOW_COLUMNS, _SHOW_CREATE))), None
    )
    if found is None:
        raise QueryRefused("SHOW gives TABLES, COLUMNS, DATABASES or CREATE TABLE here")
    parts = {key: (value or "").strip("`") for key, value in found.groupdict().items()}
    if "table" not in parts and parts["database"] not in ("", VIEWS):
        raise QueryRefused(f"only the tables of {VIEWS} can be listed")
    if "table" in parts:
        known.judge(Uses(tables={".".join(filter(None, (parts["database"], parts["table"])))}))
    return statement


def _applied(statement: str) -> Iterator[str]:
    """What each APPLY does, as it is written: a function's name, a call without its last argument, or a lambda."""
    blank = _QUOTED.sub(lambda found: "_" * len(found.group()), statement)
    for found in _APPLY.finditer(blank):
        depth, at = 0, found.end()
        while at < len(blank):
            depth += {"(": 1, "[": 1, "{": 1, ")": -1, "]": -1, "}": -1}.get(blank[at], 0)
            if depth < 0 or (depth == 0 and _NEXT.match(blank, at + 1)):
                break
            at += 1
        text = statement[found.end() : at if depth < 0 else at + 1].strip()
        yield text[1:-1] if text.startswith("(") and text.endswith(")") and "->" not in text else text
