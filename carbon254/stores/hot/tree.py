"""What a statement names, read from the engine's own tree of it (`EXPLAIN AST`).

Each line of the tree is a node: its kind, its name, its alias, and how many children follow it one blank further in.
A kind that is not known here is refused: what it would do is not known either. Text of the statement cannot forge
lines, because names with escapes in them are refused before (`guard`), and literals are written with theirs.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from carbon254.errors import QueryRefused

from .uses import Uses

_LINE = re.compile(r"^(?P<depth> *)(?P<kind>[A-Za-z:]+)(?: (?P<name>.*?))??(?: \(alias (?P<alias>.*?)\))?"
                   r"(?: \(children \d+\))?$")  # fmt: skip
_KNOWN = {
    "SelectWithUnionQuery", "SelectIntersectExceptQuery", "SelectQuery", "ExpressionList", "Function", "Identifier",
    "Literal", "Asterisk", "QualifiedAsterisk", "ColumnsRegexpMatcher", "ColumnsListMatcher",
    "QualifiedColumnsRegexpMatcher", "QualifiedColumnsListMatcher", "ColumnsTransformerList",
    "ColumnsApplyTransformer", "ColumnsExceptTransformer", "ColumnsReplaceTransformer",
    "ColumnsReplaceTransformer::Replacement", "WithElement", "Subquery", "TablesInSelectQuery",
    "TablesInSelectQueryElement", "TableExpression", "TableIdentifier", "TableJoin", "ArrayJoin", "OrderByElement",
    "InterpolateElement", "WindowDefinition", "WindowListElement", "SampleRatio", "DescribeQuery",
}  # fmt: skip
# The engine reads `x IN name` as a table where it knows none of the columns by that name.
_AMONG = re.compile(r"(global)?(not)?(null)?in(ignoreset)?", re.IGNORECASE)


@dataclass(slots=True)
class Node:
    """A node of the tree."""

    kind: str
    name: str
    alias: str
    children: list[Node] = field(default_factory=list)


def read_tree(text: str) -> Node:
    """The root of the tree in `text`. Raises QueryRefused for a line that cannot be read."""
    top = Node("", "", "")
    path: list[Node] = [top]
    for line in text.splitlines():
        if not line:
            continue
        found = _LINE.match(line)
        if found is None or len(found["depth"]) > len(path) - 1:
            raise QueryRefused("the statement cannot be read: give its columns and tables plain names")
        node = Node(found["kind"], found["name"] or "", found["alias"] or "")
        del path[len(found["depth"]) + 1 :]
        path[-1].children.append(node)
        path.append(node)
    if len(top.children) != 1:
        raise QueryRefused("the statement cannot be read: give its columns and tables plain names")
    return top.children[0]


def uses_of(root: Node) -> Uses:
    """Every name of the tree. Raises QueryRefused for a kind of node that readers have no use for."""
    used = Uses()
    for parent, node in _walk(root):
        if node.kind not in _KNOWN:
            raise QueryRefused(f"{node.kind} is not available: write one SELECT over the tables of SHOW TABLES")
        if node.kind == "Function" and parent is not None and parent.kind == "TableExpression":
            used.sources.add(node.name)
        elif node.kind == "Function":
            _note_function(node, used)
        elif node.kind == "TableIdentifier" and "." in node.name:
            used.tables.add(node.name)
        elif node.kind == "Identifier" and "." not in node.name:
            used.names.add(node.name)
    return used


def applies(root: Node) -> bool:
    """Whether the statement has an APPLY, whose function the tree does not show."""
    return any(node.kind == "ColumnsApplyTransformer" for _, node in _walk(root))


def _note_function(node: Node, used: Uses) -> None:
    if node.name == "lambda":
        if node.alias:
            used.lambdas.add(node.alias)
        return
    used.functions.add(node.name)
    given = [child for part in node.children if part.kind == "ExpressionList" for child in part.children]
    named = [child.name for child in given if child.kind == "Identifier"]
    used.handed_on |= {(node.name, name) for name in named}
    if _AMONG.fullmatch(node.name):
        used.members |= {name for name in named if "." in name}


def _walk(root: Node) -> Iterator[tuple[Node | None, Node]]:
    """(parent, node) of the whole tree, without recursion: statements nest deeply."""
    waiting: list[tuple[Node | None, Node]] = [(None, root)]
    while waiting:
        parent, node = waiting.pop()
        yield parent, node
        waiting += [(node, child) for child in node.children]
