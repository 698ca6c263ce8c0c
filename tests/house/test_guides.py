"""The Python in the guides runs as written."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

GUIDES = Path(__file__).parents[2] / "docs" / "guides"
# Guides whose examples need nothing but the package; the others show a running node.
ALONE = ["calendars.md", "calendars-trading.md"]


@pytest.mark.parametrize("name", ALONE)
def test_the_examples_of_a_guide_run(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (GUIDES / name).read_text("utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    monkeypatch.chdir(tmp_path)
    for file, content in re.findall(r"^```\w+ (\S+)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        (tmp_path / file).write_text(content, "utf-8")
    assert len(blocks) > 3
    exec(compile("\n".join(blocks), name, "exec"), {"__name__": name})
