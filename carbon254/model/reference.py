"""The reference page of datasets and flags, written from the same tables the schemas are made of."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from .dataset import Dataset, catalogue
from .flags import Flag

_INTRODUCTION = """# Datasets

Types: `string`, `category` (a string with few distinct values), `timestamp` (microseconds, UTC), `date`, `float64`,
`uint32`, `uint64`, `int64`. A type that ends in `?` may be missing. Intervals include their start and not their end.

Roles: *key* says what a row is about; *time* orders its versions; *value* is what is measured, and a change of it makes
a new version; *mark* says how far to trust it; *origin* says where it came from."""


def reference_page() -> str:
    """Markdown: every dataset with its key, version order, partition and columns, then every quality flag."""
    parts = [_INTRODUCTION, *(_section(dataset) for dataset in catalogue().values()), _flags()]
    return "\n\n".join(parts) + "\n"


def _section(dataset: Dataset) -> str:
    rows = [
        (f"`{column.name}`", column.type + "?" * column.nullable, column.unit, column.role, column.meaning)
        for column in dataset.columns
    ]
    facts = (
        f"Key: {_names(dataset.key)}. Versions in the order of {_names(dataset.version)}. "
        f"Partitioned by `{dataset.partition}`."
    )
    return "\n\n".join(
        [
            f"## {dataset.name}",
            f"{dataset.title}.",
            facts,
            _table(("column", "type", "unit", "role", "meaning"), rows),
        ]
    )


def _flags() -> str:
    rows = [(str(flag.value), f"`{(flag.name or '').lower()}`", flag.meaning) for flag in Flag]
    return "\n\n".join(
        [
            "## Flags",
            "`flags` is the sum of these bits; 0 means as published and complete.",
            _table(("bit", "name", "meaning"), rows),
        ]
    )


def _names(columns: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in columns)


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [_line(heads), _line(["---"] * len(heads)), *(_line(row) for row in rows)]
    return "\n".join(lines)


def _line(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
