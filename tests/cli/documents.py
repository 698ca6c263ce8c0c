"""The commands and the Python that README and the guides show, read out of their fenced blocks.

A comment before a block says what it needs, where that is more than the demo's workspace and its running node:

    <!-- example: stopped -->       run when the node has stopped
    <!-- example: own -->           makes a workspace: in a folder of its own, without a node
    <!-- example: live -->          goes to providers: run on the emulator, in a folder of its own
    <!-- example: not run: why -->  shown only
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
_BLOCK = re.compile(
    r"(?:^<!-- example: (?P<needs>[^\n]*?) -->\n)?^```(?P<kind>\w*)(?: (?P<file>\S+))?\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
OURS = re.compile(r"^(?:\.venv/bin/)?c254\b")
_LAST_COMMENT = re.compile(r"\s{2,}#.*$")


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block: `kind` is its language, `file` the name it is to be kept by, `needs` the comment before it."""

    document: str
    line: int
    kind: str
    file: str
    needs: str
    text: str

    @property
    def commands(self) -> list[str]:
        """Its lines as a shell takes them; empty where it shows something else."""
        joined = self.text.replace("\\\n", " ").splitlines()
        lines = [_LAST_COMMENT.sub("", line).strip() for line in joined if line.strip()]
        shell = not self.kind or self.kind in ("sh", "bash", "console")
        return lines if shell and any(OURS.match(line) for line in lines) else []


def documents() -> list[Path]:
    """README and every page that somebody wrote: what the code makes has tests of its own."""
    docs = ROOT / "docs"
    return [ROOT / "README.md", docs / "start.md", *sorted((docs / "guides").glob("*.md"))]


def blocks(path: Path) -> Iterator[Block]:
    text = path.read_text("utf-8")
    for found in _BLOCK.finditer(text):
        line = text.count("\n", 0, found.start("text")) + 1
        name = str(path.relative_to(ROOT))
        yield Block(name, line, found["kind"], found["file"] or "", found["needs"] or "", found["text"])
