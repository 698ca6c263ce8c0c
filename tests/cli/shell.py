"""Typing commands: in a process of their own, or quicker in this one. And the files they are given."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from typer.testing import CliRunner

from carbon254.cli.main import app

FEEDS = Path(__file__).parents[2] / "carbon254" / "feeds"
RT = "iso.rt.lmp.spp"
_QUIET = ("C254_", "DATA_PROC_")


@dataclass(frozen=True)
class Said:
    """What a command came to. `words` is standard error with line breaks of a narrow terminal undone."""

    code: int
    out: str
    err: str

    @property
    def words(self) -> str:
        return " ".join(self.err.replace("│", " ").split())


def environment() -> dict[str, str]:
    """Ours without settings that would change what a command does, wide enough for every table."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_QUIET)}
    return kept | {"COLUMNS": "200", "NO_COLOR": "1"}


def c254(*arguments: str | Path, **variables: str) -> Said:
    """In a process of its own."""
    done = piped(*arguments, **variables)
    return Said(done.returncode, done.stdout.decode(), done.stderr.decode())


def piped(*arguments: str | Path, **variables: str) -> subprocess.CompletedProcess[bytes]:
    """In a process of its own, as bytes."""
    command = [sys.executable, "-m", "carbon254.cli", *map(str, arguments)]
    return subprocess.run(command, env=environment() | variables, capture_output=True, timeout=120, check=False)


def typed(*arguments: str | Path, **variables: str) -> Said:
    """In this process. An exception that the command let out fails the test with its traceback."""
    unset = dict.fromkeys(name for name in os.environ if name.startswith(_QUIET))
    env = {**unset, "COLUMNS": "200", "NO_COLOR": "1", **variables}
    done = CliRunner().invoke(app, list(map(str, arguments)), env=env)
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return Said(done.exit_code, done.stdout, done.stderr)


def clean(said: Said, code: int, *parts: str) -> None:
    """The command ended with `code`, and its error says all `parts` in a few lines without a traceback."""
    assert said.code == code, said
    assert "Traceback" not in said.err
    assert all(part in said.words for part in parts), said.err


def samples(provider: str) -> list[Path]:
    """A provider's sample payloads."""
    found = sorted((FEEDS / provider / "samples").iterdir())
    return [path for path in found if not path.name.endswith(".expected.csv")]


def sample(provider: str, start: str) -> Path:
    """The one sample of a provider whose name begins so."""
    (found,) = [path for path in samples(provider) if path.name.startswith(start)]
    return found


def spp_file(path: Path, bad: dict[int, str] | None = None) -> Path:
    """An SPP interval of ten places; `bad` puts a word in the place of a price."""
    lines = ["Interval,GMTIntervalEnd,Settlement Location,Pnode,LMP,MLC,MCC,MEC"]
    for number in range(10):
        price = (bad or {}).get(number, f"{20 + number}.5")
        lines.append(f"07/01/2025 07:05:00,07/01/2025 12:05:00,LOC_{number},LOC_{number}_P,{price},0,{number},20.5")
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return path
