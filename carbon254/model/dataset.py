"""Datasets as tables: one CSV a dataset (column, type, unit, role, meaning) and one TOML of keys and partitions.

Everything that names a column elsewhere is derived from here: Arrow, ClickHouse, Iceberg and Avro schemas and the
reference page. Types are `string`, `category` (a string with few distinct values), `timestamp` (microseconds, UTC),
`date`, `float64`, `uint32`, `uint64`, `int64`; a trailing `?` means the value may be missing.
"""

from __future__ import annotations

import csv
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files

from .bars import Bars

TYPES = ("string", "category", "timestamp", "date", "float64", "uint32", "uint64", "int64")


@dataclass(frozen=True, slots=True)
class Column:
    """One column. `unit` is empty for names; `role` is key, time, value, mark or origin."""

    name: str
    type: str
    nullable: bool
    unit: str
    role: str
    meaning: str


@dataclass(frozen=True, slots=True)
class Dataset:
    """A table of the vocabulary.

    `key` names what a row is about; `version` orders the versions of one key (later wins); `partition` is the time
    column whose calendar month (hot store) and day (lake) a row belongs to. `bars` says how bars are made of its rows;
    a `derived` dataset is computed when it is read, and no table of the hot store holds it.
    """

    name: str
    title: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    version: tuple[str, ...]
    partition: str
    place: str
    bars: Bars | None = field(default=None, hash=False)
    derived: bool = False
    gone: tuple[str, ...] = ()

    def column(self, name: str) -> Column:
        """The column called `name`; raises KeyError with the dataset's name."""
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(f"{self.name} has no column {name!r}")

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns)

    @property
    def by_date(self) -> bool:
        """Whether rows are about dates rather than instants: then so is how far they reach."""
        return self.column(self.partition).type == "date"

    @property
    def values(self) -> tuple[str, ...]:
        """The columns whose change makes a new version."""
        return tuple(column.name for column in self.columns if column.role == "value")


def _column(row: Mapping[str, str]) -> Column:
    kind = row["type"]
    base = kind.removesuffix("?")
    if base not in TYPES:
        raise ValueError(f"column {row['column']}: unknown type {kind!r}")
    return Column(row["column"], base, kind.endswith("?"), row["unit"], row["role"], row["meaning"])


@cache
def catalogue() -> Mapping[str, Dataset]:
    """Every dataset by name, in the order of `datasets.toml`."""
    folder = files("carbon254.model") / "datasets"
    described = tomllib.loads((folder / "datasets.toml").read_text("utf-8"))
    found = {}
    for name, facts in described.items():
        lines = (folder / f"{name}.csv").read_text("utf-8").splitlines()
        columns = tuple(_column(row) for row in csv.DictReader(lines))
        found[name] = Dataset(
            name=name,
            title=facts["title"],
            columns=columns,
            key=tuple(facts["key"]),
            version=tuple(facts["version"]),
            partition=facts["partition"],
            place=facts.get("place", ""),
            bars=Bars(**facts["bars"]) if "bars" in facts else None,
            derived=facts.get("derived", False),
            gone=tuple(facts.get("gone", ())),
        )
    return found


def dataset(name: str) -> Dataset:
    """The dataset called `name`; raises KeyError naming those there are."""
    found = catalogue()
    if name not in found:
        raise KeyError(f"no dataset {name!r}; there are: {', '.join(found)}")
    return found[name]


def of_intervals() -> list[str]:
    """The datasets of intervals that become bars by the market runs of the cards."""
    return [name for name, found in catalogue().items() if found.bars is not None and not found.bars.run]
