"""The Python in the guides runs as written."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

GUIDES = Path(__file__).parents[2] / "docs" / "guides"
# Guides whose examples need nothing but the package; the others show a running node.
ALONE = ["calendars.md"]


@pytest.mark.parametrize("name", ALONE)
def test_the_examples_of_a_guide_run(name: str) -> None:
    blocks = re.findall(r"^```python\n(.*?)^```$", (GUIDES / name).read_text("utf-8"), re.MULTILINE | re.DOTALL)
    assert len(blocks) > 3
    exec(compile("\n".join(blocks), name, "exec"), {"__name__": name})
