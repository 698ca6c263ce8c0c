"""Each of our syncs taken away in turn, to see whether a test notices.

A site is a call of `os.fsync`, of a function of ours that syncs, or a setting that makes an engine sync. `C254_MUTANT`
(a site's name) makes this process import the module without it.
"""

from __future__ import annotations

import ast
import importlib.abc
import importlib.machinery
import os
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

PACKAGE = Path(__file__).parents[2] / "carbon254"
_CALLS = {"fsync", "sync_folder", "_sync", "keep_names", "lasting_commits"}
_SYNCING = re.compile(r"(synchronous ?= ?)(?:FULL|EXTRA)|(fsync_after_insert = )1", re.IGNORECASE)
_SETTINGS = {"fsync_after_insert", "fsync_part_directory"}


@dataclass(frozen=True)
class Site:
    """One sync: its file below the package, and which of the file's it is, top to bottom."""

    file: str
    number: int
    line: int
    text: str

    @property
    def name(self) -> str:
        return f"{self.file}#{self.number}"


def sites() -> list[Site]:
    """Every sync of ours."""
    found = []
    for path in sorted(PACKAGE.rglob("*.py")):
        source = path.read_text("utf-8")
        if any(word in source for word in ("sync", *_CALLS)):
            found += [
                Site(str(path.relative_to(PACKAGE)), at, node.lineno, source.splitlines()[node.lineno - 1].strip())
                for at, node in enumerate(_syncs(ast.parse(source)))
            ]
    return found


def _syncs(tree: ast.AST) -> list[ast.AST]:
    found = [node for node in ast.walk(tree) if _is_call(node) or _is_pragma(node) or _is_setting(node)]
    # Documentation that tells of a pragma syncs nothing.
    told = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    kept = [node for node in found if not (isinstance(node, ast.Constant) and id(node) in told)]
    return sorted(kept, key=lambda node: (node.lineno, node.col_offset))


def _is_call(node: ast.AST) -> bool:
    if not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)):
        return False
    called = node.value.func
    return (called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")) in _CALLS


def _is_pragma(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str) and bool(_SYNCING.search(node.value))


def _is_setting(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and node.value in _SETTINGS


class _Without(ast.NodeTransformer):
    def __init__(self, gone: ast.AST) -> None:
        self._gone = gone

    def visit_Expr(self, node: ast.Expr) -> ast.AST:
        return ast.copy_location(ast.Pass(), node) if node is self._gone else self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        if node is not self._gone:
            return node
        return ast.copy_location(
            ast.Constant(_SYNCING.sub(lambda found: (found[1] or found[2]) + "0", str(node.value))), node
        )

    def visit_Dict(self, node: ast.Dict) -> ast.AST:
        for at, key in enumerate(node.keys):
            if key is self._gone and _is_setting(self._gone):
                node.values[at] = ast.copy_location(ast.Constant(0), node.values[at])
        return self.generic_visit(node)


def without(name: str) -> ast.Module:
    """The module's tree without one sync."""
    file, number = name.rsplit("#", 1)
    tree = ast.parse((PACKAGE / file).read_text("utf-8"))
    changed = _Without(_syncs(tree)[int(number)]).visit(tree)
    return ast.fix_missing_locations(changed)


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Gives one module of the package in its changed form."""

    def __init__(self, name: str) -> None:
        self._site, self._file = name, name.rsplit("#", 1)[0]
        self._module = "carbon254." + self._file.removesuffix(".py").replace("/", ".")

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname != self._module:
            return None
        return importlib.machinery.ModuleSpec(fullname, self, origin=str(PACKAGE / self._file))

    def exec_module(self, module: ModuleType) -> None:
        module.__file__ = str(PACKAGE / self._file)
        exec(compile(without(self._site), module.__file__, "exec"), module.__dict__)


def install() -> None:
    """Put the mutant that `C254_MUTANT` names in place, before its module is imported."""
    if name := os.environ.get("C254_MUTANT"):
        sys.meta_path.insert(0, _Finder(name))
