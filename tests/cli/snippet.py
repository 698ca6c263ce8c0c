"""Runs the Python of a document as written: `python snippet.py FILE`, a JSON list of [line, code] blocks.

Blocks share their names, as a reader would type them one after the other. An expression that answers with rows must
have some; one with `# → value` after it must be that value.
"""

from __future__ import annotations

import ast
import json
import sys
from pathlib import Path
from typing import Any

_TOLD = "# → "


def size(value: Any) -> int | None:
    """How many rows or items an answer has; None where that is no question."""
    for name in ("num_rows", "height"):
        if isinstance(found := getattr(value, name, None), int):
            return found
    return len(value) if hasattr(value, "__len__") else None


def run(first: int, code: str, names: dict[str, Any]) -> list[str]:
    """What a block came to, a line for each expression; raises AssertionError naming the line of an empty one."""
    said, lines = [], code.splitlines()
    for node in ast.parse(code).body:
        where, shown = first + node.lineno - 1, lines[(node.end_lineno or node.lineno) - 1]
        if not isinstance(node, ast.Expr):
            exec(compile(ast.Module([node], []), f"line {where}", "exec"), names)
            continue
        value = eval(compile(ast.Expression(node.value), f"line {where}", "eval"), names)
        text = repr(value)
        if _TOLD in shown:
            assert text == shown.split(_TOLD)[1].strip(), f"line {where}: {text}"
        else:
            assert value is not None and size(value) != 0, f"line {where} answers with nothing: {shown}"
        said.append(f"{where}: {text[:100]}")
    return said


if __name__ == "__main__":
    shared: dict[str, Any] = {"__name__": "snippet"}
    for line, block in json.loads(Path(sys.argv[1]).read_text("utf-8")):
        print("\n".join(run(line, block, shared)))
