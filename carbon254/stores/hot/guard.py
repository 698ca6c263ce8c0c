"""One reading statement and nothing else: checked on the words of the SQL, before the engine sees it.

The engine's own read-only mode stops writes and changed settings; measured on ClickHouse 26.9 it does not stop
`SELECT file('/etc/passwd')`, `INTO OUTFILE`, `KILL QUERY`, `python(...)` or a second statement. So the words are
read here as the engine would read them, and what is not plainly harmless is refused with a reason. Text the two could
read differently (unusual quotes, `$…$` strings, `x'…'`) is refused rather than guessed at.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from itertools import pairwise

from carbon254.errors import QueryRefused

_TOKEN = re.compile(
    r"""(?P<space>[ \t\r\n\f\v]+|--[^\n]*|\#[ !][^\n]*|/\*.*?\*/)
      | (?P<text>'(?:[^'\\]|\\.|'')*')
      | (?P<quoted>"(?:[^"\\]|"")*"|`(?:[^`\\]|``)*`)
      | (?P<number>[0-9][0-9A-Za-z_.]*(?:(?<=[eE])[+-][0-9]+)?)
      | (?P<word>[A-Za-z_][A-Za-z_0-9]*)
      | (?P<mark>/(?!\*)|[-+*%<>=!|&^~.,:;()\[\]{}?@])""",
    re.VERBOSE | re.DOTALL,
)
_READING = {"SELECT", "WITH", "EXPLAIN", "SHOW", "DESCRIBE", "DESC", "("}
_EXPLAINED = {"PLAN", "PIPELINE", "SYNTAX", "ESTIMATE", "QUERY", "SELECT", "WITH", "("}
_SHOWN = {"TABLES", "COLUMNS", "CREATE", "DATABASES"}
_SAFE_SOURCES = {"numbers", "numbers_mt", "zeros", "zeros_mt", "generateseries", "generate_series", "values", "view"}
# Both a harmless function of the SELECT list and a table function that reads nothing from outside.
_HARMLESS_TWICE = {"format", "null", "primes"}
_SAFE_SYSTEM = {"one", "numbers", "numbers_mt", "zeros", "zeros_mt"}
_OUTSIDE = re.compile(
    r"file|filesystem.*|dict(get|has|isin).*|joinget.*|ai[a-z]+|get(server|macro|os|clienthttp|mergetree).*"
    r"|addressto.*|demangle|catboostevaluate|evalmlmethod|hostname|fqdn|serveruuid|sleep|sleepeachrow"
    r"|currentrequesturl|tcpport|hascolumnintable|structureto.*schema"
)


@dataclass(frozen=True, slots=True)
class Token:
    """One word, quoted name, text, number or mark; `value` is without quotes, words in their own case."""

    kind: str
    value: str

    @property
    def upper(self) -> str:
        return self.value.upper() if self.kind in ("word", "mark") else ""

    @property
    def is_name(self) -> bool:
        return self.kind in ("word", "quoted")


def tokens(sql: str) -> list[Token]:
    """The statement's tokens without blanks and comments. Raises QueryRefused on text that cannot be read for sure."""
    found: list[Token] = []
    position = 0
    while position < len(sql):
        match = _TOKEN.match(sql, position)
        if match is None or match.lastgroup is None:
            raise QueryRefused(
                f"unreadable from {sql[position : position + 20]!r}: close every quote and comment, "
                "and keep other than plain letters inside quotes without backslashes"
            )
        kind, value = match.lastgroup, match.group()
        if kind in ("text", "quoted") and position and (sql[position - 1].isalnum() or sql[position - 1] == "_"):
            raise QueryRefused(f"write a blank before {value[:20]}; prefixed strings are not read here")
        if kind == "quoted":
            value = value[1:-1].replace(value[0] * 2, value[0])
        if kind != "space":
            found.append(Token(kind, value))
        position = match.end()
    return found


def check(sql: str, databases: Collection[str], sources: Collection[str], home: str) -> str:
    """The statement, ready to run (no closing semicolon), if readers may run it; QueryRefused with the reason if not.

    `databases` are all the engine's databases, of which only `home` may be read; `sources` are the engine's table
    functions, of which only generators of numbers are allowed.
    """
    found = tokens(sql)
    while found and found[-1].value == ";" and found[-1].kind == "mark":
        found.pop()
        sql = _without_last_semicolon(sql)
    if not found:
        raise QueryRefused("the query is empty: write one SELECT statement")
    _one_statement(found)
    _first_words(found, home)
    _clauses(found)
    _calls(found, {name.lower() for name in sources} - _SAFE_SOURCES - _HARMLESS_TWICE)
    _databases(found, {name for name in databases if name != home}, home)
    return sql


def _without_last_semicolon(sql: str) -> str:
    last = -1
    position = 0
    while position < len(sql):
        match = _TOKEN.match(sql, position)
        assert match is not None
        if match.lastgroup == "mark" and match.group() == ";":
            last = position
        position = match.end()
    return sql[:last] + " " + sql[last + 1 :]


def _one_statement(found: list[Token]) -> None:
    depth = 0
    for token in found:
        if token.kind != "mark":
            continue
        if token.value == ";":
            raise QueryRefused("more than one statement: send them one by one, without ';' between")
        depth += {"(": 1, ")": -1}.get(token.value, 0)
        if depth < 0:
            break
    if depth:
        raise QueryRefused("parentheses do not pair up: check '(' and ')'")


def _first_words(found: list[Token], home: str) -> None:
    first = found[0].upper
    if first not in _READING:
        raise QueryRefused(
            f"{found[0].value} is not a reading statement: begin with SELECT, WITH, EXPLAIN, SHOW or DESCRIBE"
        )
    second = found[1].upper if len(found) > 1 else ""
    if first == "EXPLAIN" and second not in _EXPLAINED and not (len(found) > 2 and found[2].value == "="):
        raise QueryRefused("only EXPLAIN [PLAN | PIPELINE | SYNTAX | ESTIMATE | QUERY TREE] SELECT … is available")
    if first == "SHOW":
        _shown(found, second, home)


def _shown(found: list[Token], second: str, home: str) -> None:
    kind = found[2].upper if second == "CREATE" and len(found) > 2 else ""
    if second not in _SHOWN or kind in {"USER", "ROLE", "QUOTA", "POLICY", "PROFILE", "SETTINGS", "ROW", "DATABASE"}:
        raise QueryRefused("SHOW gives TABLES, COLUMNS, DATABASES or CREATE TABLE here")
    for token, after in pairwise(found):
        if second == "TABLES" and token.upper in {"FROM", "IN"} and after.value != home:
            raise QueryRefused(f"only the tables of {home} can be listed")


def _clauses(found: list[Token]) -> None:
    words = [token.upper for token in found]
    if "OUTFILE" in words:
        raise QueryRefused("INTO OUTFILE is not available: results come back to the caller")
    for at, word in enumerate(words[:-2]):
        if word == "SETTINGS" and found[at + 1].is_name and found[at + 2].value == "=":
            raise QueryRefused("leave the SETTINGS clause away: limits are set by the caller of the query")
    if len(words) > 1 and words[-2] == "FORMAT" and found[-1].is_name:
        raise QueryRefused("leave the FORMAT clause away: the caller chooses the form of the result")


def _calls(found: list[Token], sources: Collection[str]) -> None:
    padded = [*found, Token("mark", ""), Token("mark", "")]
    for at, token in enumerate(found):
        called = padded[at + 1].value == "(" and padded[at + 1].kind == "mark"
        applied = at > 0 and "APPLY" in (found[at - 1].upper, found[at - 2].upper if at > 1 else "")
        name = token.value.lower()
        if not token.is_name:
            continue
        if name == "identifier" and token.kind == "word" and at > 0 and found[at - 1].value == ":":
            raise QueryRefused("a parameter of type Identifier is not available: write the name into the query")
        if name == "file" or ((called or applied) and (name in sources or _OUTSIDE.fullmatch(name))):
            raise QueryRefused(f"{token.value} is not available: queries read the stored tables only")


def _databases(found: list[Token], others: Collection[str], home: str) -> None:
    for at in range(len(found) - 2):
        name, dot, member = found[at : at + 3]
        if not (name.is_name and name.value in others and dot.value == "." and dot.kind == "mark"):
            continue
        if at > 0 and found[at - 1].value == ".":
            continue
        if name.value == "system" and member.value in _SAFE_SYSTEM:
            continue
        raise QueryRefused(f"{name.value}.{member.value} is not for readers: the tables are in {home} (SHOW TABLES)")
