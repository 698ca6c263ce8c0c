"""Stores that several contract suites open, each on the engines it has."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from carbon254.stores.lake import Lake, open_lake, rest_properties


@pytest.fixture(params=["folder", pytest.param("rest", marks=pytest.mark.servers("catalog", "minio"))])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, Mapping[str, str]]:
    """What `open_lake` is given: a folder, or a REST catalog with its files on S3."""
    if request.param == "folder":
        return str(tmp_path / "lake"), {}
    found = request.getfixturevalue("tables")
    return found.url, rest_properties(found.facts["warehouse"], found.facts["endpoint"])


@pytest.fixture
def lake(place: tuple[str, Mapping[str, str]]) -> Iterator[Lake]:
    opened = open_lake(*place)
    yield opened
    opened.close()
